import pytest

from shared.dicom.identifiers import InstanceIdentifier
from shared.dicom.part10.file_reader import Part10Reader
from shared.dicom.reasons import WarningReason
from shared.dicomweb.versions import ApiVersion
from shared.index_schema.indexed_attributes import SCHEMA_1, IndexedAttribute
from shared.index_schema.schema import BUILT_IN, IndexSchema
from shared.ingest.instance_validation import KEPT_TEXT, Invalid, Valid, needs_strict_reading, validate
from tests.builders.files import (
    CT,
    MODALITY,
    PATIENT_ID,
    PATIENT_NAME,
    SERIES,
    SOP_CLASS,
    SOP_INSTANCE,
    STUDY,
    STUDY_DATE,
    file,
)
from tests.builders.images import ILE

V1, V2 = ApiVersion.V1, ApiVersion.V2
INVALID, IMPLICIT = WarningReason.ATTRIBUTES_INVALID, WarningReason.DATA_SET_MISMATCH
INSTITUTION, REQUESTS, STEP_ID = 0x00080080, 0x00400275, 0x00400009


def judge(changes=None, *, version=V2, path=None, full=False, schema=BUILT_IN, **file_options):
    one = file(changes, **file_options)
    reader = Part10Reader(strict=needs_strict_reading(version, full_item_validation=full), keep_text=KEPT_TEXT)
    reader.feed(one.data)
    return validate(reader.finish(), version=version, schema=schema, study=path, full_item_validation=full)


def tags(verdict):
    """The tags of the comments, as they are written."""
    assert all(comment.startswith("DICOM100: (") for comment in verdict.comments)
    return [comment[len("DICOM100: (") :].partition(")")[0] for comment in verdict.comments]


def failed(tag):
    return f"{tag >> 16:04x},{tag & 0xFFFF:04x}"


@pytest.mark.spec("STOW-20", "STOW-21")
@pytest.mark.parametrize("version", [V1, V2])
def test_a_valid_instance_is_accepted_without_a_comment(version):
    verdict = judge(version=version, study="1.2.3", series="1.2.3", sop_instance="1.2.3")

    assert isinstance(verdict, Valid)
    assert verdict.identifier == InstanceIdentifier("1.2.3", "1.2.3", "1.2.3")
    assert (verdict.warning, verdict.comments, verdict.several_values) == (None, (), False)
    assert verdict.sop_class_uid == CT
    assert verdict.study["00100020"].strip() == "P-1"
    assert verdict.series["00080060"].strip() == "CT"


@pytest.mark.spec("STOW-20")
@pytest.mark.parametrize("version", [V1, V2])
@pytest.mark.parametrize("tag", [STUDY, SERIES, SOP_INSTANCE, SOP_CLASS, PATIENT_ID])
def test_a_required_attribute_must_be_there(version, tag):
    verdict = judge({tag: None}, version=version)

    assert isinstance(verdict, Invalid)
    assert tags(verdict) == [failed(tag)]
    assert verdict.sop_class_uid == (None if tag == SOP_CLASS else CT)


@pytest.mark.spec("STOW-20")
@pytest.mark.parametrize("version", [V1, V2])
@pytest.mark.parametrize("tag", [STUDY, SERIES, SOP_INSTANCE, SOP_CLASS])
@pytest.mark.parametrize("value", ["", "1.2\\1.3"])
def test_a_required_uid_has_exactly_one_value(version, tag, value):
    verdict = judge({tag: value}, version=version)

    assert isinstance(verdict, Invalid)
    assert tags(verdict) == [failed(tag)]


@pytest.mark.spec("STOW-22")
@pytest.mark.parametrize("value", ["", "  ", "\0\0"])
def test_an_empty_patient_id_fails_in_v1_and_is_a_warning_in_v2(value):
    assert tags(judge({PATIENT_ID: value}, version=V1)) == ["0010,0020"]

    verdict = judge({PATIENT_ID: value}, version=V2)

    assert isinstance(verdict, Valid)
    assert verdict.warning == INVALID
    assert tags(verdict) == ["0010,0020"]
    assert "00100020" not in verdict.metadata
    assert verdict.study["00100020"] == ""


@pytest.mark.spec("STOW-23", "D-12")
@pytest.mark.parametrize("version", [V1, V2])
def test_an_instance_of_another_study_than_the_path_names_is_refused(version):
    verdict = judge(version=version, path="1.2.3")

    assert isinstance(verdict, Invalid)
    assert tags(verdict) == ["0020,000d"]


@pytest.mark.spec("STOW-23", "CON-8")
@pytest.mark.parametrize("stored", ["1.2.3", "1.2.3 ", "1.2.3\0", "1.2.3   \0"])
def test_padding_does_not_make_it_another_study(stored):
    one = judge({STUDY: stored}, path="1.2.3 ")

    assert isinstance(one, Valid)
    assert one.identifier.study_instance_uid == "1.2.3"


@pytest.mark.spec("VAL-1", "VAL-2", "VAL-9", "VAL-10")
@pytest.mark.parametrize(
    ("tag", "value", "v1", "v2"),
    [
        (MODALITY, "M" * 20, Invalid, INVALID),
        (STUDY_DATE, "NotADate", Invalid, INVALID),
        (0x00100030, "20240230", Invalid, INVALID),
        (PATIENT_ID, "abc\0", Invalid, None),
        (MODALITY, "X\0", None, None),
        (MODALITY, "X\0X", None, INVALID),
        (PATIENT_ID, "\x000123\0", Invalid, Invalid),
        (PATIENT_ID, "12,3", None, None),
        (PATIENT_ID, "I" * 65, Invalid, Invalid),
        (PATIENT_NAME, "A^B^C^D^E^F", Invalid, INVALID),
        (PATIENT_NAME, "N" * 65, Invalid, INVALID),
        (0x00080050, "S" * 17, Invalid, INVALID),
        (0x00081030, "a\x07b", Invalid, INVALID),
        (STUDY, "abc.123", Invalid, Invalid),
        (SERIES, "11|", Invalid, Invalid),
        (SOP_INSTANCE, "1.2.", Invalid, Invalid),
        (SOP_CLASS, "nonsense", None, Invalid),
        (STUDY, "1.02.3", None, INVALID),
        (MODALITY, "ct", None, INVALID),
        (INSTITUTION, ("LO", "L" * 65), None, INVALID),
        (0x00101010, ("AS", "old"), None, INVALID),
    ],
)
def test_the_versions_judge_a_value_by_their_own_rules(tag, value, v1, v2):
    for version, expected in ((V1, v1), (V2, v2)):
        verdict = judge({tag: value}, version=version)
        if expected is Invalid:
            assert isinstance(verdict, Invalid)
            assert tags(verdict) == [failed(tag)]
        else:
            assert isinstance(verdict, Valid)
            assert verdict.warning == expected
            assert tags(verdict) == ([failed(tag)] if expected else [])


@pytest.mark.spec("VAL-1")
@pytest.mark.parametrize(("version", "outcome"), [(V1, Invalid), (V2, Valid)])
def test_a_searchable_attribute_of_another_vr_fails_in_v1_only(version, outcome):
    assert isinstance(judge({MODALITY: ("LO", "CT")}, version=version), outcome)
    assert isinstance(judge({PATIENT_ID: ("SH", "P-1")}, version=version), Invalid)


@pytest.mark.spec("VAL-3", "VAL-4")
def test_v2_judges_every_element_and_v1_the_searchable_ones_alone():
    changes = {
        INSTITUTION: ("LO", "L" * 65),
        0x00090010: ("LO", "PRIVATE CREATOR"),
        0x00091001: ("DA", "garbage!"),
        REQUESTS: ("SQ", [{STEP_ID: ("SH", "S" * 17)}]),
    }

    assert judge(changes, version=V1).comments == ()

    verdict = judge(changes)
    assert verdict.warning == INVALID
    assert tags(verdict) == ["0008,0080", "0009,1001", "0040,0009"]


@pytest.mark.spec("VAL-5", "STOW-36")
def test_an_attribute_is_reported_once_with_its_first_problem():
    verdict = judge({SOP_INSTANCE: "1.02.", PATIENT_NAME: "A^B^C^D^E^F=" + "N" * 65})

    assert tags(verdict) == ["0008,0018", "0010,0010"]
    assert "SOPInstanceUID" in verdict.comments[0]
    assert "does not validate VR PN: more than 5 components" in verdict.comments[1]


@pytest.mark.spec("VAL-6", "META-5")
def test_what_fails_is_left_out_of_metadata_and_index():
    verdict = judge({STUDY_DATE: "NotADate", MODALITY: "M" * 20, INSTITUTION: ("LO", "L" * 65)})

    assert not {"00080020", "00080060", "00080080"} & verdict.metadata.keys()
    assert "00080020" not in verdict.study
    assert "00080060" not in verdict.series
    assert verdict.metadata["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane"}]


@pytest.mark.spec("VAL-6", "VAL-11")
def test_the_identifiers_are_never_left_out():
    verdict = judge({STUDY: "1.02.3", SERIES: "1..2", SOP_INSTANCE: "00.1"})

    assert verdict.warning == INVALID
    assert verdict.identifier == InstanceIdentifier("1.02.3", "1..2", "00.1")
    assert {"0020000D", "0020000E", "00080018"} <= verdict.metadata.keys()


@pytest.mark.spec("VAL-7", "D-13")
def test_exactly_the_failing_nested_element_is_left_out():
    item = {STEP_ID: ("SH", "fine"), MODALITY: ("CS", "lower case")}
    good = {STEP_ID: ("SH", "fine"), MODALITY: ("CS", "MR")}
    verdict = judge({REQUESTS: ("SQ", [good, item])})

    assert tags(verdict) == ["0008,0060"]
    assert verdict.metadata["00080060"]["Value"] == ["CT"]
    first, second = verdict.metadata["00400275"]["Value"]
    assert set(first) == {"00080060", "00400009"}
    assert set(second) == {"00400009"}


@pytest.mark.spec("VAL-7", "D-13")
def test_a_tag_that_fails_in_several_places_is_reported_once():
    bad = {MODALITY: ("CS", "lower case")}
    verdict = judge({MODALITY: "also lower", REQUESTS: ("SQ", [bad, bad])})

    assert tags(verdict) == ["0008,0060"]
    assert "00080060" not in verdict.metadata
    assert verdict.metadata["00400275"]["Value"] == [{}, {}]


@pytest.mark.spec("VAL-8", "D-14")
def test_several_values_of_an_indexed_attribute():
    one = judge({MODALITY: "CT\\MR", 0x00081030: "One\\Two"}, version=V1)
    assert isinstance(one, Valid)
    assert (one.several_values, one.warning) == (True, None)
    assert one.metadata["00080060"]["Value"] == ["CT", "MR"]
    assert one.series["00080060"].strip() == "CT"

    two = judge({MODALITY: "CT\\MR", 0x00081030: "One\\Two"})
    assert (two.several_values, two.warning) == (False, INVALID)
    assert tags(two) == ["0008,0060", "0008,1030"]
    assert not {"00080060", "00081030"} & two.metadata.keys()
    assert two.series["00080060"].strip() == "CT"
    assert two.study["00081030"].strip() == "One"


@pytest.mark.spec("VAL-8", "D-14")
def test_the_first_of_several_values_is_indexed_only_if_it_is_valid():
    verdict = judge({MODALITY: "lower case\\MR"})

    assert "00080060" not in verdict.series


@pytest.mark.spec("VAL-8", "D-14")
def test_the_first_of_several_nested_values_is_indexed_too():
    verdict = judge({REQUESTS: ("SQ", [{STEP_ID: ("SH", "one\\two")}])})

    assert verdict.metadata["00400275"]["Value"] == [{}]
    assert verdict.series["00400275.00400009"].strip() == "one"


@pytest.mark.spec("VAL-8")
def test_several_patient_ids_fail_in_v1_and_are_announced_in_a_header_in_v2():
    assert isinstance(judge({PATIENT_ID: "A\\B"}, version=V1), Invalid)

    verdict = judge({PATIENT_ID: "A\\B"})
    assert (verdict.several_values, verdict.warning, verdict.comments) == (True, None, ())
    assert verdict.metadata["00100020"]["Value"] == ["A", "B"]
    assert verdict.study["00100020"].strip() == "A"


@pytest.mark.spec("VAL-12")
def test_full_item_validation_fails_everything_in_v1_and_the_required_in_v2():
    changes = {INSTITUTION: ("LO", "L" * 65)}
    assert tags(judge(changes, version=V1, full=True)) == ["0008,0080"]
    assert isinstance(judge(changes, version=V1, full=True), Invalid)
    assert isinstance(judge(changes, full=True), Valid)

    assert isinstance(judge({STUDY: "1.02.3"}, full=True), Invalid)
    assert isinstance(judge({STUDY: "1.02.3"}, version=V1, full=True), Invalid)

    nested = {REQUESTS: ("SQ", [{STEP_ID: ("SH", "S" * 17)}])}
    assert isinstance(judge(nested, version=V1, full=True), Valid)


@pytest.mark.spec("STOW-15", "D-11")
@pytest.mark.parametrize("version", [V1, V2])
def test_implicit_vr_is_a_warning_that_hides_the_other_one(version):
    assert judge(version=version, syntax=ILE).warning == IMPLICIT

    verdict = judge({STUDY_DATE: "20240230"}, syntax=ILE)
    assert verdict.warning == IMPLICIT
    assert tags(verdict) == ["0008,0020"]


@pytest.mark.spec("IDX-1", "D-15")
def test_a_date_that_is_none_is_not_indexed():
    verdict = judge({STUDY_DATE: "20200230"})

    assert verdict.warning == INVALID
    assert "00080020" not in verdict.study


@pytest.mark.spec("STOW-36", "VAL-5")
def test_a_refusal_lists_errors_and_warnings():
    verdict = judge({PATIENT_ID: None, INSTITUTION: ("LO", "L" * 65), STUDY_DATE: "NotADate"})

    assert isinstance(verdict, Invalid)
    assert tags(verdict) == ["0010,0020", "0008,0020", "0008,0080"]


@pytest.mark.spec("STOW-33")
def test_a_refusal_quotes_the_uids_as_they_are():
    verdict = judge({SOP_INSTANCE: "not a uid"})

    assert verdict.sop_instance_uid == "not a uid"


AGE = 0x00101010
WITH_AGE = IndexSchema.of(2, (*SCHEMA_1, IndexedAttribute("t2x0", "AS", "study", ("t2x0",), since=2, path="00101010")))


@pytest.mark.spec("VAL-1", "EQT-58")
def test_an_extended_query_tag_that_is_not_valid_fails_in_v1_and_is_left_out_in_v2():
    assert isinstance(judge({AGE: ("AS", "42 years")}, version=V1), Valid)
    refused = judge({AGE: ("AS", "42 years")}, version=V1, schema=WITH_AGE)
    assert isinstance(refused, Invalid)
    assert tags(refused) == ["0010,1010"]

    accepted = judge({AGE: ("AS", "42 years")}, version=V2, schema=WITH_AGE)
    assert isinstance(accepted, Valid)
    assert tags(accepted) == ["0010,1010"]
    assert "t2x0" not in accepted.study
    assert "00101010" not in accepted.metadata
    for version in (V1, V2):
        assert judge({AGE: ("AS", "042Y")}, version=version, schema=WITH_AGE).study["t2x0"].strip() == "042Y"


@pytest.mark.spec("EQT-58", "EQT-33")
@pytest.mark.parametrize("path", ["00291001", "00180050", "00400275.00080050"])
def test_an_element_of_another_vr_than_its_tag_is_told_and_stays(path):
    private = {"creator": "ACME"} if path.startswith("0029") else {}
    tag = IndexedAttribute("t2x0", "SH", "study", ("t2x0",), since=2, path=path, **private)
    schema = IndexSchema.of(2, (*SCHEMA_1, tag))
    changes = {
        0x00290010: ("LO", "ACME"),
        0x00291001: ("LO", "value"),
        0x00180050: ("DS", "5"),
        0x00400275: ("SQ", [{0x00080050: ("LO", "value")}]),
    }
    verdict = judge(changes, schema=schema)
    assert isinstance(verdict, Valid)
    element = path.rpartition(".")[2]
    assert f"{element[:4]},{element[4:]}".lower() in tags(verdict)
    assert "DICOM100: " in verdict.comments[-1]
    assert verdict.warning is not None
    assert "t2x0" not in verdict.study
    assert path.partition(".")[0] in verdict.metadata
    assert not any("value" in comment.replace("The value", "") for comment in verdict.comments)
    assert isinstance(judge({**changes, 0x00290010: ("LO", "OTHER")}, version=V1, schema=schema), Valid)
