"""PS3.5 §6.1 Text written in the character set of a file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.charset import convert_encodings, decode_bytes

from shared.dicom.part10.charset import CODECS, character_set
from shared.dicom.part10.text_encoding import encode_text

_JAPANESE = r"\ISO 2022 IR 87"


@pytest.mark.parametrize(
    ("text", "terms", "raw"),
    [
        ("Doe^Jane", "", b"Doe^Jane"),
        ("Doe^Jane", "ISO_IR 192", b"Doe^Jane"),
        ("Größe", "ISO_IR 100", "Größe".encode("latin-1")),
        ("Ścibor", "ISO_IR 101", "Ścibor".encode("iso8859-2")),
        ("Люкceмбypг", "ISO_IR 144", "Люкceмбypг".encode("iso8859-5")),
        ("山田", "ISO_IR 192", "山田".encode()),
        ("王^小东", "GB18030", "王^小东".encode("gb18030")),
        ("ﾔﾏﾀﾞ", "ISO_IR 13", b"\xd4\xcf\xc0\xde"),
        # PS3.5 §H.3.1: the escape sequences stand in each component.
        (
            "Yamada^Tarou=山田^太郎",
            _JAPANESE,
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
        ),
        # PS3.5 §I.2
        ("Hong^Gildong=洪^吉洞", r"\ISO 2022 IR 149", b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"),
    ],
)
def test_a_name_is_written_as_the_standard_says(text, terms, raw):
    assert encode_text(text, terms, name=True) == raw
    assert character_set(terms).name(raw) == text


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Größe", ""),
        ("Größe", "ISO_IR 6"),
        ("山田", "ISO_IR 100"),
        ("Größe", _JAPANESE),
        ("山", "ISO_IR 13"),
        ("Größe", "NO_SUCH_SET"),
    ],
)
def test_what_a_character_set_does_not_have_is_not_written(text, terms):
    assert encode_text(text, terms, name=False) is None


@given(
    text=st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=1, max_size=6),
    terms=st.lists(st.sampled_from(["", *sorted(CODECS)]), min_size=1, max_size=3).map("\\".join),
    name=st.booleans(),
)
def test_what_is_written_is_read_as_it_was(text, terms, name):
    raw = encode_text(text, terms, name=name)
    if raw is not None:
        decoder = character_set(terms)
        assert (decoder.name if name else decoder.text)(raw) == text


@pytest.mark.parametrize("text", ["山田^太郎", "Yamada^Tarou=山田^太郎"])
def test_another_reader_reads_it_too(text):
    raw = encode_text(text, _JAPANESE, name=True)
    assert raw is not None
    assert decode_bytes(raw, convert_encodings(["", "ISO 2022 IR 87"]), {0x5E, 0x3D}) == text
