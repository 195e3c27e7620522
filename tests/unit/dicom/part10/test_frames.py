import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dicom.part10.frames import (
    FrameTable,
    encapsulated_frame,
    encapsulated_frames,
    native_frame,
    native_frames,
    pack,
    starts_codestream,
    strip_items,
    unpack,
)
from tests.builders.part10_bytes import item


def native(**changes: int | None) -> FrameTable | None:
    facts = {"count": 3, "first": 100, "length": 72, "pixels": 12, "samples": 1, "bits_allocated": 16, "subsampled": 0}
    return native_frames(**(facts | changes))


@pytest.mark.spec("FRM-5")
def test_native_frames_follow_one_another() -> None:
    table = native()
    assert table == FrameTable(count=3, first=100, bits=192)
    assert not table.encapsulated
    assert [native_frame(table, number) for number in range(3)] == [(100, 24, 0), (124, 24, 0), (148, 24, 0)]


def test_padding_after_native_frames_belongs_to_none() -> None:
    assert native(length=73) == native()


@pytest.mark.parametrize("changes", [{"length": 23}, {"pixels": 0}, {"count": 0}, {"bits_allocated": 0}])
def test_pixel_data_without_a_whole_frame_have_no_table(changes: dict[str, int]) -> None:
    assert native(**changes) is None


@pytest.mark.spec("FRM-12")
def test_frames_that_are_not_whole_do_not_count() -> None:
    for changes, count in (({"length": 71}, 2), ({"count": 4}, 3), ({"length": 47}, 1)):
        assert native(**changes) == FrameTable(count=count, first=100, bits=192)


@pytest.mark.spec("FRM-11")
@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 3),
        ({"length": 71}, 2),
        ({"length": 24}, 1),
        ({"pixels": 1, "bits_allocated": 8, "length": 2}, 1),
        ({"pixels": 1, "bits_allocated": 8, "length": 4}, 3),
        ({"pixels": 4, "bits_allocated": 1, "length": 2}, 3),
    ],
)
def test_the_length_tells_the_number_of_frames_where_nothing_else_does(changes: dict[str, int], count: int) -> None:
    table = native(count=None, **changes)
    assert table is not None
    assert table.count == count


@pytest.mark.spec("FRM-11")
@pytest.mark.parametrize(("length", "count", "bits"), [(72, 3, 192), (36, 1, 288), (24, 1, 192), (48, 2, 192)])
def test_the_length_tells_whether_frames_of_no_number_are_subsampled(length: int, count: int, bits: int) -> None:
    table = native(count=None, samples=3, bits_allocated=8, subsampled=1, length=length)
    assert table == FrameTable(count=count, first=100, bits=bits)


@pytest.mark.spec("FRM-5")
def test_frames_of_single_bits_need_not_start_on_a_byte() -> None:
    table = native(pixels=15, bits_allocated=1, length=6)
    assert table is not None
    assert [native_frame(table, number) for number in range(3)] == [(100, 2, 0), (101, 3, 7), (103, 3, 6)]


def test_subsampled_frames_have_two_samples_for_each_pixel() -> None:
    table = native(samples=3, bits_allocated=8, subsampled=1, length=72)
    assert table is not None
    assert table.bits == 192


def test_frames_that_are_only_said_to_be_subsampled_have_all_samples() -> None:
    table = native(samples=3, bits_allocated=8, subsampled=1, length=108)
    assert table is not None
    assert table.bits == 288


def encapsulated(
    fragments: list[int], count: int | None, *tables: list[int], codestreams: str = "", one_each: bool = False
) -> FrameTable | None:
    return encapsulated_frames(
        count=count,
        fragments=fragments,
        codestreams=[mark == "x" for mark in codestreams.ljust(len(fragments), "-")],
        end=1000,
        offset_tables=tables,
        one_each=one_each,
    )


@pytest.mark.spec("CON-4", "FRM-7")
def test_each_fragment_is_a_frame_when_there_are_as_many() -> None:
    table = encapsulated([100, 200, 350], 3)
    assert table == FrameTable(count=3, offsets=(100, 200, 350, 1000))
    assert [encapsulated_frame(table, number) for number in range(3)] == [(100, 100), (200, 150), (350, 650)]


def test_all_fragments_are_the_only_frame() -> None:
    assert encapsulated([100, 200, 350], 1) == FrameTable(count=1, offsets=(100, 1000))


@pytest.mark.spec("FRM-7")
def test_an_offset_table_says_which_fragments_make_up_a_frame() -> None:
    assert encapsulated([100, 200, 350], 2, [0, 250]) == FrameTable(count=2, offsets=(100, 350, 1000))


def test_the_first_offset_table_that_fits_is_used() -> None:
    assert encapsulated([100, 200, 350], 2, [], [0, 100]) == FrameTable(count=2, offsets=(100, 200, 1000))
    assert encapsulated([100, 200, 350], 2, [0, 250], [0, 100]) == FrameTable(count=2, offsets=(100, 350, 1000))


@pytest.mark.parametrize("table", [[0], [0, 100, 250], [100, 250], [0, 101], [250, 0], [0, 0], [0, 900]])
def test_an_offset_table_that_contradicts_the_fragments_is_not_used(table: list[int]) -> None:
    assert encapsulated([100, 200, 350], 2, table) is None


def test_codestreams_tell_frames_apart_where_no_table_does() -> None:
    assert encapsulated([100, 200, 350], 2, codestreams="x-x") == FrameTable(count=2, offsets=(100, 350, 1000))
    assert encapsulated([100, 200, 350], 2, codestreams="xxx") is None
    assert encapsulated([100, 200, 350], 2, codestreams="-xx") is None
    assert encapsulated([100, 200, 350], 2, [0, 7], codestreams="xx-") == FrameTable(count=2, offsets=(100, 200, 1000))


@pytest.mark.spec("FRM-11")
def test_what_tells_frames_apart_tells_their_number_where_nothing_else_does() -> None:
    assert encapsulated([100, 200, 350], None, [0, 250]) == FrameTable(count=2, offsets=(100, 350, 1000))
    assert encapsulated([100, 200, 350], None, codestreams="x-x") == FrameTable(count=2, offsets=(100, 350, 1000))
    assert encapsulated([100, 200], None, one_each=True) == FrameTable(count=2, offsets=(100, 200, 1000))
    assert encapsulated([100, 200, 350], None) == FrameTable(count=1, offsets=(100, 1000))


@pytest.mark.spec("FRM-12")
def test_frames_that_are_missing_at_the_end_hide_no_others() -> None:
    assert encapsulated([100, 200], 3, codestreams="xx") == FrameTable(count=2, offsets=(100, 200, 1000))
    assert encapsulated([100, 200], 3, one_each=True) == FrameTable(count=2, offsets=(100, 200, 1000))
    assert encapsulated([100, 200], 3, [0, 100, 300], codestreams="xx") == FrameTable(2, offsets=(100, 200, 1000))


@pytest.mark.parametrize(("fragments", "count"), [([], 1), ([], 0), ([100], 0), ([100], 2)])
def test_frames_without_fragments_have_no_table(fragments: list[int], count: int) -> None:
    assert encapsulated(fragments, count) is None


def test_codestreams_are_known_by_how_they_start() -> None:
    assert starts_codestream(b"\xff\xd8\xff\xe0")
    assert starts_codestream(b"\xff\x4f\xff\x51")
    assert not starts_codestream(b"\xff\x4f\xff\x00")
    assert not starts_codestream(b"\x00\xff\xd8\xff")
    assert not starts_codestream(b"")


@pytest.mark.spec("FRM-5")
def test_fragments_are_joined_without_their_headers() -> None:
    assert strip_items(item(b"one ") + item() + item(b"two ")) == b"one two "
    assert strip_items(item(b"alone")) == b"alone"
    assert strip_items(b"") == b""


@pytest.mark.parametrize(
    "data", [b"one", item(b"one ")[:-1], item(b"one ") + b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0" + bytes(4)]
)
def test_what_is_no_run_of_items_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="item"):
        strip_items(data)


@settings(max_examples=100)
@given(st.integers(0, 2**40), st.lists(st.integers(8, 2**33), min_size=1, max_size=50))
def test_a_packed_table_is_unpacked_as_it_was(first: int, lengths: list[int]) -> None:
    offsets = [first]
    for length in lengths:
        offsets.append(offsets[-1] + length)
    table = FrameTable(count=len(lengths), offsets=tuple(offsets))
    assert unpack(pack(table)) == table
    flat = FrameTable(count=len(lengths), first=first, bits=lengths[0])
    assert unpack(pack(flat)) == flat


def test_a_packed_table_is_small() -> None:
    table = FrameTable(count=10_000, offsets=tuple(range(1000, 1000 + 10_001 * 30_000, 30_000)))
    assert len(pack(table)) < 1_000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"N",
        b"N" + bytes(23),
        b"E",
        b"E" + bytes(10),
        b"X" + bytes(24),
        pack(FrameTable(count=1, offsets=(1, 9)))[:-1],
    ],
)
def test_other_bytes_are_no_packed_table(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a frame table"):
        unpack(data)


@settings(max_examples=100)
@given(st.binary(max_size=60))
def test_unpacking_never_fails_otherwise(data: bytes) -> None:
    for kind in (b"N", b"E", b""):
        try:
            table = unpack(kind + data)
        except ValueError:
            continue
        assert isinstance(table, FrameTable)


def test_a_packed_bomb_is_refused() -> None:
    import zlib

    bomb = zlib.compress(bytes(8 * ((1 << 22) + 1)), 9)
    with pytest.raises(ValueError, match="not a frame table"):
        unpack(b"E" + bomb)


def test_struct_layout_of_native_tables_is_stable() -> None:
    assert pack(FrameTable(count=3, first=100, bits=192)) == b"N" + struct.pack("<QQQ", 3, 100, 192)
