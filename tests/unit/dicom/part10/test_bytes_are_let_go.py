"""Reading keeps none of the bytes of a file: the garbage collector, which would have to find them, is kept away from
large data sets.
"""

import gc
import sys
import weakref
from contextlib import suppress

import pytest

from shared.dicom.part10.file_meta import read_file_meta
from shared.dicom.part10.file_reader import InvalidPart10, Part10Reader, bare_references, read_whole, second_opinion
from tests.builders.part10_bytes import (
    DEFL,
    ILE,
    SOP_CLASS,
    SOP_INSTANCE,
    encapsulated,
    explicit,
    identified,
    implicit,
    part10,
)

JPEG = "1.2.840.10008.1.2.4.50"
LARGE = explicit(0x00420011, "OB", bytes(100_000))
FILES = {
    "native": part10(identified(LARGE)),
    "encapsulated": part10(identified(encapsulated(b"\xff\xd8", bytes(100_000))), JPEG),
    "deflated": part10(identified(LARGE), DEFL),
    "implicit": part10(implicit(0x00080018, "1.2", vr="UI") + implicit(0x00100020, b"P" * 60_000, vr="LO"), ILE),
    "odd": part10(identified(explicit(0x00081030, "LO", "a") * 2 + LARGE)),
    "cut short": part10(identified(LARGE))[:50_000],
    "deflated, cut short": part10(identified(explicit(0x00100021, "LO", "ab") * 9999), DEFL)[:-30],
    "no file": b"\r\n" * 50_000,
}


def in_chunks(data: bytes) -> None:
    reader = Part10Reader(strict=True)
    for at in range(0, len(data), 40_000):
        reader.feed(data[at : at + 40_000])
    reader.finish()


@pytest.fixture
def without_collector():
    gc.disable()
    yield
    gc.enable()


@pytest.mark.spec("STOW-50", "STOW-46")
@pytest.mark.parametrize("read", [read_whole, second_opinion, read_file_meta, bare_references, in_chunks])
@pytest.mark.parametrize("name", FILES)
def test_the_bytes_of_a_file_are_let_go(without_collector, read, name):
    data = bytes(bytearray(FILES[name]))
    before = sys.getrefcount(data)
    with suppress(InvalidPart10):
        read(data)
    assert sys.getrefcount(data) == before


@pytest.mark.spec("STOW-50", "STOW-46")
@pytest.mark.parametrize("name", FILES)
def test_a_reader_that_has_ended_is_in_no_ring(without_collector, name):
    reader = Part10Reader(strict=False)
    with suppress(InvalidPart10):
        reader.feed(FILES[name])
        reader.finish()
    gone = weakref.ref(reader)
    del reader
    assert gone() is None


@pytest.mark.spec("STOW-37")
def test_what_a_failed_file_says_of_itself_is_still_known():
    reader = Part10Reader(strict=False)
    with pytest.raises(InvalidPart10):
        reader.feed(part10(identified(b"\xff" * 40)))
    assert reader.references == (SOP_CLASS, SOP_INSTANCE)
