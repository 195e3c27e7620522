"""The strict checker while a file is read (VAL-3 to VAL-7)."""

import struct

import pytest

from shared.dicom.attributes import remove
from shared.dicom.part10.file_reader import Part10, Part10Reader, Violation, second_opinion
from tests.builders.datasets import add_private, ct
from tests.builders.datasets import part10 as written
from tests.builders.part10_bytes import ELE, ILE, UNDEFINED, end_of_sequence, explicit, implicit, item, part10


def read(data: bytes, *, strict: bool = True) -> Part10:
    reader = Part10Reader(strict=strict)
    reader.feed(data)
    return reader.finish()


def found(body: bytes, syntax: str = ELE) -> list[tuple[str, str]]:
    data = part10(body, syntax)
    violations = read(data).violations
    assert second_opinion(data, strict=True).violations == violations
    return [(violation.path, violation.vr) for violation in violations]


@pytest.mark.spec("VAL-3")
@pytest.mark.parametrize("syntax", [ELE, ILE])
def test_a_valid_file_has_no_violations(syntax: str) -> None:
    assert read(written(add_private(ct(), 3), syntax)).violations == ()


@pytest.mark.spec("VAL-4")
def test_nobody_looks_unless_asked_to() -> None:
    assert read(part10(explicit(0x00080020, "DA", "tomorrow")), strict=False).violations == ()


@pytest.mark.spec("VAL-3", "VAL-6", "STOW-36")
def test_a_failing_element_is_reported_and_stays_for_the_caller_to_remove() -> None:
    read_file = read(part10(explicit(0x00080020, "DA", "NotADate") + explicit(0x00080060, "CS", "CT")))
    assert read_file.violations == (
        Violation(0x00080020, "DA", "00080020", "Content does not validate VR DA: not a date YYYYMMDD"),
    )
    assert read_file.attributes["00080020"]["Value"] == ["NotADate"]
    for violation in read_file.violations:
        assert remove(read_file.attributes, violation.path)
    assert list(read_file.attributes) == ["00080060"]


@pytest.mark.spec("VAL-3", "VAL-7")
def test_nested_elements_are_judged_and_reported_by_their_path() -> None:
    bad, good = explicit(0x00080060, "CS", "ct"), explicit(0x00080060, "CS", "CT")
    for options in ({}, {"delimited": True}):
        steps = explicit(0x00400440, "SQ", item(good) + item(bad, **options))
        body = good + explicit(
            0x00400275, "SQ", item(steps + explicit(0x0040A124, "UI", "1.02")) + item(), length=UNDEFINED
        )
        body += end_of_sequence() + explicit(0x00402001, "LO", "a\0b ")
        assert found(body) == [
            ("00400275/1/00400440/2/00080060", "CS"),
            ("00400275/1/0040A124", "UI"),
            ("00402001", "LO"),
        ]


@pytest.mark.spec("VAL-5")
def test_each_failing_element_is_reported_once_with_its_first_problem() -> None:
    (violation,) = read(part10(explicit(0x00080008, "CS", "ORIGINAL\\lower\\ALSO-BAD"))).violations
    assert "does not validate VR CS: characters other than" in violation.explanation
    assert "lower" not in violation.explanation


@pytest.mark.spec("VAL-3")
def test_private_elements_are_judged_but_not_counted() -> None:
    body = (
        explicit(0x00090010, "LO", "CREATOR") + explicit(0x00091001, "CS", "lower") + explicit(0x00091002, "CS", "A\\B")
    )
    assert found(body) == [("00091001", "CS")]


@pytest.mark.spec("VAL-3", "VAL-8")
@pytest.mark.parametrize(
    ("tag", "vr", "value", "count"),
    [
        (0x00100020, "LO", "A\\B", 2),
        (0x00080008, "CS", "ORIGINAL", 1),
        (0x00200032, "DS", "1\\2", 2),
        (0x00280010, "US", b"\1\0\2\0", 2),
        (0x00281101, "US", b"\1\0\2\0", 2),
        (0x00280009, "AT", b"\x20\0\x0d\0", None),
        (0x60000050, "SS", b"\1\0", 1),
        (0x0018115E, "DS", "1\\2\\3", 3),
    ],
)
def test_the_number_of_values_is_judged(tag: int, vr: str, value: bytes | str, count: int | None) -> None:
    violations = read(part10(explicit(tag, vr, value))).violations
    assert len(violations) == (count is not None)
    for violation in violations:
        assert f"does not validate VR {vr}: {count} values" in violation.explanation


@pytest.mark.parametrize("value", [b"", b"  ", b"\0\0"])
def test_no_value_is_never_the_wrong_number_of_values(value: bytes) -> None:
    assert found(explicit(0x00080008, "CS", value)) == []


def test_numbers_that_are_incomplete_are_reported() -> None:
    body = explicit(0x00186016, "UL", b"\1\0") + explicit(0x00280010, "US", b"\1\0\2\0")[:-2].replace(b"\4\0", b"\2\0")
    assert found(body) == [("00186016", "UL")]
    (violation,) = read(part10(explicit(0x00186016, "UL", b"\1\0\0\0\2\0"))).violations
    assert "not a multiple of 4 bytes" in violation.explanation


@pytest.mark.spec("VAL-9")
def test_trailing_nuls_are_trimmed_from_each_value() -> None:
    assert found(explicit(0x00080060, "CS", "X\0")) == []
    assert found(explicit(0x00080008, "CS", "X\0\\Y\0\0 "[:6])) == []
    assert found(explicit(0x00080060, "CS", "X\0X ")) == [("00080060", "CS")]


def test_padding_to_even_length_makes_no_value_too_long() -> None:
    sixteen = "A" * 16
    assert found(explicit(0x00080008, "CS", f"{sixteen}\\{sixteen}")) == []
    assert found(explicit(0x00200032, "DS", "1\\2\\1234567890.12345")) == []
    assert found(explicit(0x0020000D, "UI", "1." * 31 + "1")) == []


@pytest.mark.spec("VAL-3")
def test_lengths_count_characters_not_bytes() -> None:
    body = explicit(0x00080005, "CS", "ISO_IR 192") + explicit(0x00081030, "LO", "é" * 64)
    assert found(body) == []
    assert found(body.replace(b"ISO_IR 192", b"ISO_IR 100")) == [("00081030", "LO")]


@pytest.mark.spec("VAL-3")
def test_implicit_vr_is_judged_by_the_dictionary_and_unknown_elements_pass() -> None:
    body = implicit(0x00080060, "lower") + implicit(0x00091001, "\0\1\2") + implicit(0x00200013, "one")
    assert found(body, ILE) == [("00080060", "CS"), ("00200013", "IS")]


def test_an_explanation_quotes_numbers_and_long_texts_in_part() -> None:
    (violation,) = read(part10(explicit(0x00280010, "US", struct.pack("<3000H", *range(3000))))).violations
    assert len(violation.explanation) < 200
    (violation,) = read(part10(explicit(0x00081030, "LO", "x" * 5000))).violations
    assert len(violation.explanation) < 200
