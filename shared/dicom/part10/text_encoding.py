"""PS3.5 §6.1 Text written in the character set of a file, by (0008,0005) SpecificCharacterSet (PS3.3 §C.12.1.1.2)."""

import re
from collections.abc import Iterator
from typing import Final

from shared.dicom.part10.charset import CODECS, ESCAPES, KEEPS_ESCAPES, STAND_ALONE, character_set

UTF_8: Final = "ISO_IR 192"

_DEFAULT_TERMS: Final = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})
_HALF_WIDTH: Final = frozenset({"ISO_IR 13", "ISO 2022 IR 13"})
"""JIS X 0201, which has one byte for each character; the codec that reads it has more."""
_ESCAPE_OF: Final = {codec: escape for escape, codec in ESCAPES.items()}
_TEXT: Final = re.compile(r"([\n\r\t\f\\])")
_NAME: Final = re.compile(r"([\n\r\t\f\\^=])")


def encode_text(text: str, specific_character_set: str, *, name: bool) -> bytes | None:
    r"""The bytes of `text`, all values of an element, in the character set that the text of (0008,0005) names; None if
    it has no way to write it. `name`: it is of VR PN.
    """
    if text.isascii():
        return text.encode()
    decoder = character_set(specific_character_set)
    decode = decoder.name if name else decoder.text
    terms = [term.strip(" \0") for term in specific_character_set.split("\\")]
    for raw in _attempts(text, terms, _NAME if name else _TEXT):
        if decode(raw) == text:
            return raw
    return None


def _attempts(text: str, terms: list[str], delimiter: re.Pattern[str]) -> Iterator[bytes]:
    first, *others = (_codec(term) for term in terms)
    whole = _encoded(text, first)
    if whole is not None:
        yield whole
    if first in STAND_ALONE:
        return
    pieces: list[bytes] = []
    for piece in delimiter.split(text):
        raw = _encoded(piece, first)
        if raw is None:
            raw = next((extended for codec in others if (extended := _extended(piece, codec)) is not None), None)
        if raw is None:
            return
        pieces.append(raw)
    yield b"".join(pieces)


def _codec(term: str) -> str:
    if term in _DEFAULT_TERMS or term not in CODECS:
        return "ascii"
    return f"{CODECS[term]}+" if term in _HALF_WIDTH else CODECS[term]


def _encoded(text: str, codec: str) -> bytes | None:
    try:
        raw = text.encode(codec.rstrip("+"))
    except UnicodeEncodeError:
        return None
    return None if codec.endswith("+") and len(raw) != len(text) else raw


def _extended(text: str, codec: str) -> bytes | None:
    """A text without delimiters by a code extension (PS3.5 §6.1.2.5)."""
    raw = _encoded(text, codec)
    plain = codec.rstrip("+")
    if raw is None or plain in KEEPS_ESCAPES:
        return raw
    escape = _ESCAPE_OF.get(plain)
    return None if escape is None else escape + raw
