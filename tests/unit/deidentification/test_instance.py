import copy
import datetime as dt
import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO

from shared.deidentification.instance import Deidentified, Refused, deidentify
from shared.deidentification.key import KEY_BYTES, Key
from shared.deidentification.profile import BurnedIn, Option, Profile, Subjects
from shared.deidentification.report import Deed, Finding
from shared.deidentification.tables import named
from shared.dicom.attributes import take_apart
from shared.dicom.dictionary import vr_of
from shared.dicom.part10.file_reader import read_whole
from tests.builders import datasets
from tests.builders.deidentifying import ALL_OPTIONS, KEY, deidentified, with_report

_BASIC = Profile()
_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
_DATES = Profile(frozenset({Option.DATES}))
OTHER_KEY = Key(b"o" * KEY_BYTES)


def result_of(dataset: Dataset, profile: Profile = _BASIC, key: Key = KEY) -> Dataset:
    return dcmread(DicomBytesIO(deidentified(datasets.part10(dataset), profile, key)))


def test_a_result_has_nothing_in_common_with_its_source() -> None:
    source = read_whole(datasets.part10(datasets.ct()))
    before = json.dumps(source.attributes)
    made = deidentify(source.attributes, source.transfer_syntax_uid, ALL_OPTIONS, KEY)
    assert isinstance(made, Deidentified)
    assert json.dumps(source.attributes) == before

    after = json.dumps(made.attributes)
    take_apart(source.attributes)

    assert json.dumps(made.attributes) == after


@pytest.mark.spec("DEID-1")
def test_the_subject_has_a_pseudonym_or_none() -> None:
    mapped, again, other = (result_of(datasets.ct(PatientID=patient)) for patient in ("P-1", "P-1", "P-2"))
    assert mapped.PatientID == again.PatientID != other.PatientID
    assert str(mapped.PatientName) == mapped.PatientID
    dropped = result_of(datasets.ct(), Profile(subjects=Subjects.DROP))
    assert (dropped.PatientID, str(dropped.PatientName)) == ("", "")


@pytest.mark.spec("DEID-3")
def test_uids_are_replaced_consistently_under_a_key_and_unlinkably_under_another() -> None:
    source = datasets.ct()
    one, two, other = result_of(source), result_of(source), result_of(source, key=OTHER_KEY)

    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        values = {getattr(each, keyword) for each in (source, one, other)}
        assert len(values) == 3
        assert getattr(one, keyword) == getattr(two, keyword)
        assert getattr(one, keyword).startswith("2.25.")
        assert getattr(one, keyword).is_valid
    assert one.SOPClassUID == source.SOPClassUID
    assert one.PatientID != other.PatientID


@pytest.mark.spec("DEID-3")
def test_references_between_instances_follow_and_uids_of_the_standard_stay() -> None:
    image = datasets.ct(FrameOfReferenceUID="1.2.840.10008.1.4.1.1")
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    other = datasets.ct(ReferencedImageSequence=[reference], SourceImageSequence=[copy.deepcopy(reference)])
    series = Dataset()
    series.SeriesInstanceUID = image.SeriesInstanceUID
    series.ReferencedSOPSequence = [copy.deepcopy(reference)]
    study = Dataset()
    study.StudyInstanceUID, study.ReferencedSeriesSequence = image.StudyInstanceUID, [series]
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "IMAGE"
    item.ReferencedSOPSequence = [copy.deepcopy(reference)]
    notes = datasets.attributes(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.59", Modality="KO")
    notes.CurrentRequestedProcedureEvidenceSequence, notes.ContentSequence = [study], [item]

    target, refers, key_objects = result_of(image), result_of(other), result_of(notes)

    for found in (
        refers.ReferencedImageSequence[0],
        refers.SourceImageSequence[0],
        key_objects.ContentSequence[0].ReferencedSOPSequence[0],
        key_objects.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0],
    ):
        assert found.ReferencedSOPInstanceUID == target.SOPInstanceUID
        assert found.ReferencedSOPClassUID == image.SOPClassUID
    assert key_objects.CurrentRequestedProcedureEvidenceSequence[0].StudyInstanceUID == target.StudyInstanceUID
    assert target.FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"


def _references(level: Dataset) -> Iterator[tuple[str, str]]:
    """The UIDs of instances, series, studies and frames of reference in a data set, at every level, by keyword."""
    for element in level:
        if element.VR == "SQ":
            for item in element.value:
                yield from _references(item)
        elif element.VR == "UI" and "Class" not in element.keyword:
            yield element.keyword, str(element.value)


def _nested(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, [value] if isinstance(value, Dataset) else value)
    return item


@pytest.mark.spec("DEID-3")
@pytest.mark.parametrize(
    ("sop_class", "path"),
    [
        ("66.4", ("ReferencedSeriesSequence", "ReferencedInstanceSequence")),
        (
            "66.4",
            ("PerFrameFunctionalGroupsSequence", "DerivationImageSequence", "SourceImageSequence"),
        ),
        ("11.1", ("ReferencedSeriesSequence", "ReferencedImageSequence")),
        (
            "481.3",
            (
                "ReferencedFrameOfReferenceSequence",
                "RTReferencedStudySequence",
                "RTReferencedSeriesSequence",
                "ContourImageSequence",
            ),
        ),
        ("481.3", ("ROIContourSequence", "ContourSequence", "ContourImageSequence")),
    ],
    ids=["SEG", "SEG of frames", "PR", "RTSTRUCT", "contours of RTSTRUCT"],
)
def test_references_of_each_kind_of_object_follow_at_every_level(sop_class: str, path: tuple[str, ...]) -> None:
    image = datasets.ct(FrameOfReferenceUID="1.2.826.0.1.5")
    item = _nested(
        ReferencedSOPClassUID=image.SOPClassUID,
        ReferencedSOPInstanceUID=image.SOPInstanceUID,
    )
    for keyword in reversed(path[1:]):
        more = {"SeriesInstanceUID": image.SeriesInstanceUID} if "Series" in path[path.index(keyword) - 1] else {}
        item = _nested(**{keyword: item}, **more)
    source = datasets.attributes(
        SOPClassUID=f"1.2.840.10008.5.1.4.1.1.{sop_class}", FrameOfReferenceUID=image.FrameOfReferenceUID
    )
    setattr(source, path[0], [item])

    target, refers = result_of(image), result_of(source)

    found = list(_references(refers))
    renamed = dict(_references(target))
    assert ("ReferencedSOPInstanceUID", renamed["SOPInstanceUID"]) in found
    if "SeriesInstanceUID" in dict(_references(item)):
        assert ("SeriesInstanceUID", renamed["SeriesInstanceUID"]) in found
    for keyword, uid in found:
        assert uid.startswith("2.25."), keyword
        assert keyword != "FrameOfReferenceUID" or uid == renamed[keyword]


@pytest.mark.spec("DEID-4")
def test_a_subject_is_identifier_and_issuer_and_without_them_a_study() -> None:
    def moved(**values: str) -> str:
        return str(result_of(datasets.ct(StudyDate="20240228", **values), _DATES).StudyDate)

    known = [moved(PatientID="P-1", IssuerOfPatientID=issuer) for issuer in ("A", "A", "B", "")]
    assert known[0] == known[1]
    assert len(set(known)) == 3
    unknown = [moved(PatientID="", StudyInstanceUID=study) for study in ("1.2.3", "1.2.3", "1.2.4")]
    assert unknown[0] == unknown[1] != unknown[2]


@pytest.mark.spec("DEID-4")
def test_dates_move_by_one_number_of_days_for_a_subject_and_intervals_survive() -> None:
    first = datasets.ct(StudyDate="20240228", ContentDate="20240301", ContentTime="1011", AcquisitionDateTime="2024")
    second = datasets.ct(StudyDate="20240428")

    one, two = result_of(first, _DATES), result_of(second, _DATES)

    def days(later: str, earlier: str) -> int:
        return (_date(later) - _date(earlier)).days

    assert days(one.ContentDate, one.StudyDate) == 2
    assert days(two.StudyDate, one.StudyDate) == 60
    assert 1 <= abs(days(one.StudyDate, "20240228")) <= 365
    assert one.ContentTime == "1011"
    assert len(one.AcquisitionDateTime) == 4
    assert one.LongitudinalTemporalInformationModified == "MODIFIED"
    elsewhere = result_of(datasets.ct(PatientID="P-2", StudyDate="20240228"), _DATES)
    assert elsewhere.StudyDate != one.StudyDate


def _date(text: str) -> dt.date:
    return dt.datetime.strptime(text, "%Y%m%d").replace(tzinfo=dt.UTC).date()


@pytest.mark.spec("DEID-4", "DEID-7")
def test_without_the_option_no_date_is_left() -> None:
    result = result_of(datasets.ct(ContentDate="20240301", AcquisitionDateTime="20240301101112"))

    assert result.StudyDate == ""
    assert [one for one in result.iterall() if one.VR in {"DA", "TM", "DT"} and one.value] == []
    assert result.LongitudinalTemporalInformationModified == "REMOVED"


@pytest.mark.spec("DEID-4")
@pytest.mark.parametrize(("age", "kept"), [("089Y", "089Y"), ("090Y", "090Y"), ("104Y", "090Y"), ("006M", "006M")])
def test_ages_that_are_rare_are_one(age: str, kept: str) -> None:
    retained = result_of(datasets.ct(PatientAge=age), Profile(frozenset({Option.PATIENT})))
    assert retained.PatientAge == kept
    assert "PatientAge" not in result_of(datasets.ct(PatientAge=age))


@pytest.mark.spec("DEID-6")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"BurnedInAnnotation": "YES"}, Finding.BURNED_IN),
        ({"Modality": "US"}, Finding.HABITUAL_TEXT),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, Finding.HABITUAL_TEXT),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6"}, Finding.HABITUAL_TEXT),
        ({"Modality": "XA", "ImageType": ["DERIVED", "SECONDARY"]}, Finding.HABITUAL_TEXT),
        ({"ConversionType": "WSD"}, Finding.HABITUAL_TEXT),
        ({"BurnedInAnnotation": "NO", "ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, Finding.SCREEN),
        ({"ImageType": ["DERIVED", "SECONDARY", "DOSE_INFO"]}, Finding.HABITUAL_TEXT),
        ({"ImageType": ["DERIVED", "SECONDARY", "OTHER", "CT_SOM5 PROT"]}, Finding.HABITUAL_TEXT),
        ({"SOPClassUID": _SLIDE, "ImageType": ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]}, Finding.SLIDE_LABEL),
        ({"SOPClassUID": _SLIDE, "ImageType": ["ORIGINAL", "PRIMARY", "OVERVIEW", "NONE"]}, Finding.SLIDE_LABEL),
        ({"SOPClassUID": _SLIDE, "SpecimenLabelInImage": "YES", "BurnedInAnnotation": "NO"}, Finding.SLIDE_LABEL),
    ],
)
def test_pixels_suspected_to_show_text_are_refused_or_reported(changes: dict[str, str], reason: Finding) -> None:
    source = datasets.part10(datasets.ct(**changes))

    refused, nothing = with_report(source)
    assert isinstance(refused, Refused)
    assert (refused.reason, nothing, refused.report.findings[reason]) == (reason, b"", 1)

    reported, data = with_report(source, Profile(burned_in=BurnedIn.REPORT))
    assert reported.report.findings[reason] == 1
    assert dcmread(DicomBytesIO(data)).PixelData == datasets.ct().PixelData


@pytest.mark.spec("DEID-6")
def test_what_is_said_to_be_clean_passes_and_overlays_in_the_pixels_do_not() -> None:
    assert result_of(datasets.ct(Modality="US", BurnedInAnnotation="NO")).Modality == "US"
    for kind in ("VOLUME", "THUMBNAIL", "OVERVIEW"):
        slide = {"SOPClassUID": _SLIDE, "ImageType": ["DERIVED", "PRIMARY", kind, "NONE"], "SpecimenLabelInImage": "NO"}
        assert result_of(datasets.ct(**slide)).ImageType[2] == kind
    assert result_of(datasets.ct(ImageType=["DERIVED", "PRIMARY", "M", "PROTON_DENSITY"])).Modality == "CT"
    overlay = datasets.ct()
    overlay.add_new(0x60000102, "US", 12)
    refused, _ = with_report(datasets.part10(overlay))
    assert isinstance(refused, Refused)
    assert refused.reason is Finding.EMBEDDED_OVERLAY


@pytest.mark.spec("DEID-6", "DEID-2")
def test_documents_are_refused_and_if_reported_replaced() -> None:
    document = datasets.attributes(SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1", Modality="DOC")
    document.EncapsulatedDocument, document.MIMETypeOfEncapsulatedDocument = b"%PDF Zquxmorf ", "application/pdf"

    refused, _ = with_report(datasets.part10(document))
    assert isinstance(refused, Refused)
    assert refused.reason is Finding.DOCUMENT
    result, data = with_report(datasets.part10(document), Profile(burned_in=BurnedIn.REPORT))
    assert result.report.findings[Finding.DOCUMENT] == 1
    assert b"Zquxmorf" not in data


@pytest.mark.spec("DEID-6")
def test_faces_that_can_be_computed_are_reported() -> None:
    result, _ = with_report(datasets.part10(datasets.ct(BodyPartExamined="HEAD")))
    assert result.report.findings[Finding.RECOGNIZABLE] == 1
    result, _ = with_report(datasets.part10(datasets.ct(BodyPartExamined="CHEST")))
    assert not result.report.findings


@pytest.mark.spec("DEID-7")
def test_the_result_says_what_was_done() -> None:
    before = datasets.ct(DeidentificationMethod="Zquxmorf", PatientIdentityRemoved="NO")

    result = result_of(before, ALL_OPTIONS)

    assert result.PatientIdentityRemoved == "YES"
    assert result.DeidentificationMethod.startswith("DICOM PS3.15")
    codes = [(one.CodeValue, one.CodingSchemeDesignator) for one in result.DeidentificationMethodCodeSequence]
    values = ("113100", "113103", "113104", "113105", "113107", "113108", "113109", "113111")
    assert codes == [(value, "DCM") for value in values]
    assert [one.CodeValue for one in result_of(before).DeidentificationMethodCodeSequence] == ["113100"]


@pytest.mark.spec("DEID-2")
@pytest.mark.parametrize("changes", [{"SOPClassUID": "1.2.3.4"}, {"SOPClassUID": None}, {"SeriesInstanceUID": None}])
def test_what_no_table_knows_is_refused(changes: dict[str, str | None]) -> None:
    refused, _ = with_report(datasets.part10(datasets.ct(**changes)))
    assert isinstance(refused, Refused)
    assert refused.reason in {Finding.UNKNOWN_CLASS, Finding.NO_IDENTIFIER}


@pytest.mark.spec("DEID-2")
def test_options_retain_what_they_name_and_nothing_more() -> None:
    source = datasets.ct(
        StationName="CT-7",
        DeviceSerialNumber="4711",
        PatientSize="1.8",
        PatientAge="044Y",
        EthnicGroup="white",
        StudyDescription="CT chest for Doe, Jane at Saint Zquxmorf",
        Manufacturer="Zquxmorf",
    )
    basic, every = result_of(source), result_of(source, ALL_OPTIONS)

    assert {"StationName", "DeviceSerialNumber", "PatientSize", "PatientAge", "StudyDescription"}.isdisjoint(
        basic.dir()
    )
    assert basic.Manufacturer == ""
    assert (every.StationName, every.DeviceSerialNumber, every.Manufacturer) == ("CT-7", "4711", "Zquxmorf")
    assert (every.PatientSize, every.PatientAge, every.EthnicGroup) == (1.8, "044Y", "white")
    assert every.StudyDescription == "CT chest for *** at ***"


@pytest.mark.spec("DEID-2")
def test_only_safe_private_elements_stay_and_only_by_their_option() -> None:
    source = datasets.ct()
    block = source.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")
    block.add_new(0x0D, "CS", "DIRECTIONAL")
    block.add_new(0x0B, "LO", "Zquxmorf")
    block.add_new(0x0E, "FD", [0.5, 0.25, 0.125])
    source.private_block(0x0029, "Zquxmorf", create=True).add_new(1, "LO", "Zquxmorf")

    assert [one for one in result_of(source) if one.tag.is_private] == []
    source[0x00190010].value = ["SIEMENS MR HEADER", "Zquxmorf"]
    kept = [one for one in result_of(source, Profile(frozenset({Option.PRIVATE}))) if one.tag.is_private]
    assert [int(one.tag) for one in kept] == [0x00190010, 0x0019100C, 0x0019100D, 0x0019100E]
    assert [one.value for one in kept] == ["SIEMENS MR HEADER", 1000, "DIRECTIONAL", [0.5, 0.25, 0.125]]


@pytest.mark.spec("DEID-5", "DEID-9")
def test_the_report_counts_by_tag_and_says_no_value() -> None:
    source = datasets.ct(StudyDescription="Chest of Doe")

    result, _ = with_report(datasets.part10(source), ALL_OPTIONS)

    assert result.report.deeds["00081030", Deed.IDENTIFIED] == 1
    assert result.report.deeds["0020000D", Deed.REPLACED] == 1
    assert result.report.deeds["00400275", Deed.REMOVED] + result.report.deeds["00080090", Deed.EMPTIED] >= 1
    assert "Doe" not in repr(result.report)


@pytest.mark.spec("DEID-2")
@settings(deadline=None, max_examples=40)
@given(
    sop_class=st.sampled_from(
        ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.481.3"]
    ),
    options=st.frozensets(st.sampled_from(Option)),
)
def test_what_must_have_a_value_still_has_one(sop_class: str, options: frozenset[Option]) -> None:
    mandatory = {
        int(key, 16): vr
        for key, kind in (named(sop_class) or {}).items()
        if kind == "1" and (vr := (vr_of(int(key, 16)) or "").partition("/")[0]) in _SAMPLES and key != "00080005"
    }
    source = datasets.attributes(SOPClassUID=sop_class)
    for tag, vr in mandatory.items():
        if tag not in source:
            source.add_new(tag, vr, _SAMPLES[vr])

    result = result_of(source, Profile(options, burned_in=BurnedIn.REPORT))

    assert [f"{tag:08X}" for tag in mandatory if tag not in result or result[tag].value in {None, ""}] == []


_SAMPLES = {
    "CS": "AXIAL",
    "DA": "20240131",
    "DS": "1.5",
    "DT": "20240131",
    "IS": "3",
    "LO": "Zquxmorf",
    "PN": "Zquxmorf",
    "SH": "Zquxmorf",
    "ST": "Zquxmorf",
    "TM": "1011",
    "UI": "1.2.3",
    "US": 7,
}
