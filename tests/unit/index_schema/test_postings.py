"""What the search index holds (storage §6.1)."""

from hashlib import sha256

import pytest

from shared.dicom.dictionary import vr_of
from shared.index_schema.indexed_attributes import ADDED, SCHEMA_1
from shared.index_schema.postings import (
    ALL,
    Posting,
    after,
    posting_values,
    prefix_range,
    seek,
    sort_key_of,
    value_of,
    value_range,
)
from shared.index_schema.schema import BUILT_IN
from shared.storage.ports import Entity

SK = "00112233445566ff"


def values(key: str, text: str) -> list[str]:
    return posting_values(BUILT_IN.attributes[key], text)


@pytest.mark.spec("D-29")
def test_the_attributes_of_the_standard_and_of_the_service_are_searchable() -> None:
    searchable = set(BUILT_IN.searchable) - {attribute.key for attribute in ADDED}
    native = (
        "0020000D 00080020 00081030 00080050 00100020 00100010 00100030 00080090 00080061 0020000E 00080060 00400244"
    )
    native += " 00081090 00080018"
    further = "00080030 00200010 00200011 00400245 00400275.00400009 00400275.00401001 00080016 00200013"
    assert searchable == {*native.split(), *further.split()}


def test_each_attribute_has_the_vr_of_the_dictionary_and_codes_of_its_own() -> None:
    for key, attribute in BUILT_IN.attributes.items():
        assert attribute.vr == vr_of(int(key[-8:], 16)), key
    codes = [code for key, attribute in BUILT_IN.attributes.items() if key != "00080061" for code in attribute.codes]
    assert len(codes) == len(set(codes))
    assert ALL not in codes


def test_the_rows_carry_what_default_results_need() -> None:
    study = (
        "00080005 00080020 00080030 00080050 00080056 00080090 00080201 00081030 00081060 00081080 00100010 00100020"
    )
    study += " 00100030 00100040 00101010 00101020 00101030 00102180 001021B0 00200010"
    series = "00080005 00080021 00080031 00080060 00080201 0008103E 00081090 00200011 00200060 00400244 00400245"
    assert set(study.split()) == set(BUILT_IN.upto(1).carried("study"))
    assert set(series.split()) | {"00400275.00400009", "00400275.00401001"} == set(BUILT_IN.upto(1).carried("series"))
    assert BUILT_IN.upto(1).carried("instance") == ("00200013",)


def test_a_date_is_found_by_day_month_year_and_decade() -> None:
    assert values("00080020", "20240131 ") == ["sd!d20240131", "sd!m202401", "sd!y2024", "sd!x202"]
    assert values("00080020", "20240230") == []


def test_a_time_is_found_by_itself_and_its_hour() -> None:
    assert values("00080030", "1030") == ["st!t103000000000", "st!h10"]
    assert values("00080030", "103015.25") == ["st!t103015250000", "st!h10"]
    assert values("00080030", "later") == []


def test_a_name_is_found_by_its_groups_its_words_and_how_they_begin() -> None:
    assert set(values("00100010", "O'Brien^Zoë^^=山田^太郎= ")) == {
        *("pn!o~27brien^zoe", "pn!山田^太郎"),
        *("pt!o", "pt!brien", "pt!zoe", "pt!山田", "pt!太郎"),
        *("pe!o", "pe!b", "pe!br", "pe!bri", "pe!z", "pe!zo", "pe!zoe", "pe!山", "pe!山田", "pe!太", "pe!太郎"),
    }


def test_a_number_is_found_by_its_value() -> None:
    assert values("00200011", "7") == values("00200011", "+07 ")
    assert values("00200011", "seven") == []


def test_a_study_is_posted_once_for_each_value_and_in_the_list_of_all() -> None:
    rows = BUILT_IN.study_postings(SK, "1.1", {"00100020": "P 1", "00100040": "F", "00080201": "+0100"}, 1)
    keys_of_values = [row_key for row_key in rows if not row_key.startswith("a!")]
    assert keys_of_values == [f"pi!p~201!{SK}"]
    [listed] = [row_key for row_key in rows if row_key.startswith("a!")]
    posting = Posting.parse(Entity("00!0", listed, rows[listed]))
    assert (posting.code, posting.value, posting.sort_key) == ("a", "", SK)
    assert (posting.study_instance_uid, posting.attributes) == ("1.1", {"00100020": "P 1"})


def test_the_row_in_the_list_of_all_depends_on_what_it_carries() -> None:
    def listed(attributes: dict[str, str]) -> str:
        return next(key for key in BUILT_IN.study_postings(SK, "1.1", attributes, 1) if key.startswith("a!"))

    one = listed({"00100020": "P1", "00100010": "A^B"})
    assert one == listed({"00100010": "A^B", "00100020": "P1"})
    assert one != listed({"00100020": "P2", "00100010": "A^B"})


def test_series_and_instances_are_posted_with_their_uids() -> None:
    rows = BUILT_IN.series_postings(SK, "1.1", "1.2", {"00080060": "CT"})
    assert [row_key.rpartition("!")[0] for row_key in rows] == [f"mo!ct!{SK}", f"su!1.2!{SK}"]
    posting = Posting.parse(Entity("00!0", next(iter(rows)), next(iter(rows.values()))))
    assert (posting.study_instance_uid, posting.series_instance_uid, posting.sop_instance_uid) == ("1.1", "1.2", None)
    [(row_key, row)] = BUILT_IN.instance_postings(SK, "1.1", ("1.2", "1.3"), {}).items()
    posting = Posting.parse(Entity("00!0", row_key, row))
    assert (posting.code, posting.value, posting.sop_instance_uid) == ("iu", "1.3", "1.3")


def test_ranges_hold_what_they_should() -> None:
    low, high = value_range("pi", "p1")
    assert low <= f"pi!p1!{SK}" < high
    assert not low <= f"pi!p1x!{SK}" < high
    assert low <= seek("pi", "p1", SK) < high
    assert seek("pi", "p1", SK) < f"pi!p1!{SK}!0123" < seek("pi", "p1", after(SK)) < seek("pi", "p1", f"{SK[:-1]}g")
    assert (sort_key_of(f"pi!p1!{SK}!0123"), value_of(f"pi!p1!{SK}!0123")) == (SK, ("pi", "p1"))
    low, high = prefix_range("pi", "p1")
    assert low <= f"pi!p1x!{SK}" < high
    assert not low <= f"pi!p2!{SK}" < high


def test_the_first_schema_stays_as_it_is() -> None:
    """Rows without a number rely on it; what comes later is a line of ADDED."""
    lines = [(each.key, each.vr, each.level, each.codes, each.searchable, each.since) for each in SCHEMA_1]
    assert sha256(repr(lines).encode()).hexdigest()[:16] == "467bdaf021826845"
