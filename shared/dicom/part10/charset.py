"""PS3.5 §6.1 Character repertoires: from bytes to text by (0008,0005) SpecificCharacterSet (PS3.3 §C.12.1.1.2).

Real files hold misspelt terms and text that is not what the character set says. Decoding never fails: unknown terms
fall back to the default repertoire, undecodable bytes become U+FFFD.
"""

import codecs
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import batched

_DEFAULT = "latin-1"  # a superset of ISO 646 that decodes every byte

# ISO IR number -> Python codec, for single-byte sets with (`ISO 2022 IR n`) or without (`ISO_IR n`) code extensions.
_SINGLE_BYTE = {
    "6": _DEFAULT,
    "13": "shift_jis",
    "100": "latin-1",
    "101": "iso8859-2",
    "109": "iso8859-3",
    "110": "iso8859-4",
    "126": "iso8859-7",
    "127": "iso8859-6",
    "138": "iso8859-8",
    "144": "iso8859-5",
    "148": "iso8859-9",
    "166": "iso8859-11",
    "203": "iso8859-15",
}
CODECS = (
    {f"ISO_IR {number}": codec for number, codec in _SINGLE_BYTE.items()}
    | {f"ISO 2022 IR {number}": codec for number, codec in _SINGLE_BYTE.items()}
    | {
        "ISO 2022 IR 58": "gb2312",
        "ISO 2022 58": "gb2312",
        "ISO 2022 IR 87": "iso2022_jp",
        "ISO 2022 IR 149": "euc_kr",
        "ISO 2022 IR 159": "iso2022_jp_2",
        "ISO_IR 192": "utf-8",
        "GB18030": "gb18030",
        "GBK": "gbk",
        "ISO 2022 GBK": "gbk",
    }
)
STAND_ALONE = frozenset({"utf-8", "gb18030", "gbk"})  # PS3.3 Table C.12-5: no code extensions beside these

# Escape sequence -> Python codec (PS3.3 Tables C.12-3 and C.12-4).
ESCAPES = {
    b"\x1b(B": _DEFAULT,
    b"\x1b-A": "latin-1",
    b"\x1b-B": "iso8859-2",
    b"\x1b-C": "iso8859-3",
    b"\x1b-D": "iso8859-4",
    b"\x1b-F": "iso8859-7",
    b"\x1b-G": "iso8859-6",
    b"\x1b-H": "iso8859-8",
    b"\x1b-L": "iso8859-5",
    b"\x1b-M": "iso8859-9",
    b"\x1b-T": "iso8859-11",
    b"\x1b-b": "iso8859-15",
    b"\x1b)I": "shift_jis",
    b"\x1b(J": "shift_jis",
    b"\x1b$B": "iso2022_jp",
    b"\x1b$(D": "iso2022_jp_2",
    b"\x1b$)C": "euc_kr",
    b"\x1b$)A": "gb2312",
}
KEEPS_ESCAPES = frozenset({"iso2022_jp", "iso2022_jp_2"})  # Python's codecs read these escape sequences themselves

_FRAGMENT = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*")
# What ends a code extension (PS3.5 §6.1.2.5.3); the value delimiter, too.
_TEXT_DELIMITER = re.compile(rb"[\n\r\t\f\\]")
_NAME_DELIMITER = re.compile(rb"[\n\r\t\f\\^=]")

# Names of Python codecs that some writers put into (0008,0005). A fixed list: codecs like `idna` or `unicode_escape`
# are no character sets.
_FOREIGN = re.compile(
    r"utf[-_ ]?8|(us-)?ascii|iso[-_ ]?8859[-_ ]?\d{1,2}|latin[-_ ]?1|(cp|windows-)125\d|gb2312|shift[-_]jis|euc[-_]kr",
    re.IGNORECASE,
)


_LONGEST = 1024  # Characters of (0008,0005): there are some forty terms of at most 16 characters.
_PIECE = 8 * 1024  # Bytes decoded at one go, the interpreter's lock held: some codecs take 0.2 s a megabyte.
_FRAGMENTS = 512  # Fragments joined at one go.


def _decoded(raw: bytes, codec: str) -> str:
    if len(raw) <= _PIECE:
        return raw.decode(codec, "replace")
    decoder = codecs.getincrementaldecoder(codec)("replace")
    pieces = [decoder.decode(raw[at : at + _PIECE]) for at in range(0, len(raw), _PIECE)]
    return "".join((*pieces, decoder.decode(b"", final=True)))


class CharacterSet:
    """Decodes the text of one data set. Make it with `character_set`."""

    __slots__ = ("_codecs", "_first")

    def __init__(self, names: Sequence[str]) -> None:
        self._codecs = names
        self._first = names[0]

    def text(self, raw: bytes) -> str:
        """The text of an SH, LO, ST, LT, UC or UT element, all its values."""
        if b"\x1b" not in raw:
            return _decoded(raw, self._first)
        return self._extended(raw, _TEXT_DELIMITER)

    def name(self, raw: bytes) -> str:
        """The text of a PN element, all its values."""
        if b"\x1b" not in raw:
            return _decoded(raw, self._first)
        return self._extended(raw, _NAME_DELIMITER)

    def _extended(self, raw: bytes, delimiter: re.Pattern[bytes]) -> str:
        """Text with code extensions (PS3.5 §6.1.2.5)."""
        fragments = (self._fragment(found.group(), delimiter) for found in _FRAGMENT.finditer(raw))
        return "".join("".join(some) for some in batched(fragments, _FRAGMENTS, strict=False))

    def _fragment(self, raw: bytes, delimiter: re.Pattern[bytes]) -> str:
        if not raw.startswith(b"\x1b"):
            return _decoded(raw, self._first)
        size = 4 if raw[1:3] in {b"$(", b"$)"} else 3
        codec = ESCAPES.get(raw[:size])
        if codec is None or (codec not in self._codecs and codec != _DEFAULT):
            return _decoded(raw, self._first)
        if codec in KEEPS_ESCAPES:
            return _decoded(raw, codec)
        end = delimiter.search(raw, size)
        if end is None:
            return _decoded(raw[size:], codec)
        return _decoded(raw[size : end.start()], codec) + _decoded(raw[end.start() :], self._first)


DEFAULT_CHARACTER_SET = CharacterSet([_DEFAULT])
"""The repertoire where (0008,0005) is absent or empty."""


def character_set(specific_character_set: str) -> CharacterSet:
    r"""The character set that the text of (0008,0005), values joined by `\`, stands for. Of a very long one the
    beginning counts: each escape sequence is looked for among few names, and what is remembered is short.
    """
    return _character_set(specific_character_set[:_LONGEST])


@lru_cache(maxsize=64)
def _character_set(specific_character_set: str) -> CharacterSet:
    names = list(dict.fromkeys(map(_codec, specific_character_set.rstrip(" \0").split("\\"))))
    if names[0] in STAND_ALONE:
        del names[1:]
    return CharacterSet([names[0], *(name for name in names[1:] if name not in STAND_ALONE)])


def _codec(term: str) -> str:
    term = term.strip(" \0")
    if codec := CODECS.get(term):
        return codec
    # Common misspellings: `ISO-IR 100`, `ISO IR 100`, `ISO 2022-IR 100`, `ISO_2022_IR_100`.
    repaired = re.sub(r"^ISO[ _-]IR[ _-]", "ISO_IR ", re.sub(r"^ISO.2022.IR.", "ISO 2022 IR ", term))
    if codec := CODECS.get(repaired):
        return codec
    if _FOREIGN.fullmatch(term):
        try:
            return codecs.lookup(term).name
        except LookupError:
            return _DEFAULT
    return _DEFAULT
