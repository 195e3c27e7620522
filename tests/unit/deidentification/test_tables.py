import pytest
from pydicom._uid_dict import UID_dictionary

from shared.deidentification.actions import Action, action
from shared.deidentification.profile import Option
from shared.deidentification.tables import Type, named, named_in, row, standard_uids, words
from shared.dicom.dictionary import tag_of

# Rows of PS3.15 Table E.1-1 as they stand in the standard, each of another kind.
_ROWS = {
    "AccessionNumber": ("Z", {}),
    "AcquisitionComments": ("X", {"descriptors": "C"}),
    "AcquisitionDateTime": ("X/Z/D", {"dates": "C"}),
    "Allergies": ("X", {"patient": "C", "descriptors": "C"}),
    "ContentSequence": ("D", {"structure": "C"}),
    "DeviceUID": ("U", {"device": "K"}),
    "EncapsulatedDocument": ("D", {}),
    "GraphicAnnotationSequence": ("D", {"graphics": "C"}),
    "IconImageSequence": ("X", {}),
    "OperatorsName": ("X/Z/D", {}),
    "PatientAge": ("X", {"patient": "K"}),
    "PatientBirthDate": ("Z", {}),
    "PatientName": ("Z", {}),
    "ReferencedImageSequence": ("X/Z/U*", {}),
    "SOPInstanceUID": ("U", {}),
    "StationName": ("X/Z/D", {"device": "K"}),
    "StudyDate": ("Z", {"dates": "C"}),
    "StudyDescription": ("X", {"descriptors": "C"}),
}


@pytest.mark.spec("DEID-2")
@pytest.mark.parametrize("keyword", _ROWS)
def test_the_table_says_what_the_standard_says(keyword: str) -> None:
    found = row(f"{tag_of(keyword):08X}")
    assert found is not None
    assert (found.basic, dict(found.options)) == _ROWS[keyword]


@pytest.mark.spec("DEID-2")
@pytest.mark.parametrize(
    ("key", "named_as", "options", "expected"),
    [
        ("00080022", "3", (), Action.REMOVE),  # X/Z, AcquisitionDate
        ("00080022", "2", (), Action.EMPTY),
        ("00080022", "1", (), Action.DUMMY),
        ("00080023", "2", (), Action.EMPTY),  # Z/D, ContentDate
        ("00080023", "1", (), Action.DUMMY),
        ("00080050", "1", (), Action.DUMMY),  # Z, AccessionNumber
        ("00100010", "2", (), Action.EMPTY),
        ("00104000", "1", (), Action.REMOVE),  # X, PatientComments
        ("0040A123", None, (), Action.REMOVE),  # D, PersonName where nobody names it
        ("0040A123", "1", (), Action.DUMMY),
        ("0020000D", "1", (), Action.MAP),
        ("00080022", "3", (Option.DATES,), Action.CLEAN),
        ("00101010", "3", (Option.PATIENT,), Action.RETAIN),
        ("00102110", "3", (Option.PATIENT,), Action.CLEAN),
        ("00102110", "3", (Option.DEVICE,), Action.REMOVE),
        ("60003000", "1", tuple(Option), Action.REMOVE),
        ("00280010", "1", (), Action.JUDGE),  # Rows: no row
        ("00280010", None, (), Action.REMOVE),
    ],
)
def test_of_several_actions_the_one_is_taken_that_leaves_least(
    key: str, named_as: Type | None, options: tuple[Option, ...], expected: Action
) -> None:
    assert action(key, named_as, frozenset(options)) is expected


@pytest.mark.spec("DEID-2")
def test_attributes_are_named_by_the_modules_of_the_sop_class() -> None:
    ct = named("1.2.840.10008.5.1.4.1.1.2") or {}
    assert (ct["00180060"], ct["00280010"], ct["00100010"]) == ("2", "1", "2")
    assert "300A0002" not in ct
    assert "300A0002" in (named("1.2.840.10008.5.1.4.1.1.481.5") or {})
    assert named("1.2.3") is None
    assert named_in("0040A730")["0040A730"] == "1"
    assert "00280030" in named_in("00289110")
    assert not named_in("00280010")


@pytest.mark.spec("DEID-3")
def test_the_uids_of_the_standard_are_those_of_its_registry() -> None:
    assert standard_uids() == set(UID_dictionary)


def test_words_have_no_frequent_names_and_no_months() -> None:
    assert {"abdomen", "contrast", "siemens", "ffe"} <= words()
    assert words().isdisjoint({"smith", "miller", "jane", "lewis", "may", "oct"})
