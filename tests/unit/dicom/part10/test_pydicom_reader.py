"""Odd files that Part10Reader refuses: which ones pydicom can make sense of, and which nobody should."""

import logging
import subprocess
import sys
import warnings
from typing import Any

import pytest

from shared.dicom.part10.file_reader import InvalidPart10, Part10, Part10Reader, second_opinion
from shared.dicom.part10.frames import encapsulated_frame, strip_items
from tests.builders.datasets import add_private, ct, part10
from tests.builders.part10_bytes import (
    DEFL,
    EBE,
    ELE,
    ILE,
    UNDEFINED,
    encapsulated,
    end_of_sequence,
    explicit,
    identified,
    implicit,
    item,
)
from tests.builders.part10_bytes import part10 as raw_part10


def odd(data: bytes, **options: Any) -> Part10:
    """The second opinion on a file that the fast reader refuses."""
    reader = Part10Reader(strict=False)
    with pytest.raises(InvalidPart10):  # noqa: PT012 - either may be the one that refuses
        reader.feed(data)
        reader.finish()
    return second_opinion(data, **options)


@pytest.mark.parametrize("syntax", [ELE, ILE, EBE, DEFL])
def test_on_an_ordinary_file_both_agree(syntax: str) -> None:
    data = part10(add_private(ct(StudyDate="20240230"), 2), syntax)
    keep = frozenset({0x00100010, 0x00080020, 0x00280010})
    reader = Part10Reader(strict=True, keep_text=keep)
    reader.feed(data)
    read = reader.finish()
    assert second_opinion(data, strict=True, keep_text=keep) == read
    assert [violation.tag for violation in read.violations] == [0x00080020]
    assert list(read.text) == ["00080020", "00100010", "00280010"]


@pytest.mark.spec("STOW-15")
def test_implicit_vr_where_explicit_is_promised_is_read_as_what_it_is() -> None:
    body = (
        implicit(0x00080060, "CT")
        + implicit(0x00280010, b"\1\2")
        + implicit(0x00400275, item(implicit(0x00080100, "A")))
    )
    read = odd(raw_part10(body, ELE))
    assert read.implicit_vr
    assert read.transfer_syntax_uid == ELE
    assert read.attributes == {
        "00080060": {"vr": "CS", "Value": ["CT"]},
        "00280010": {"vr": "US", "Value": [513]},
        "00400275": {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["A"]}}]},
    }


def test_explicit_vr_where_implicit_is_promised_is_read_as_what_it_is() -> None:
    read = odd(raw_part10(identified(explicit(0x00280010, "US", b"\1\2")), ILE))
    assert not read.implicit_vr
    assert read.attributes["00280010"] == {"vr": "US", "Value": [513]}


def test_items_in_implicit_vr_in_a_file_of_explicit_vr_are_read() -> None:
    body = explicit(0x00400275, "SQ", item(implicit(0x00080100, "A"))) + explicit(0x00401001, "SH", "R")
    assert odd(raw_part10(identified(body))).attributes["00400275"]["Value"] == [
        {"00080100": {"vr": "SH", "Value": ["A"]}}
    ]


def test_an_element_of_an_unknown_vr_is_a_bulk_value() -> None:
    read = odd(raw_part10(explicit(0x00091001, "ZZ", b"12") + explicit(0x00100020, "LO", "P-1")))
    assert read.attributes["00091001"] == {"vr": "UN", "BulkDataURI": "00091001"}
    assert read.attributes["00100020"]["Value"] == ["P-1"]


@pytest.mark.parametrize("padding", [bytes(2), bytes(8), bytes(4096), b"\n"])
def test_padding_after_the_data_set_is_passed_over(padding: bytes) -> None:
    data = raw_part10(identified(explicit(0x7FE00010, "OW", b"1234")))
    read = odd(data + padding)
    reader = Part10Reader(strict=False)
    reader.feed(data)
    assert read.attributes == reader.finish().attributes
    assert read.length == len(data) + len(padding)


def test_a_sequence_whose_length_is_too_small_for_its_items_is_read() -> None:
    body = explicit(0x00400275, "SQ", item(explicit(0x00080100, "SH", "A")), length=8)
    assert odd(raw_part10(identified(body))).attributes["00400275"]["vr"] == "SQ"


def test_frames_of_an_odd_file_are_found() -> None:
    pixels = encapsulated(b"one ", b"two ", b"three ", offsets=b"\0\0\0\0\x0c\0\0\0")
    body = explicit(0x00091001, "ZZ", b"12") + explicit(0x00280008, "IS", "2") + pixels
    data = raw_part10(body, "1.2.840.10008.1.2.4.50")
    read = odd(data)
    assert read.frames is not None
    places = [encapsulated_frame(read.frames, number) for number in range(2)]
    assert [strip_items(data[offset : offset + length]) for offset, length in places] == [b"one ", b"two three "]
    assert read.pixel_data is not None
    assert read.pixel_data.offset == data.index(pixels) + 12


def test_nested_bulk_values_of_an_odd_file_have_paths() -> None:
    inner = explicit(0x00400440, "SQ", item() + item(explicit(0x00091001, "OB", b"12"), delimited=True))
    body = (
        explicit(0x00091001, "ZZ", b"12")
        + explicit(0x00400275, "SQ", item(inner), length=UNDEFINED)
        + end_of_sequence()
    )
    steps = odd(raw_part10(body)).attributes["00400275"]["Value"][0]["00400440"]["Value"]
    assert steps == [{}, {"00091001": {"vr": "OB", "BulkDataURI": "00400275/1/00400440/2/00091001"}}]


def test_text_is_decoded_by_a_character_set_that_comes_too_late() -> None:
    body = explicit(0x00081030, "LO", "ä".encode()) + explicit(0x00080005, "CS", "ISO_IR 192")
    read = odd(raw_part10(body))
    assert read.attributes["00081030"]["Value"] == ["ä"]
    assert list(read.attributes) == ["00080005", "00081030"]


ODD = explicit(0x00080012, "ZZ", b"12")
HOPELESS = {
    "without preamble": identified(),
    "without transfer syntax": bytes(128) + b"DICM" + explicit(0x00020002, "UI", "1.2") + identified(),
    "without data set": raw_part10(b""),
    "with an element twice": raw_part10(ODD + explicit(0x00100020, "LO", "P1") + explicit(0x00100020, "LO", "P2")),
    "truncated in a value": raw_part10(ODD + explicit(0x00100020, "LO", "P", length=40)),
    "truncated in pixel data": raw_part10(ODD + explicit(0x7FE00010, "OW", b"1234", length=400)),
    "truncated in fragments": raw_part10(ODD + encapsulated(b"one ")[:-10], "1.2.840.10008.1.2.4.50"),
    "truncated in a sequence": raw_part10(ODD + explicit(0x00400275, "SQ", item(), length=100)),
    "truncated in an item": raw_part10(
        ODD + explicit(0x00400275, "SQ", item(explicit(0x00100020, "LO", "P", length=40)))
    ),
    "with file meta information in the data set": raw_part10(
        ODD + explicit(0x00080060, "CS") + explicit(0x00020010, "UI")
    ),
    "with a delimiter at the top": raw_part10(ODD + item(delimited=True)[8:] + explicit(0x00100020, "LO", "P2")),
    "with text of undefined length": raw_part10(
        ODD + explicit(0x0040A160, "UT", b"x", length=UNDEFINED) + end_of_sequence()
    ),
}


@pytest.mark.parametrize("data", HOPELESS.values(), ids=HOPELESS.keys())
def test_a_file_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidPart10) as refused:
        odd(data)
    assert "P2" not in str(refused.value)


class Collected(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def test_nothing_that_pydicom_says_is_logged_or_warned_of() -> None:
    inner = explicit(0x00080005, "CS", "Doe^Jane") + explicit(0x00081030, "LO", "x")
    body = ODD + explicit(0x00400275, "SQ", item(inner, delimited=True), length=UNDEFINED) + end_of_sequence()
    collected = Collected()  # at the root; pytest's own handler is put onto the silenced logger itself
    logging.getLogger().addHandler(collected)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            odd(raw_part10(body))
    finally:
        logging.getLogger().removeHandler(collected)
    assert warned == []
    assert not any("Doe" in text for text in collected.texts)


def test_pydicom_is_not_imported_for_a_file_that_is_read_at_once() -> None:
    program = (
        "import sys; from shared.dicom.part10.file_reader import Part10Reader; r = Part10Reader(strict=True);"
        "r.feed(sys.stdin.buffer.read()); r.finish();"
        "sys.exit(any(name in sys.modules for name in ('pydicom', 'numpy')))"
    )
    subprocess.run([sys.executable, "-c", program], input=part10(ct()), check=True)
