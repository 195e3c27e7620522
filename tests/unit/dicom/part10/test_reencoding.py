"""Whatever could be read is written again as a correct file; pydicom, told nothing, is the judge."""

import io
import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from shared.dicom.part10.file_reader import Part10, read_whole
from shared.dicom.part10.reencoding import data_set_of
from tests.builders.part10_bytes import (
    DEFL,
    EBE,
    ELE,
    ILE,
    UNDEFINED,
    encapsulated,
    end_of_sequence,
    explicit,
    file_meta,
    identified,
    implicit,
    item,
    nested,
    part10,
    unknown_vr,
)

LIMIT = 1 << 24


def rewritten(data: bytes) -> tuple[Part10, Part10, bytes]:
    """What the file holds, what it holds when it has been written again, and that file."""
    before = read_whole(data)
    data_set, start = data_set_of(data, odd=before.odd, limit=LIMIT)
    written = file_meta(ELE) + data_set[start:]
    return before, read_whole(written), written


AFTER = explicit(0x00321060, "LO", "Requested")
ODD = {
    "zeros behind it": part10(identified(AFTER) + bytes(64)),
    "a newline behind it": part10(identified(AFTER) + b"\n"),
    "deflated, with zeros behind it": part10(identified(AFTER) + bytes(64), DEFL),
    "an element without VR": part10(identified(implicit(0x00280010, b"\1\2") + AFTER)),
    "an unknown VR of 16 bits": part10(identified(unknown_vr(b"ZZ", b"ab") + AFTER)),
    "an unknown VR of 32 bits": part10(identified(unknown_vr(b"ZZ", b"abcdefgh", long=True) + AFTER)),
    "a VR without letters": part10(identified(unknown_vr(b"--", b"G000", 0x001021B0) + AFTER)),
    "an unknown VR in an item": part10(identified(explicit(0x00321064, "SQ", item(unknown_vr(b"ZZ", b"ab"))))),
    "explicit VR under implicit": part10(identified(AFTER), ILE),
    "implicit VR under explicit": part10(
        implicit(0x00080060, "CT") + implicit(0x00321064, item(implicit(0x00080100, "A")))
    ),
    "explicit items under implicit": part10(implicit(0x00321064, item(explicit(0x00080100, "SH", "A"))), ILE),
    "implicit items under explicit": part10(identified(explicit(0x00321064, "SQ", item(implicit(0x00080100, "A"))))),
    "explicit items in UN": part10(explicit(0x00102202, "UN", item(explicit(0x00080100, "SH", "A"))) + AFTER),
    "no items in UN": part10(explicit(0x00102202, "UN", b"12345678") + AFTER),
    "UN of undefined length": part10(
        explicit(0x00291010, "UN", item(implicit(0x00080100, "A"), delimited=True), length=UNDEFINED)
        + end_of_sequence()
        + AFTER
    ),
    "an item that claims too much": part10(explicit(0x00231080, "SQ", item(b"12345678", length=24)) + AFTER),
    "repeated elements": part10(identified(AFTER + AFTER)),
    "elements in the wrong order": part10(
        AFTER + explicit(0x00080005, "CS", "ISO_IR 192") + explicit(0x00081030, "LO", "é")
    ),
    "wrong group lengths": part10(explicit(0x00080000, "UL", b"\x99\x99\0\0") + identified(AFTER) + b"\n"),
    "foreign groups": part10(explicit(0x00000002, "UI", "1.2") + identified(AFTER) + explicit(0x00020010, "UI", ILE)),
    "a value of odd length": part10(explicit(0x00081030, "LO", b"", length=3) + b"odd" + AFTER + b"\n"),
    "private elements of implicit VR": part10(
        implicit(0x70530010, "Philips PET Private Group") + implicit(0x70531000, "0.5"), ILE
    ),
    "big endian": part10(
        explicit(0x00280010, "US", b"\1\2", order=">") + explicit(0x00720026, "AT", b"\0\x08\0\x60", order=">"), EBE
    ),
}


@pytest.mark.spec("WADO-19")
@pytest.mark.parametrize("data", ODD.values(), ids=ODD.keys())
def test_what_could_be_read_is_written_again(data: bytes) -> None:
    before, after, written = rewritten(data)
    assert after.attributes == before.attributes
    assert after.odd is bool(after.oddities)  # what is UN in place of a sequence stays so
    assert not after.implicit_vr
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = pydicom.dcmread(io.BytesIO(written))
    raw = [dataset.get_item(tag) for tag in list(dataset.keys())]
    assert all(getattr(element, "length", 0) in {UNDEFINED, *range(0, 100, 2)} for element in raw)
    assert [f"{element.tag:08X}" for element in dataset] == list(before.attributes)


@pytest.mark.spec("WADO-19", "JSON-12")
def test_elements_of_commands_and_file_meta_information_are_not_written_again() -> None:
    *_, written = rewritten(ODD["foreign groups"])
    assert not [element for element in pydicom.dcmread(io.BytesIO(written)) if element.tag.group in {0, 2}]


@pytest.mark.spec("WADO-19")
def test_encapsulated_values_of_odd_files_are_kept() -> None:
    pixels = encapsulated(b"\xff\xd8one ", b"two ", offsets=b"\0\0\0\0")
    data = part10(unknown_vr(b"ZZ", b"ab") + pixels + bytes(64), "1.2.840.10008.1.2.4.50")
    data_set, start = data_set_of(data, odd=True, limit=LIMIT)
    assert data_set[start:].endswith(pixels)


@pytest.mark.spec("WADO-19")
def test_any_number_of_elements_is_written_again() -> None:
    items = item(explicit(0x00081150, "UI", "1.2.3")) * 60_000
    before, after, _ = rewritten(part10(explicit(0x00081140, "SQ", items) + b"\n"))
    assert len(after.attributes["00081140"]["Value"]) == 60_000
    assert after.attributes == before.attributes


@pytest.mark.spec("WADO-19")
def test_a_file_that_is_implicit_although_it_promises_otherwise_is_as_pydicom_reads_it() -> None:
    path = Path(get_testdata_file("SC_rgb_jpeg.dcm", download=False))
    data = path.read_bytes()
    data_set, start = data_set_of(data, odd=read_whole(data).odd, limit=LIMIT)
    ours = pydicom.dcmread(io.BytesIO(file_meta("1.2.840.10008.1.2.4.50") + data_set[start:]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of just that
        theirs = pydicom.dcmread(path)
    assert [(each.tag, each.value) for each in ours] == [(each.tag, each.value) for each in theirs if each.tag.element]


VALUES: dict[str, Any] = {
    "LO": st.text("ABC", max_size=20),
    "UL": st.binary(min_size=4, max_size=4),
    "OB": st.binary(max_size=9),
}
ELEMENTS = st.dictionaries(
    st.sampled_from([0x00091001, 0x00091010, 0x00291010, 0x00291020, 0x00291030]),
    st.sampled_from(["LO", "UL", "OB", "ZZ", "--"]).flatmap(
        lambda vr: st.tuples(st.just(vr), VALUES.get(vr, st.binary(max_size=8).map(lambda v: v + bytes(len(v) % 2))))
    ),
    max_size=5,
)


def of(elements: dict[int, tuple[str, Any]], depth: int) -> bytes:
    body = b"".join(
        explicit(tag, vr, value) if vr in VALUES else unknown_vr(vr.encode(), value, tag)
        for tag, (vr, value) in sorted(elements.items())
    )
    return nested(body, depth, behind=AFTER)


@pytest.mark.spec("WADO-19", "STOW-17")
@settings(deadline=None, max_examples=200)
@given(ELEMENTS, st.integers(0, 3), st.sampled_from([b"", bytes(7), bytes(64), b"\n"]))
def test_a_file_of_any_oddities_is_written_again_as_it_was_read(
    elements: dict[int, tuple[str, Any]], depth: int, behind: bytes
) -> None:
    before, after, _ = rewritten(part10(of(elements, depth) + AFTER + behind))
    assert after.attributes == before.attributes
    assert before.attributes["00321060"]["Value"] == ["Requested"]
