"""Row keys and partition keys (storage §2, §3)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.index_schema import keys
from shared.index_schema.postings import prefix_range, value_range
from shared.storage.table_entities import utf16_units

TEXT = st.text(max_size=300)
UID = st.text("0123456789.", min_size=1, max_size=64)


def test_the_keys_of_a_study_follow_from_its_hash() -> None:
    place = keys.study_place("0", "1.2.3", 16)
    assert place.partition_key == keys.study_partition("0", "1.2.3") == "25410!1.2.3"
    assert place.shard == 0x2541 % 16
    assert place.postings == "01!0"
    assert keys.named_place(place.name, 16) == place


@given(st.integers(1, 256), UID)
@settings(max_examples=50)
def test_every_hint_is_in_the_partition_that_is_read(shards: int, study: str) -> None:
    partition_key, row_key = keys.study_place("0", study, shards).hint
    assert partition_key == keys.HINT_PARTITION
    assert keys.named_place(row_key, shards).study_instance_uid == study


@given(TEXT)
@settings(max_examples=200)
def test_text_in_a_key_is_what_a_key_can_hold(text: str) -> None:
    encoded = keys.encode(text)
    assert utf16_units(encoded) <= 180
    assert not set(encoded) & set(" !/\\#?%'\x00\x1f\x7f\x85")
    assert all("!" < letter < keys.LAST for letter in encoded)


@given(TEXT, TEXT)
@settings(max_examples=200)
def test_a_value_is_in_its_own_range_and_no_other(one: str, other: str) -> None:
    one, other = keys.encode(one), keys.encode(other)
    low, high = value_range("pi", one)
    assert low <= f"pi!{one}!0123" < high
    assert (low <= f"pi!{other}!0123" < high) == (one == other)


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=200)
def test_a_value_is_in_the_range_of_its_prefix(prefix: str, rest: str) -> None:
    prefix = prefix.strip(" \0")
    low, high = prefix_range("pi", keys.encode(prefix))
    assert low <= f"pi!{keys.encode(prefix + rest)}!0123" < high


def test_case_and_padding_do_not_count_in_values() -> None:
    assert keys.encode(" Straße \0") == keys.encode("STRASSE") == "strasse"
    assert keys.encode("é") != keys.encode("e")


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
@settings(max_examples=200)
def test_numbers_sort_as_numbers(one: float, other: float) -> None:
    assert (keys.encode_number(one) < keys.encode_number(other)) == (one < other)
    assert (keys.encode_number(one) == keys.encode_number(other)) == (one == other)


def test_the_newest_sorts_first() -> None:
    assert keys.new_sort_key(2_000) < keys.new_sort_key(1_000)
    assert keys.newest_first(2) < keys.newest_first(1)
    assert len(keys.new_sort_key(1)) == len(keys.newest_first(1)) == 16


@pytest.mark.parametrize(
    ("row_key", "kind", "tail"),
    [
        (keys.ANCHOR, keys.RowKind.ANCHOR, ""),
        (keys.SUMMARY, keys.RowKind.SUMMARY, ""),
        (keys.series_row("1.2"), keys.RowKind.SERIES, "1.2"),
        (keys.pending_row(keys.change_id(5, "1.2", "1.3")), keys.RowKind.PENDING, keys.change_id(5, "1.2", "1.3")),
        (keys.folded_row(keys.change_id(5, "1.2", "1.3")), keys.RowKind.FOLDED, keys.change_id(5, "1.2", "1.3")),
        (keys.cleanup_row(7, "ab"), keys.RowKind.CLEANUP, "00000007!ab"),
        (keys.instance_row("1.2", "1.3"), keys.RowKind.INSTANCE, "1.2!1.3"),
    ],
)
def test_a_row_key_tells_which_row_it_is(row_key: str, kind: keys.RowKind, tail: str) -> None:
    assert (keys.kind_of(row_key), keys.tail_of(row_key)) == (kind, tail)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
@settings(max_examples=100)
def test_the_text_of_a_change_id_sorts_as_the_id(one: int, other: int) -> None:
    ids = [keys.ChangeId(version, keys.instance_digest("1.2", "1.3")) for version in (one, other)]
    assert [keys.ChangeId.parse(str(each)) for each in ids] == ids
    assert (str(ids[0]) < str(ids[1])) == (ids[0] < ids[1])
