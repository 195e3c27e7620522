"""What the reader makes of one well-formed element after another; hostile files are in test_hostile_files.py."""

import struct
from typing import Any

import pytest

from shared.dicom.identifiers import InstanceIdentifier
from shared.dicom.part10.file_reader import InvalidPart10, Part10, Part10Reader, second_opinion
from tests.builders.part10_bytes import (
    DEFL,
    EBE,
    ELE,
    ILE,
    SERIES,
    SOP_INSTANCE,
    STUDY,
    UNDEFINED,
    encapsulated,
    end_of_sequence,
    explicit,
    identified,
    implicit,
    item,
    part10,
)


def read(body: bytes, syntax: str = ELE, **options: Any) -> Part10:
    reader = Part10Reader(**{"strict": False} | options)
    reader.feed(part10(body, syntax))
    return reader.finish()


def element(vr: str, value: bytes | str, tag: int = 0x00091001) -> dict[str, Any]:
    """How one element, in explicit VR and alone in its data set, comes out."""
    return read(explicit(tag, vr, value)).attributes[f"{tag:08X}"]


@pytest.mark.spec("JSON-1", "JSON-2")
def test_keys_are_hexadecimal_and_ascend_and_group_lengths_are_left_out() -> None:
    body = explicit(0x00080000, "UL", bytes(4)) + explicit(0x00080016, "UI", "1.2") + explicit(0x0008103E, "LO", "S")
    read_body = read(body + explicit(0x00090000, "UL", bytes(4)) + explicit(0x7FE00000, "UL", bytes(4)))
    assert list(read_body.attributes) == ["00080016", "0008103E"]
    assert "00020000" not in read_body.file_meta


@pytest.mark.spec("JSON-1")
def test_elements_in_the_wrong_order_are_put_into_order() -> None:
    step = explicit(0x00100020, "LO", "P") + explicit(0x00080060, "CS", "CT")
    body = explicit(0x00100010, "PN", "A") + explicit(0x00400275, "SQ", item(step)) + explicit(0x00080020, "DA")
    attributes = read(body).attributes
    assert list(attributes) == ["00080020", "00100010", "00400275"]
    assert list(attributes["00400275"]["Value"][0]) == ["00080060", "00100020"]


@pytest.mark.spec("JSON-3")
@pytest.mark.parametrize("vr", ["AE", "CS", "DS", "PN", "UI", "LT", "US", "AT", "OB", "SQ", "UN", "UR"])
def test_an_element_without_value_has_only_its_vr(vr: str) -> None:
    assert element(vr, b"") == {"vr": vr}


@pytest.mark.spec("JSON-3")
def test_blanks_alone_are_no_value() -> None:
    assert element("LO", "    ") == {"vr": "LO"}
    assert element("DS", "  ") == {"vr": "DS"}
    assert element("PN", "  ") == {"vr": "PN"}


@pytest.mark.spec("JSON-3")
def test_an_empty_value_among_others_is_null() -> None:
    assert element("LO", "A\\\\B")["Value"] == ["A", None, "B"]
    assert element("DS", "1\\ \\3")["Value"] == [1, None, 3]
    assert element("PN", "A^B\\\\C")["Value"] == [{"Alphabetic": "A^B"}, None, {"Alphabetic": "C"}]
    assert element("UI", "1.2\\\\1.3")["Value"] == ["1.2", None, "1.3"]
    assert element("LO", "\\")["Value"] == [None, None]


@pytest.mark.spec("JSON-4")
@pytest.mark.parametrize(
    ("vr", "text", "value"),
    [
        ("DS", "1.50", 1.5),
        ("DS", " -12 ", -12.0),
        ("DS", "1e3", 1000.0),
        ("DS", "9007199254740993", 9007199254740993),
        ("DS", "12 mm", "12 mm"),
        ("DS", "nan", "nan"),
        ("DS", "Infinity", "Infinity"),
        ("DS", "1_000", "1_000"),
        ("DS", "1e999", "1e999"),
        ("DS", "٣", "Ù£"),
        ("IS", "+007", 7),
        ("IS", "-2147483649", -2147483649),
        ("IS", "1.5", 1.5),
        ("IS", "12345678901234567890", "12345678901234567890"),
        ("IS", "three", "three"),
        ("IS", "9" * 5000, "9" * 5000),
    ],
)
def test_number_strings_are_numbers_where_they_are_numbers(vr: str, text: str, value: object) -> None:
    assert element(vr, text)["Value"] == [value]
    assert type(element(vr, text)["Value"][0]) is type(value)


@pytest.mark.spec("JSON-5")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Doe^Jane", {"Alphabetic": "Doe^Jane"}),
        ("A=B=C", {"Alphabetic": "A", "Ideographic": "B", "Phonetic": "C"}),
        ("=B", {"Ideographic": "B"}),
        ("A==C ", {"Alphabetic": "A", "Phonetic": "C"}),
        ("A=", {"Alphabetic": "A"}),
        ("A=B=C=D", {"Alphabetic": "A", "Ideographic": "B", "Phonetic": "C"}),
    ],
)
def test_names_have_their_component_groups(text: str, value: dict[str, str]) -> None:
    assert element("PN", text) == {"vr": "PN", "Value": [value]}


def test_a_name_of_delimiters_only_is_no_value() -> None:
    assert element("PN", "== ") == {"vr": "PN"}


@pytest.mark.spec("JSON-6", "CON-9")
def test_padding_blanks_are_dropped_but_nuls_and_the_blanks_of_uids_are_kept() -> None:
    assert element("LO", "abc\0")["Value"] == ["abc\0"]
    assert element("LO", " abc ")["Value"] == [" abc"]
    assert element("CS", "A \\B ")["Value"] == ["A", "B"]
    assert element("UI", "1.2 \0")["Value"] == ["1.2 "]
    assert element("UI", "1.2.34 ")["Value"] == ["1.2.34 "]
    assert element("UI", "1.2\0\\1.3\0\0")["Value"] == ["1.2", "1.3"]


@pytest.mark.spec("JSON-7")
def test_text_is_decoded_by_the_character_set_of_its_data_set_or_of_one_around_it() -> None:
    own = explicit(0x00080005, "CS", "ISO_IR 144") + explicit(0x00081030, "LO", b"\xbb\xee")
    inherited = explicit(0x00081030, "LO", "ä".encode())
    emptied = explicit(0x00080005, "CS") + explicit(0x00081030, "LO", b"\xe4 ")
    body = explicit(0x00080005, "CS", "ISO_IR 192") + explicit(0x00081030, "LO", "ä".encode())
    body += explicit(0x00400275, "SQ", item(own) + item(inherited) + item(emptied))
    body += explicit(0x00402016, "LO", "ö".encode())
    attributes = read(body).attributes
    assert attributes["00080005"]["Value"] == ["ISO_IR 192"]
    assert attributes["00081030"]["Value"] == ["ä"]
    assert [one["00081030"]["Value"] for one in attributes["00400275"]["Value"]] == [["Лю"], ["ä"], ["ä"]]
    assert attributes["00402016"]["Value"] == ["ö"]


def test_only_text_that_may_have_other_characters_is_decoded_by_the_character_set() -> None:
    body = explicit(0x00080005, "CS", "ISO_IR 192") + explicit(0x00080060, "CS", b"\xc3\xa4")
    assert read(body).attributes["00080060"]["Value"] == ["Ã¤"]


def test_texts_of_one_value_keep_their_backslashes() -> None:
    assert element("LT", "a\\b ")["Value"] == ["a\\b"]
    assert element("UT", "a\\b")["Value"] == ["a\\b"]
    assert element("UR", "http://a\\b")["Value"] == ["http://a\\b"]
    assert element("UC", "a\\b")["Value"] == ["a", "b"]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("vr", "code", "values"),
    [
        ("US", "H", [0, 65535]),
        ("SS", "h", [-32768, 32767]),
        ("UL", "I", [2**32 - 1, 1]),
        ("SL", "i", [-(2**31)]),
        ("UV", "Q", [2**64 - 1, 1]),
        ("SV", "q", [-(2**63)]),
        ("FL", "f", [0.5, -1.25]),
        ("FD", "d", [0.1, 1e300]),
    ],
)
def test_binary_numbers_of_both_byte_orders(vr: str, code: str, values: list[float], order: str) -> None:
    raw = struct.pack(f"{order}{len(values)}{code}", *values)
    body = explicit(0x00091001, vr, raw, order=order)
    assert read(body, EBE if order == ">" else ELE).attributes["00091001"] == {"vr": vr, "Value": values}


def test_what_json_has_no_numbers_for_is_text() -> None:
    raw = struct.pack("<4d", float("nan"), float("inf"), float("-inf"), 1.5)
    assert element("FD", raw)["Value"] == ["NaN", "Infinity", "-Infinity", 1.5]
    assert element("FL", struct.pack("<f", float("inf")))["Value"] == ["Infinity"]


def test_incomplete_numbers_are_left_out() -> None:
    assert element("US", b"\1\0\2\0", 0x00280010)["Value"] == [1, 2]
    assert element("UL", b"\1\0\0\0\2\0")["Value"] == [1]
    assert element("FD", b"\1\0") == {"vr": "FD"}


@pytest.mark.parametrize("order", ["<", ">"])
def test_attribute_tags_are_eight_hexadecimal_digits(order: str) -> None:
    raw = struct.pack(f"{order}4H", 0x0020, 0x000D, 0x7FE0, 0x0010)
    body = explicit(0x00280009, "AT", raw, order=order)
    assert read(body, EBE if order == ">" else ELE).attributes["00280009"]["Value"] == ["0020000D", "7FE00010"]


@pytest.mark.spec("CON-4", "META-3")
@pytest.mark.parametrize("vr", ["OB", "OD", "OF", "OL", "OV", "OW", "UN"])
def test_bulk_values_are_named_by_their_path(vr: str) -> None:
    inner = explicit(0x00091002, vr, b"12345678")
    steps = explicit(0x00400440, "SQ", item(explicit(0x00400280, "ST", "x")) + item(inner))
    attributes = read(
        explicit(0x00091001, vr, b"12345678") + explicit(0x00400275, "SQ", item() + item(steps))
    ).attributes
    assert attributes["00091001"] == {"vr": vr, "BulkDataURI": "00091001"}
    nested = attributes["00400275"]["Value"][1]["00400440"]["Value"][1]["00091002"]
    assert nested == {"vr": vr, "BulkDataURI": "00400275/2/00400440/2/00091002"}


@pytest.mark.spec("META-3", "JSON-3")
@pytest.mark.parametrize("delimited_items", [False, True])
@pytest.mark.parametrize("delimited", [False, True])
@pytest.mark.parametrize("syntax", [ELE, ILE, EBE, DEFL])
def test_sequences_and_items_of_either_length_are_one(syntax: str, delimited: bool, delimited_items: bool) -> None:
    order = ">" if syntax == EBE else "<"

    def write(tag: int, vr: str, value: bytes | str, **options: Any) -> bytes:
        if syntax == ILE:
            return implicit(tag, value, vr=vr, **options)
        return explicit(tag, vr, value, order=order, **options)

    def sequence(tag: int, *items: bytes) -> bytes:
        value = b"".join(item(one, delimited=delimited_items, order=order) for one in items)
        if not delimited:
            return write(tag, "SQ", value)
        return write(tag, "SQ", value, length=UNDEFINED) + end_of_sequence(order)

    inner = write(0x00080100, "SH", "A") + sequence(0x00080121) + sequence(0x0040A170, b"", b"")
    body = write(0x00080060, "CS", "CT") + sequence(0x00400275, inner, b"", inner) + write(0x00404033, "SQ", b"")
    expected = {
        "00080100": {"vr": "SH", "Value": ["A"]},
        "00080121": {"vr": "SQ"},
        "0040A170": {"vr": "SQ", "Value": [{}, {}]},
    }
    assert read(body, syntax).attributes == {
        "00080060": {"vr": "CS", "Value": ["CT"]},
        "00400275": {"vr": "SQ", "Value": [expected, {}, expected]},
        "00404033": {"vr": "SQ"},
    }


@pytest.mark.spec("STOW-15")
def test_implicit_vr_takes_vrs_from_the_dictionary() -> None:
    body = implicit(0x00080060, "CT") + implicit(0x00200013, "7") + implicit(0x00280010, b"\1\2")
    body += implicit(0x60020010, b"\3\0") + implicit(0x7FE00010, b"1234")
    read_body = read(body, ILE)
    assert read_body.implicit_vr
    assert read_body.attributes == {
        "00080060": {"vr": "CS", "Value": ["CT"]},
        "00200013": {"vr": "IS", "Value": [7]},
        "00280010": {"vr": "US", "Value": [513]},
        "60020010": {"vr": "US", "Value": [3]},
        "7FE00010": {"vr": "OW", "BulkDataURI": "7FE00010"},
    }
    assert not read(explicit(0x00080060, "CS", "CT")).implicit_vr


@pytest.mark.parametrize(
    ("representation", "vr", "value"), [(b"\0\0", "US", 65535), (b"\1\0", "SS", -1), (b"", "US", 65535)]
)
def test_implicit_vr_of_pixel_values_is_signed_as_the_pixels_are(representation: bytes, vr: str, value: int) -> None:
    mapping = implicit(0x00283002, b"\xff\xff")
    body = implicit(0x00280103, representation) if representation else b""
    body += implicit(0x00280106, b"\xff\xff") + implicit(0x00283000, item(mapping)) + implicit(0x00283006, b"1234")
    attributes = read(body, ILE).attributes
    assert attributes["00280106"] == {"vr": vr, "Value": [value]}
    assert attributes["00283000"]["Value"][0]["00283002"] == {"vr": vr, "Value": [value]}
    assert attributes["00283006"]["vr"] == "OW"


@pytest.mark.spec("META-4", "JSON-10")
def test_private_elements_have_their_vr_where_it_is_known() -> None:
    private = {0x00090010: "CREATOR", 0x00091001: "value"}
    by_explicit = read(b"".join(explicit(tag, "LO", value) for tag, value in private.items())).attributes
    assert by_explicit["00091001"] == {"vr": "LO", "Value": ["value"]}
    by_implicit = read(b"".join(implicit(tag, value) for tag, value in private.items()), ILE).attributes
    assert by_implicit == {
        "00090010": {"vr": "LO", "Value": ["CREATOR"]},
        "00091001": {"vr": "UN", "BulkDataURI": "00091001"},
    }


@pytest.mark.spec("META-4")
def test_private_elements_of_implicit_vr_have_the_vr_that_the_private_dictionary_knows() -> None:
    group = {0x70530010: "Philips PET Private Group", 0x70531000: "0.000123", 0x70531099: "what"}
    body = b"".join(implicit(tag, value) for tag, value in group.items())
    known = {
        "70530010": {"vr": "LO", "Value": ["Philips PET Private Group"]},
        "70531000": {"vr": "DS", "Value": [0.000123]},
    }
    assert read(body, ILE).attributes == known | {"70531099": {"vr": "UN", "BulkDataURI": "70531099"}}
    nested = read(implicit(0x00081140, item(body)), ILE).attributes["00081140"]["Value"][0]
    assert nested == known | {"70531099": {"vr": "UN", "BulkDataURI": "00081140/1/70531099"}}
    assert read(explicit(0x70530010, "UN", "Philips PET Private Group ")).attributes["70530010"] == known["70530010"]


@pytest.mark.spec("JSON-11")
def test_nuls_that_pad_numbers_ages_dates_and_times_are_no_part_of_them() -> None:
    padded = {
        0x00080020: ("DA", b"20240101\0\0", ["20240101"]),
        0x00080030: ("TM", b"1015\0\0", ["1015"]),
        0x0008002A: ("DT", b"2024\0\0", ["2024"]),
        0x00101010: ("AS", b"040Y\0\0", ["040Y"]),
        0x00280008: ("IS", b"3\0", [3]),
        0x00281050: ("DS", b"4\0\\-2.5\0\\\0", [4, -2.5, None]),
        0x00281053: ("DS", b"\0\0", None),
    }
    body = b"".join(explicit(tag, vr, raw) for tag, (vr, raw, _) in padded.items())
    expected = {
        f"{tag:08X}": {"vr": vr, "Value": values} if values else {"vr": vr} for tag, (vr, _, values) in padded.items()
    }
    assert read(body).attributes == expected
    assert second_opinion(part10(body)).attributes == expected


@pytest.mark.spec("JSON-12")
def test_elements_of_commands_and_of_the_file_meta_information_are_passed_over() -> None:
    body = explicit(0x00000002, "UI", "1.2.3") + explicit(0x00020010, "UI", ELE) + explicit(0x00080060, "CS", "CT")
    result = read(body)
    assert list(result.attributes) == ["00080060"]
    assert result.odd


@pytest.mark.spec("STOW-15")
@pytest.mark.parametrize("size", [1, 2, 8, 13, 5000])
@pytest.mark.parametrize("syntax", [ELE, ILE, DEFL])
def test_zeros_behind_the_data_set_are_passed_over(size: int, syntax: str) -> None:
    code = implicit if syntax == ILE else explicit
    body = code(0x00280010, b"\1\2") if syntax == ILE else explicit(0x00280010, "US", b"\1\2")
    result = read(body + bytes(size), syntax)
    assert list(result.attributes) == ["00280010"]
    assert result.odd
    with pytest.raises(InvalidPart10):
        read(body + bytes(size + 8) + b"\1", syntax)


def test_an_unknown_element_that_a_relay_wrote_as_un_has_the_vr_of_the_dictionary() -> None:
    sequence = item(implicit(0x00080100, "A"), delimited=True)
    body = explicit(0x00081030, "UN", "Studie") + explicit(0x00081032, "UN", sequence)
    body += explicit(0x00280010, "UN", b"\1\2") + explicit(0x00281201, "UN", b"1234")
    assert read(body).attributes == {
        "00081030": {"vr": "LO", "Value": ["Studie"]},
        "00081032": {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["A"]}}]},
        "00280010": {"vr": "US", "Value": [513]},
        "00281201": {"vr": "OW", "BulkDataURI": "00281201"},
    }


@pytest.mark.parametrize("syntax", [ELE, EBE])
def test_un_of_undefined_length_is_a_sequence_in_implicit_vr_little_endian(syntax: str) -> None:
    order = ">" if syntax == EBE else "<"
    inner = implicit(0x00080100, "A") + implicit(0x00091001, "private") + implicit(0x00280010, b"\1\2")
    body = explicit(0x00091001, "UN", item(inner, delimited=True), length=UNDEFINED, order=order) + end_of_sequence()
    body += explicit(0x00280010, "US", b"\2\1" if syntax == EBE else b"\1\2", order=order)
    attributes = read(body, syntax).attributes
    assert attributes["00091001"] == {
        "vr": "SQ",
        "Value": [
            {
                "00080100": {"vr": "SH", "Value": ["A"]},
                "00091001": {"vr": "UN", "BulkDataURI": "00091001/1/00091001"},
                "00280010": {"vr": "US", "Value": [513]},
            }
        ],
    }
    assert attributes["00280010"]["Value"] == [513]


def test_a_private_sequence_of_undefined_length_is_read_in_implicit_vr_too() -> None:
    body = implicit(0x00091001, item(implicit(0x00080100, "A")), length=UNDEFINED) + end_of_sequence()
    attributes = read(body, ILE).attributes
    assert attributes["00091001"] == {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["A"]}}]}


def test_elements_after_the_pixel_data_are_read() -> None:
    native = explicit(0x7FE00010, "OW", b"1234")
    after = explicit(0xFFFAFFFA, "SQ", item(explicit(0x04000005, "US", b"\1\0"))) + explicit(0xFFFCFFFC, "OB", b"\0\0")
    for pixels in (native, encapsulated(b"frame")):
        attributes = read(pixels + after).attributes
        assert list(attributes) == ["7FE00010", "FFFAFFFA", "FFFCFFFC"]
        assert attributes["FFFAFFFA"]["Value"] == [{"04000005": {"vr": "US", "Value": [1]}}]


def test_pixel_data_in_an_item_are_passed_over() -> None:
    icon = explicit(0x00280010, "US", b"\1\0") + encapsulated(b"icon", b"more")
    for delimited in (False, True):
        body = explicit(0x00880200, "SQ", item(icon, delimited=delimited)) + explicit(0x7FE00010, "OW", b"1234")
        read_body = read(body)
        assert read_body.attributes["00880200"]["Value"][0]["7FE00010"]["BulkDataURI"] == "00880200/1/7FE00010"
        assert read_body.pixel_data is not None
        assert read_body.pixel_data.length == 4


def test_the_file_meta_information_is_kept() -> None:
    group = explicit(0x00020001, "OB", b"\0\1") + explicit(0x00020002, "UI", "1.2") + explicit(0x00020010, "UI", ELE)
    group += explicit(0x00020012, "UI") + explicit(0x00020013, "SH", "WRITER") + explicit(0x00020102, "OB")
    for length in (
        explicit(0x00020000, "UL", struct.pack("<L", len(group))),
        b"",
        explicit(0x00020000, "UL", b"\7\0\0\0"),
    ):
        reader = Part10Reader(strict=False)
        reader.feed(bytes(128) + b"DICM" + length + group + explicit(0x00080060, "CS", "CT"))
        read_file = reader.finish()
        assert read_file.transfer_syntax_uid == ELE
        assert read_file.file_meta == {
            "00020001": {"vr": "OB", "InlineBinary": "AAE="},
            "00020002": {"vr": "UI", "Value": ["1.2"]},
            "00020010": {"vr": "UI", "Value": [ELE]},
            "00020012": {"vr": "UI"},
            "00020013": {"vr": "SH", "Value": ["WRITER"]},
            "00020102": {"vr": "OB"},
        }
        assert list(read_file.attributes) == ["00080060"]


@pytest.mark.spec("CON-8")
def test_the_identifier_is_there_as_soon_as_the_three_uids_have_passed() -> None:
    head = part10(identified())
    reader = Part10Reader(strict=False)
    for byte in head[:-1]:
        reader.feed(bytes([byte]))
        assert reader.identifier is None
    reader.feed(head[-1:])
    assert reader.identifier == InstanceIdentifier(STUDY, SERIES, SOP_INSTANCE)
    reader.feed(explicit(0x7FE00010, "OW", b"12", length=1 << 30))
    assert reader.identifier == InstanceIdentifier(STUDY, SERIES, SOP_INSTANCE)


@pytest.mark.spec("CON-8")
def test_the_identifier_is_trimmed_and_absent_when_a_uid_is() -> None:
    uids = [(0x00080018, "1.2.3 \0"), (0x0020000D, "1.2  "), (0x0020000E, "1.3\0\0")]
    reader = Part10Reader(strict=False)
    reader.feed(part10(b"".join(explicit(tag, "UI", uid) for tag, uid in uids)))
    assert reader.identifier == InstanceIdentifier("1.2", "1.3", "1.2.3")
    reader = Part10Reader(strict=False)
    reader.feed(part10(b"".join(explicit(tag, "UI", uid if tag != 0x0020000D else "") for tag, uid in uids)))
    assert reader.identifier is None


def test_the_text_of_asked_elements_is_kept_as_stored() -> None:
    body = explicit(0x00080005, "CS", "ISO_IR 192") + explicit(0x00080016, "UI", "1.2")
    body += explicit(0x00100010, "PN", "Dö\\B ") + explicit(0x00100020, "LO", "P\0") + explicit(0x00100030, "DA")
    body += explicit(0x00280010, "US", b"\1\xff")
    body += explicit(0x00400275, "SQ", item(explicit(0x00100040, "CS", "F")))
    keep = frozenset({0x00080016, 0x00100010, 0x00100020, 0x00100030, 0x00100040, 0x00280010, 0x00400275})
    assert read(body, keep_text=keep).text == {
        "00080016": "1.2\0",
        "00100010": "Dö\\B ",
        "00100020": "P\0",
        "00100030": "",
        "00280010": "\1\xff",
    }
    assert read(body).text == {}


def test_the_length_of_the_file_is_counted() -> None:
    data = part10(identified(explicit(0x7FE00010, "OW", bytes(1000))))
    reader = Part10Reader(strict=False)
    reader.feed(memoryview(data)[:500])
    reader.feed(b"")
    reader.feed(memoryview(data)[500:])
    assert reader.finish().length == len(data)


def test_a_buffer_that_is_reused_does_not_change_what_was_read() -> None:
    data = part10(identified())
    buffer = bytearray(7)
    reader = Part10Reader(strict=False)
    for start in range(0, len(data), 7):
        chunk = data[start : start + 7]
        buffer[: len(chunk)] = chunk
        reader.feed(memoryview(buffer)[: len(chunk)])
    assert reader.finish().attributes == read(identified()).attributes


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.100", "1.2.3.4.5"])
@pytest.mark.spec("STOW-15")
def test_other_transfer_syntaxes_are_explicit_vr_little_endian(syntax: str) -> None:
    assert read(explicit(0x00080060, "CS", "CT"), syntax).attributes["00080060"]["Value"] == ["CT"]
