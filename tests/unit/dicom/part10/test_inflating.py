"""Deflated bytes in pieces: the same bytes, and never many at one go."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicom.part10 import inflating
from shared.dicom.part10.inflating import PIECE, Inflater, inflated


def deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


@pytest.mark.spec("STOW-46")
@pytest.mark.parametrize("length", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE - 258, 3 * PIECE, 20 * PIECE + 7])
def test_a_stream_is_inflated_to_its_end_in_bounded_pieces(length: int) -> None:
    inflater = Inflater()
    pieces = list(inflater.pieces(deflated(bytes(length))))
    assert b"".join(pieces) == bytes(length)
    assert all(len(piece) <= PIECE for piece in pieces)
    assert (inflater.ended, inflater.trailing) == (True, 0)


@given(st.binary(max_size=300), st.integers(1, 40), st.integers(1, 9), st.binary(max_size=20))
def test_parts_of_any_size_make_the_same_bytes(data: bytes, times: int, size: int, behind: bytes) -> None:
    stream = deflated(data * times) + behind
    inflater = Inflater()
    found = b"".join(piece for at in range(0, len(stream), size) for piece in inflater.pieces(stream[at : at + size]))
    assert found == data * times
    assert (inflater.ended, inflater.trailing) == (True, len(behind))


def test_what_is_behind_the_end_is_counted_over_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflating, "_SLICE", 5)
    inflater = Inflater()
    assert b"".join(inflater.pieces(deflated(b"some bytes") + bytes(23))) == b"some bytes"
    assert inflater.trailing == 23


@pytest.mark.parametrize(
    ("limit", "found", "whole"), [(5, b"12345", False), (9, b"123456789", True), (100, b"123456789", True)]
)
def test_no_more_than_the_limit_is_kept(limit: int, found: bytes, whole: bool) -> None:
    assert inflated(deflated(b"123456789"), limit) == (found, whole)


def test_a_stream_that_is_cut_is_not_whole() -> None:
    data, whole = inflated(deflated(bytes(range(256)) * 9)[:-3], 1 << 20)
    assert not whole
    assert (bytes(range(256)) * 9).startswith(data)
