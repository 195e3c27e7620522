"""What the index takes from a data set (dicomweb §6.7)."""

from typing import Any

import pytest

from shared.index_schema.schema import BUILT_IN


def dataset(**elements: Any) -> dict[str, dict[str, Any]]:
    """Elements by tag after an underscore: a value, a list of values, or nothing."""
    made = {}
    for tag, value in elements.items():
        values = value if isinstance(value, list) else [value]
        made[tag.removeprefix("_")] = {"vr": "LO"} if value is None else {"vr": "LO", "Value": values}
    return made


@pytest.mark.spec("IDX-1", "D-14")
def test_the_first_value_of_each_attribute_is_taken_with_its_padding() -> None:
    study, series, instance = BUILT_IN.extract(
        dataset(
            _00100020="P1\0",
            _00081030=["CHEST ", "ABDOMEN"],
            _00080060="CT",
            _00200011=3,
            _00101020=1.75,
            _00200013=12,
            _00181030="PROTOCOL",
        )
    )
    assert study == {"00100020": "P1\0", "00081030": "CHEST ", "00101020": "1.75"}
    assert series == {"00080060": "CT", "00200011": "3"}
    assert instance == {"00200013": "12"}


@pytest.mark.spec("IDX-1", "D-15")
@pytest.mark.parametrize(
    ("date", "taken"), [("20240229", True), ("20230229", False), ("2024.01.01", False), ("", False)]
)
def test_only_a_day_of_the_calendar_is_taken_as_a_date(date: str, taken: bool) -> None:
    study, _, _ = BUILT_IN.extract(dataset(_00080020=date))
    assert study == ({"00080020": date} if taken else {})


@pytest.mark.spec("IDX-7")
@pytest.mark.parametrize("value", [None, "", "  \0", [None, "second"], {}])
def test_what_is_empty_is_not_taken(value: object) -> None:
    assert BUILT_IN.extract(dataset(_00081030=value)) == ({}, {}, {})


@pytest.mark.spec("STOW-22")
@pytest.mark.parametrize("value", [None, "", "   "])
def test_an_empty_patient_id_that_is_there_is_known_to_be_empty(value: object) -> None:
    assert BUILT_IN.extract(dataset(_00100020=value))[0] == {"00100020": ""}
    assert BUILT_IN.extract({})[0] == {}


def test_a_name_is_taken_as_dicom_text() -> None:
    name = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    assert BUILT_IN.extract(dataset(_00100010=name))[0] == {"00100010": "Yamada^Tarou=山田^太郎=やまだ^たろう"}
    assert BUILT_IN.extract(dataset(_00100010={"Ideographic": "山田^太郎"}))[0] == {"00100010": "=山田^太郎"}


@pytest.mark.spec("D-29")
def test_attributes_of_a_sequence_come_from_its_first_item_that_has_them() -> None:
    items = [dataset(_00400009="S1"), dataset(_00400009="S2", _00401001="R2")]
    _, series, _ = BUILT_IN.extract(dataset(_00400275=items))
    assert series == {"00400275.00400009": "S1", "00400275.00401001": "R2"}


def test_what_is_too_long_for_rows_is_left_to_the_metadata() -> None:
    study, _, _ = BUILT_IN.extract(dataset(_00081030="x" * 513, _001021B0="y" * 2000, _00100040="F"))
    assert set(study) == {"001021B0", "00100040"}


def test_text_that_is_not_unicode_does_no_harm() -> None:
    study, _, _ = BUILT_IN.extract(dataset(_00081030="a\ud800b"))
    assert study == {"00081030": "a?b"}


def test_the_same_tag_serves_both_levels_where_both_return_it() -> None:
    study, series, _ = BUILT_IN.extract(dataset(_00080201="+0100"))
    assert study == series == {"00080201": "+0100"}
