"""Odd files that Part10Reader refuses: which ones can be made sense of, and which nobody should."""

import struct
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import private_dictionaries

from shared.dicom.part10.file_reader import InvalidPart10, Part10, Part10Reader, read_whole, second_opinion
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
    nested,
    unknown_vr,
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
    assert replace(second_opinion(data, strict=True, keep_text=keep), odd=False) == read
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
    read = second_opinion(data + padding)
    reader = Part10Reader(strict=False)
    reader.feed(data)
    assert read.attributes == reader.finish().attributes
    assert read.length == len(data) + len(padding)


@pytest.mark.spec("STOW-18")
def test_a_sequence_whose_item_claims_more_than_it_has_is_of_unknown_vr() -> None:
    claims = item(b"12345678", length=24)
    for body in (explicit(0x00231080, "SQ", claims), explicit(0x00400275, "SQ", claims)):
        read = odd(raw_part10(identified(body + explicit(0x00401001, "SH", "R"))))
        tag = list(read.attributes)[-2]
        assert read.attributes[tag] == {"vr": "UN", "BulkDataURI": tag}
        assert read.attributes["00401001"]["Value"] == ["R"]
        assert [f"{oddity.tag:08X}" for oddity in read.oddities] == [tag]


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


AFTER = explicit(0x00321060, "LO", "Requested")
NESTED = pytest.mark.parametrize("depth", [0, 1, 3])


def innermost(read: Part10, depth: int) -> dict[str, Any]:
    attributes: dict[str, Any] = read.attributes
    for _ in range(depth):
        attributes = attributes["00081140"]["Value"][0]
    return attributes


@pytest.mark.spec("STOW-17")
@NESTED
@pytest.mark.parametrize("long", [True, False])
@pytest.mark.parametrize("code", [b"ZZ", b"UK", b"zz"])
@pytest.mark.parametrize("value", [b"", b"abcdefgh", bytes(8), bytes(70_000)])
def test_an_unknown_vr_of_letters_hides_nothing_that_follows(code: bytes, value: bytes, long: bool, depth: int) -> None:
    if not long and len(value) > 0xFFFF:
        return
    body = unknown_vr(code, value, long=long) + AFTER
    read = odd(raw_part10(nested(body, depth) + explicit(0x00400253, "SH", "R")))
    inner = innermost(read, depth)
    path = "00081140/1/" * depth + "00291010"
    assert inner["00291010"] == ({"vr": "UN", "BulkDataURI": path} if value else {"vr": "UN"})
    assert inner["00321060"]["Value"] == ["Requested"]
    assert read.attributes["00400253"]["Value"] == ["R"]
    assert [oddity.tag for oddity in read.oddities] == [0x00291010]


@pytest.mark.spec("STOW-17")
@NESTED
@pytest.mark.parametrize("code", [b"--", b"  ", b"??", b"\0\0", b"1A"])
def test_a_vr_without_letters_is_that_of_the_dictionary(code: bytes, depth: int) -> None:
    body = unknown_vr(code, b"G000", 0x001021B0) + unknown_vr(code, b"G000") + AFTER
    inner = innermost(odd(raw_part10(nested(body, depth))), depth)
    assert inner["001021B0"] == {"vr": "LT", "Value": ["G000"]}
    assert inner["00291010"]["vr"] == "UN"
    assert inner["00321060"]["Value"] == ["Requested"]


@NESTED
def test_an_element_without_vr_is_read_as_implicit(depth: int) -> None:
    body = implicit(0x00100020, "AB12") + implicit(0x00102202, item(implicit(0x00080100, "A"))) + AFTER
    read = odd(raw_part10(nested(body, depth)))
    inner = innermost(read, depth)
    assert inner["00100020"]["Value"] == ["AB12"]
    assert inner["00321060"]["Value"] == ["Requested"]


@pytest.mark.spec("STOW-17")
@pytest.mark.parametrize("code", [b"ZZ", b"--"])
def test_an_unknown_vr_whose_length_fits_nothing_is_refused_by_its_tag(code: bytes) -> None:
    body = unknown_vr(code, long=True, length=99) + AFTER
    with pytest.raises(InvalidPart10) as refused:
        odd(raw_part10(body))
    assert refused.value.tag == 0x00291010


@pytest.mark.spec("STOW-17")
@pytest.mark.parametrize("cut", range(1, 12))
def test_a_file_that_is_cut_in_an_element_numbered_zero_is_refused(cut: int) -> None:
    body = identified(explicit(0x7FE00000, "UL", b"\4\0\0\0"))
    with pytest.raises(InvalidPart10):
        odd(raw_part10(body[:-cut]))


@pytest.mark.spec("STOW-17")
@settings(deadline=None)
@given(st.binary(min_size=2, max_size=2), st.binary(max_size=40), st.integers(0, 2), st.booleans())
def test_what_follows_an_element_of_any_vr_is_there_or_the_file_is_refused(
    code: bytes, value: bytes, depth: int, long: bool
) -> None:
    body = unknown_vr(code, value, long=long) + AFTER
    try:
        read = read_whole(raw_part10(nested(body, depth)))
    except InvalidPart10:
        return
    assert innermost(read, depth)["00321060"]["Value"] == ["Requested"]


@pytest.mark.spec("STOW-18")
@pytest.mark.parametrize("first", [b"", explicit(0x00080000, "UL", b"\x0c\0\0\0")])
def test_a_sequence_of_explicit_items_that_a_relay_wrote_as_un_is_read(first: bytes) -> None:
    body = explicit(0x00102202, "UN", item(first + explicit(0x00080100, "SH", "CODE"))) + AFTER
    read = odd(raw_part10(body))
    assert read.attributes["00102202"] == {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["CODE"]}}]}
    assert read.attributes["00321060"]["Value"] == ["Requested"]


@pytest.mark.spec("STOW-18")
@pytest.mark.parametrize("value", [b"no items", item(b"12345678", length=24), item(b"\1\2\3\4\5\6\7\x08" * 2)])
def test_a_sequence_that_a_relay_wrote_as_un_and_that_has_no_items_stays_un(value: bytes) -> None:
    read = odd(raw_part10(explicit(0x00102202, "UN", value) + AFTER))
    assert read.attributes["00102202"] == {"vr": "UN", "BulkDataURI": "00102202"}
    assert read.attributes["00321060"]["Value"] == ["Requested"]
    assert [oddity.tag for oddity in read.oddities] == [0x00102202]


@pytest.mark.spec("META-4", "STOW-18")
def test_a_private_sequence_of_implicit_vr_that_cannot_be_read_is_of_unknown_vr() -> None:
    def of(value: bytes) -> bytes:
        return raw_part10(implicit(0x00290010, "NOBODY") + implicit(0x00291010, value), ILE)

    creator = next(
        creator for creator, elements in private_dictionaries.items() if elements.get("0029xx10", ("",))[0] == "SQ"
    )

    def in_block(value: bytes) -> bytes:
        return raw_part10(implicit(0x00290010, creator) + implicit(0x00291010, value) + implicit(0x00321060, "R"), ILE)

    assert read_whole(of(b"SV10")).attributes["00291010"]["vr"] == "UN"
    sequence = read_whole(in_block(item(implicit(0x00080100, "A"))))
    assert sequence.attributes["00291010"]["Value"] == [{"00080100": {"vr": "SH", "Value": ["A"]}}]
    other = read_whole(in_block(b"no items"))
    assert other.attributes["00291010"] == {"vr": "UN", "BulkDataURI": "00291010"}
    assert other.attributes["00321060"]["Value"] == ["R"]


REPEATED = {
    "text": explicit(0x00081030, "LO", "same"),
    "private creator": explicit(0x00090010, "LO", "ACME"),
    "padding": explicit(0xFFFCFFFC, "OB", bytes(6)),
    "sequence": explicit(0x00081140, "SQ", item(explicit(0x00081150, "UI", "1.2.3"))),
    "character set": explicit(0x00080005, "CS", "ISO_IR 100"),
}


@pytest.mark.spec("STOW-19")
@NESTED
@pytest.mark.parametrize("one", REPEATED.values(), ids=REPEATED.keys())
def test_identical_elements_count_once(one: bytes, depth: int) -> None:
    alone = read_whole(raw_part10(nested(one, depth)))
    twice = odd(raw_part10(nested(one + one, depth)))
    apart = odd(raw_part10(nested(one + explicit(0x00100020, "LO", "P") + one, depth)))
    assert twice.attributes == alone.attributes
    assert len(innermost(apart, depth)) == 2
    assert twice.oddities == ()


@pytest.mark.spec("STOW-19")
@NESTED
@pytest.mark.parametrize("one", REPEATED.values(), ids=REPEATED.keys())
def test_differing_elements_are_refused_by_their_tag(one: bytes, depth: int) -> None:
    other = bytearray(one)
    other[-1] ^= 1
    with pytest.raises(InvalidPart10) as refused:
        odd(raw_part10(nested(one + bytes(other), depth)))
    group, number = struct.unpack_from("<HH", one)
    assert refused.value.tag == group << 16 | number


@pytest.mark.spec("STOW-15")
@pytest.mark.parametrize("unit", [item(), item(explicit(0x00080060, "CS", "CT"))], ids=["items", "elements"])
def test_the_number_of_elements_does_not_matter(unit: bytes) -> None:
    read = odd(raw_part10(ODD + explicit(0x00081140, "SQ", unit * 60_000)))
    assert len(read.attributes["00081140"]["Value"]) == 60_000


def test_pydicom_is_not_imported_to_read_a_file() -> None:
    program = (
        "import sys; from shared.dicom.part10.file_reader import read_whole;"
        "read_whole(sys.stdin.buffer.read());"
        "sys.exit(any(name in sys.modules for name in ('pydicom', 'numpy')))"
    )
    subprocess.run([sys.executable, "-c", program], input=raw_part10(identified(ODD)), check=True)
