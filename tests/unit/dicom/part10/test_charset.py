import codecs
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.charset import convert_encodings, decode_bytes, encode_string, python_encoding
from pydicom.valuerep import TEXT_VR_DELIMS

from shared.dicom.part10 import charset
from shared.dicom.part10.charset import DEFAULT_CHARACTER_SET, character_set

SAMPLES = {
    "ISO_IR 100": "Äneas Müßig",
    "ISO_IR 101": "Dvořák",
    "ISO_IR 109": "Ĝojo ĥoro",
    "ISO_IR 110": "Jānis Bērziņš",
    "ISO_IR 126": "Διονυσιος",
    "ISO_IR 127": "قباني لنزار",
    "ISO_IR 138": "שרון דבורה",
    "ISO_IR 144": "Люкceмбypг",
    "ISO_IR 148": "Çavuşoğlu",
    "ISO_IR 166": "นามสกุล",
    "ISO_IR 13": "ﾔﾏﾀﾞ ﾀﾛｳ",
    "ISO_IR 192": "王小東 😀",
    "GB18030": "王小东",
    "GBK": "王小东",
}


@pytest.mark.parametrize("term", SAMPLES)
@pytest.mark.spec("JSON-7")
def test_text_of_a_single_character_set_is_decoded(term: str) -> None:
    raw = SAMPLES[term].encode(python_encoding[term])
    texts = character_set(term)
    assert texts.text(raw) == SAMPLES[term]
    assert texts.name(raw) == SAMPLES[term]
    assert character_set(f"{term} ").text(raw) == SAMPLES[term]


@pytest.mark.parametrize(
    ("terms", "raw", "text"),
    [
        (
            "\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        (
            "ISO 2022 IR 13\\ISO 2022 IR 87",
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
        ),
        (
            "\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            "Hong^Gildong=洪^吉洞=홍^길동",
        ),
        (
            "\\ISO 2022 IR 58",
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
            "Zhang^XiaoDong=张^小东",
        ),
        (
            "ISO 2022 IR 100\\ISO 2022 IR 144\\ISO 2022 IR 126",
            b"Dionysios is \x1b-F\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2",
            "Dionysios is Διονυσιος",
        ),
    ],
)
def test_names_with_code_extensions_are_decoded(terms: str, raw: bytes, text: str) -> None:
    assert character_set(terms).name(raw) == text


def test_a_code_extension_ends_at_a_delimiter() -> None:
    texts = character_set("ISO 2022 IR 100\\ISO 2022 IR 144")
    assert texts.text(b"\x1b-L\xbb\xee\r\n\xe4") == "Лю\r\nä"
    assert texts.text(b"\x1b-L\xbb\xee\\\xe4") == "Лю\\ä"
    assert texts.text(b"\x1b-L\xbb\xee^\xe4") == "Лю^ф"
    assert texts.name(b"\x1b-L\xbb\xee^\xe4") == "Лю^ä"
    assert texts.name(b"\x1b-L\xbb\xee=\xe4") == "Лю=ä"


@pytest.mark.parametrize(
    "terms", ["", " ", "\x00", "NONSENSE", "ISO_IR 6", "idna", "unicode_escape", "zlib_codec", "utf_7"]
)
def test_no_term_or_an_unknown_one_is_the_default_repertoire(terms: str) -> None:
    assert character_set(terms).text(b"A\\u00e4 \xe4") == "A\\u00e4 ä"
    assert DEFAULT_CHARACTER_SET.text(b"\xe4") == "ä"


@pytest.mark.parametrize(
    "terms", ["ISO-IR 144", "ISO IR 144", "ISO 2022-IR 144", "ISO_2022_IR_144", "iso8859-5", "ISO_8859-5"]
)
def test_misspelt_terms_are_understood(terms: str) -> None:
    assert character_set(terms).text(b"\xbb\xee") == "Лю"


@pytest.mark.parametrize("terms", ["ISO_IR 192\\ISO 2022 IR 144", "ISO 2022 IR 144\\ISO_IR 192"])
def test_sets_without_code_extensions_stand_alone(terms: str) -> None:
    first = character_set(terms.split("\\", maxsplit=1)[0])
    assert character_set(terms).text("ä".encode()) == first.text("ä".encode())


def test_what_cannot_be_decoded_is_marked_as_such() -> None:
    assert character_set("ISO_IR 192").text(b"a\xff\xfe") == "a\ufffd\ufffd"
    assert character_set("\\ISO 2022 IR 87").text(b"\x1b$Bxxx").startswith("\x1b$B") is False


TERMS = [
    ["ISO 2022 IR 100", "ISO 2022 IR 144", "ISO 2022 IR 126"],
    ["ISO 2022 IR 6", "ISO 2022 IR 87"],
    ["ISO 2022 IR 13", "ISO 2022 IR 87", "ISO 2022 IR 159"],
    ["ISO 2022 IR 6", "ISO 2022 IR 149"],
    ["ISO_IR 192"],
    ["GB18030"],
]


@settings(max_examples=150)
@given(st.sampled_from(TERMS), st.text("abcXYZ ^=äßЛюДιο山田太郎김길동ﾔﾏﾀ", max_size=12))
def test_whatever_pydicom_can_write_is_read_back(terms: list[str], text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of what it cannot encode; those texts are left out below
        encodings = convert_encodings(terms)
        raw = encode_string(text, encodings)
        theirs = decode_bytes(raw, encodings, TEXT_VR_DELIMS)
    if theirs == text and "?" not in theirs:
        assert character_set("\\".join(terms)).text(raw) == text


@settings(max_examples=200)
@given(st.text(max_size=40), st.binary(max_size=60), st.sampled_from([b"", b"\x1b", b"\x1b$B", b"\x1b$)C", b"\x1b-L"]))
def test_decoding_never_fails(terms: str, raw: bytes, escape: bytes) -> None:
    for texts in (character_set(terms), *(character_set("\\".join(known)) for known in TERMS)):
        assert isinstance(texts.text(raw[:30] + escape + raw[30:]), str)
        assert isinstance(texts.name(raw[:30] + escape + raw[30:]), str)


CODECS = sorted({*charset.CODECS.values(), *charset.ESCAPES.values(), "cp1252"})


@pytest.mark.spec("JSON-7", "STOW-46")
@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=50)
@given(st.binary(max_size=40) | st.lists(st.sampled_from([b"\x1b$B", b"\x1b(B", b"0!", b"\xff", b"a"])).map(b"".join))
def test_long_text_is_decoded_in_pieces_as_at_one_go(codec: str, raw: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charset, "_PIECE", 3)
        assert charset._decoded(raw, codec) == raw.decode(codec, "replace")


@pytest.mark.spec("STOW-46")
def test_no_more_text_is_decoded_at_one_go_than_takes_some_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []

    class Watched(codecs.getincrementaldecoder("iso8859-11")):
        def decode(self, data: bytes, final: bool = False) -> str:
            steps.append(len(data))
            return str(super().decode(data, final))

    monkeypatch.setattr(codecs, "getincrementaldecoder", lambda _: Watched)
    text = character_set("ISO_IR 166").text(b"\xff" * 1_000_000)
    assert text == "\ufffd" * 1_000_000
    assert sum(steps) == 1_000_000
    assert max(steps) <= 8 * 1024


@pytest.mark.spec("STOW-46", "STOW-50")
def test_a_very_long_list_of_terms_costs_no_more_than_a_long_one() -> None:
    terms = "ISO 2022 IR 6\\ISO 2022 IR 87"
    named = character_set(f"{terms}{chr(92) * 5_000_000}ISO 2022 IR 149")
    assert named is character_set(f"{terms}{chr(92) * 2000}")
    assert named._codecs == ["latin-1", "iso2022_jp"]
    assert named.text(b"\x1b$B0!\x1b(B\x1b$)C\xb0\xa1") == character_set(terms).text(b"\x1b$B0!\x1b(B\x1b$)C\xb0\xa1")
