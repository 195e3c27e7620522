"""From what a file holds of a frame to what is sent."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate

from shared.dicom.errors import DamagedPixelData
from shared.retrieve.frames.frame_bytes import FragmentJoiner, group_fragments, native_bytes


def item(data):
    return b"\xfe\xff\x00\xe0" + len(data).to_bytes(4, "little") + data


DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"


def joined(*chunks):
    joiner = FragmentJoiner()
    pieces = [piece for chunk in chunks for piece in joiner.feed(chunk)]
    joiner.finish()
    return b"".join(pieces)


@pytest.mark.spec("FRM-5")
@settings(max_examples=100)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.lists(st.integers(0, 250), max_size=6))
def test_fragments_are_joined_however_the_bytes_arrive(fragments, cuts):
    data = b"".join(map(item, fragments)) + DELIMITER
    at = [0, *sorted(cut % len(data) for cut in cuts), len(data)]
    assert joined(*(data[start:end] for start, end in pairwise(at))) == b"".join(fragments)


@pytest.mark.spec("ERR-4")
@pytest.mark.parametrize("data", [b"no item at all!!", item(b"whole") + b"\xfe\xff", item(b"cut short")[:-2]])
def test_what_is_no_sequence_of_whole_fragments_is_damage(data):
    with pytest.raises(DamagedPixelData):
        joined(data)


@pytest.mark.spec("FRM-5", "REND-13")
def test_frames_that_share_words_of_the_other_byte_order_are_cut_out_of_them():
    frames = [b"abc", b"def", b"ghi"]
    stored = b"badcfehg\0i"
    assert native_bytes(stored[:4], 0, 24, 2) == frames[0]
    assert native_bytes(stored[2:6], 8, 24, 2) == frames[1]
    assert native_bytes(stored[6:10], 0, 24, 2) == frames[2]
    assert native_bytes(bytes(range(16)), 0, 128, 8) == bytes([*range(7, -1, -1), *range(15, 7, -1)])


@pytest.mark.spec("FRM-5")
def test_large_frames_of_single_bits_are_moved_piece_by_piece():
    number = int.from_bytes(b"\xa5\x3c\x01" * 200_000, "little")
    data = (number << 3).to_bytes(600_001, "little")
    assert native_bytes(data, 3, 4_799_999) == (number & ((1 << 4_799_999) - 1)).to_bytes(600_000, "little")


@pytest.mark.spec("FRM-5")
@settings(max_examples=100)
@given(st.integers(1, 40), st.integers(1, 6), st.randoms(use_true_random=False))
def test_frames_of_single_bits_are_cut_out_where_they_begin(bits, frames, random):
    numbers = [random.getrandbits(bits) for _ in range(frames)]
    packed = sum(number << (bits * n) for n, number in enumerate(numbers))
    data = packed.to_bytes((bits * frames + 7) // 8, "little")
    for n, number in enumerate(numbers):
        start, shift = divmod(bits * n, 8)
        length = (shift + bits + 7) // 8
        got = native_bytes(data[start : start + length], shift, bits)
        assert got == number.to_bytes((bits + 7) // 8, "little")


def jpeg(n, length=50):
    return b"\xff\xd8" + bytes([n]) * length + b"\xff\xd9"


@pytest.mark.spec("FRM-7")
def test_fragments_without_an_offset_table_are_grouped_by_the_end_marker():
    frames = [jpeg(1), jpeg(2), jpeg(3, 52)]
    head = b"header of the file"
    pieces = [item(frame[at : at + 20]) for frame in frames for at in range(0, len(frame), 20)]
    data = head + item(b"") + b"".join(pieces) + DELIMITER
    offsets = group_fragments(data, len(head), 3)
    assert offsets is not None
    assert [joined(data[a:b]) for a, b in pairwise(offsets)] == frames


@pytest.mark.spec("FRM-7")
def test_an_end_marker_may_be_followed_by_padding():
    data = encapsulate([jpeg(1, 51), jpeg(2, 51)], fragments_per_frame=2, has_bot=False)
    assert group_fragments(data, 0, 2) is not None


@pytest.mark.spec("FRM-7")
def test_all_fragments_of_a_single_frame_belong_to_it():
    data = item(b"") + item(b"ab") + item(b"cd") + DELIMITER
    assert group_fragments(data, 0, 1) == (8, 28)


@pytest.mark.spec("FRM-7")
@pytest.mark.parametrize(
    "data",
    [
        item(b"") + item(jpeg(1)) + DELIMITER,
        item(b"") + item(jpeg(1)) + item(jpeg(2)) + item(b"more") + DELIMITER,
        item(b"") + item(jpeg(1)) + item(jpeg(2)[:20]),
        item(b"") + item(jpeg(1)) + item(jpeg(2))[:20],
        b"",
    ],
)
def test_fragments_that_cannot_be_told_apart_are_left_alone(data):
    assert group_fragments(data, 0, 2) is None
