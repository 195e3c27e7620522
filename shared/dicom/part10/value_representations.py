r"""PS3.5 §6.2 Value representations, and their values in the DICOM JSON model (PS3.18 §F.2, section 5 of the rules).

Blanks that pad a value are dropped, NULs kept (JSON-6) except those that pad a UID, a number, an age, a date or a time
(JSON-11). An empty value among others is None (JSON-3). DS and IS are numbers where they read as numbers, else text
(JSON-4).
"""

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any, Final, Literal

from shared.dicom.dictionary import data_element, private_vr
from shared.dicom.plain_values import PLAIN_DECIMALS, PLAINLY_VALID

type Values = list[Any]
"""The `Value` array of an element; empty where it has no value."""

type Kind = Literal["text", "local", "name", "binary", "tags", "sequence", "bulk"]
"""The encodings of values: text of the default repertoire, text or names of (0008,0005), numbers, tags, ..."""


_NUMBER_BYTES: Final = 40
"""Memory that one binary number takes in a list of them, besides its bytes: an integer of 32, and its place."""
_DECIMAL_BYTES: Final = 64
"""Likewise of a number that is text, which may turn out to be none."""
_TEXT_BYTES: Final = 80
"""Likewise of a text: a header of up to 56, rounded up, and its place."""
_NAME_BYTES: Final = 368
"""Likewise of a person name: an object of up to three texts."""


@dataclass(frozen=True, slots=True)
class ValueRepresentation:
    """The properties of one VR that a reader needs."""

    name: str
    kind: Kind
    long: bool
    """Whether explicit VR encoding has a length of 32 bits after two reserved bytes (PS3.5 §7.1.2)."""
    several: bool = False
    r"""Whether text holds several values, separated by `\`."""
    code: str = ""
    """Of binary numbers: the code of `struct`."""
    size: int = 1
    """Bytes of one binary value."""
    from_text: Callable[[str], Values] = lambda _: []
    """The values of a text element, all of them."""
    plainly_valid: Callable[[str], bool] = lambda _: False
    """See `plain_values.PLAINLY_VALID`."""
    value_bytes: int = _TEXT_BYTES
    """Memory that one value takes, besides its bytes."""


def choose_vr(choice: str, *, signed: bool) -> ValueRepresentation:
    """One VR where the dictionary leaves a choice and the file, in implicit VR, does not say (PS3.5 §A.1).

    Of US and SS the one that suits the pixels; of US and OW, OB and OW the one for any length.
    """
    return VALUE_REPRESENTATIONS["OW" if "OW" in choice else "SS" if signed else "US"]


def implied_vr(tag: int, creator: str | None, *, signed: bool) -> ValueRepresentation:
    """The VR of an element that does not say it itself (PS3.5 §A.1, §7.8.1, META-4); UN where nobody knows.

    `creator` is what the data set says about the block of a private element. Of a choice, see `choose_vr`.
    """
    element = data_element(tag)
    if element is not None:
        choice: str | None = element[1]
    elif is_private_creator(tag):
        choice = "LO"
    else:
        choice = private_vr(creator, tag) if creator else None
    if choice is None:
        return VALUE_REPRESENTATIONS["UN"]
    return VALUE_REPRESENTATIONS.get(choice) or choose_vr(choice, signed=signed)


def is_private_creator(tag: int) -> bool:
    """Whether the element reserves a block of private elements (PS3.5 §7.8.1)."""
    return bool(tag & 0x10000) and 0x10 <= tag & 0xFFFF <= 0xFF


def creator_tag(tag: int) -> int | None:
    """The element that says who defines the private element `tag`; None for all others."""
    block = tag >> 8 & 0xFF
    return tag & 0xFFFF0000 | block if tag & 0x10000 and block >= 0x10 else None


def numbers(raw: bytes, code: str, size: int, order: str) -> Values:
    """The binary numbers in `raw`; incomplete ones at its end are left out. `order` is `<` or `>`.

    NaN and infinities, which JSON has no numbers for, are the strings `NaN`, `Infinity` and `-Infinity`, as fo-dicom
    and the hosted service write them.
    """
    count = len(raw) // size
    values = list(struct.unpack_from(f"{order}{count}{code}", raw))
    if code in "fd" and not all(map(math.isfinite, values)):
        return [value if math.isfinite(value) else _non_finite(value) for value in values]
    return values


def attribute_tags(raw: bytes, order: str) -> Values:
    """The values of an AT element: 8 upper-case hex digits each."""
    words = struct.unpack_from(f"{order}{len(raw) // 4 * 2}H", raw)
    return [f"{group:04X}{element:04X}" for group, element in zip(words[::2], words[1::2], strict=True)]


def _non_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _strings(text: str) -> Values:
    if "\\" in text:
        return [value.rstrip(" ") or None for value in text.split("\\")]
    text = text.rstrip(" ")
    return [text] if text else []


def _bare_strings(text: str) -> Values:
    """Values that NULs pad, too: ages, dates and times (JSON-11)."""
    if "\\" in text:
        return [value.rstrip(" \0") or None for value in text.split("\\")]
    text = text.rstrip(" \0")
    return [text] if text else []


def _string(text: str) -> Values:
    text = text.rstrip(" ")
    return [text] if text else []


def _uids(text: str) -> Values:
    if "\\" in text:
        return [value.rstrip("\0") or None for value in text.split("\\")]
    text = text.rstrip("\0")
    return [text] if text else []


def _decimals(text: str) -> Values:
    if "\\" in text:
        texts = text.split("\\")
        if len(texts) <= _DECIMALS:
            return _some_decimals(text, texts)
        runs = batched(texts, _DECIMALS, strict=False)
        return [value for some in runs for value in _some_decimals("\\".join(some), some)]
    value = _decimal(text)
    return [] if value is None else [value]


def _some_decimals(text: str, texts: Sequence[str]) -> Values:
    if len(texts) > 16 and PLAIN_DECIMALS(text):  # contours have thousands of values
        return list(map(float, texts))
    return [_decimal(value) for value in texts]


def _integers(text: str) -> Values:
    if "\\" in text:
        return [_integer(value) for value in text.split("\\")]
    value = _integer(text)
    return [] if value is None else [value]


_DECIMALS = 4096
"""Values that are converted at one go, the interpreter's lock held (STOW-46)."""
_LONGEST_NUMBER = 1024
"""Characters of a value that is read as a number, far more than the standard allows one: digits take time."""
_NUMERIC = frozenset("0123456789+-.eE ")
_INT64 = 2**63


def _decimal(text: str) -> float | str | None:
    if len(text) <= 18 and text.isdigit() and text.isascii():
        return int(text)
    if len(text) > _LONGEST_NUMBER:
        return text.rstrip(" ") or None
    # float() also reads `nan`, `1_000` and digits of other scripts.
    if _NUMERIC.issuperset(text):
        try:
            value = float(text)
        except ValueError:
            return text.rstrip(" ") or None
        if math.isfinite(value):
            return value
    bare = text.rstrip(" \0")
    return _decimal(bare) if "\0" in text[len(bare) :] else text.rstrip(" ") or None


def _integer(text: str) -> float | str | None:
    text = text.rstrip(" \0")
    if len(text) > _LONGEST_NUMBER:
        return text
    bare = text.lstrip(" ")
    digits = bare[1:] if bare[:1] in {"+", "-"} else bare
    if digits.isdigit() and digits.isascii():
        # JSON writers know integers of 64 bits; longer ones stay text, digit for digit.
        return int(bare) if len(digits) <= 18 else text
    return _decimal(text)


_COMPONENT_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def _names(text: str) -> Values:
    if "\\" in text:
        return [_name(value) for value in text.split("\\")]
    value = _name(text)
    return [] if value is None else [value]


def _name(text: str) -> dict[str, str] | None:
    text = text.rstrip(" ")
    if "=" not in text:
        return {"Alphabetic": text} if text else None
    groups = zip(_COMPONENT_GROUPS, text.split("=", len(_COMPONENT_GROUPS)), strict=False)
    return {name: group for name, group in groups if group} or None


def _text(
    name: str, from_text: Callable[[str], Values], kind: Kind = "text", *, long: bool = False
) -> ValueRepresentation:
    return ValueRepresentation(
        name,
        kind,
        long,
        several=from_text is not _string,
        from_text=from_text,
        plainly_valid=PLAINLY_VALID.get(name, lambda _: False),
        value_bytes=_NAME_BYTES if kind == "name" else _DECIMAL_BYTES if name in {"DS", "IS"} else _TEXT_BYTES,
    )


def _binary(name: str, code: str, *, long: bool = False) -> ValueRepresentation:
    return ValueRepresentation(
        name, "binary", long, code=code, size=struct.calcsize(f"<{code}"), value_bytes=_NUMBER_BYTES
    )


VALUE_REPRESENTATIONS: dict[str, ValueRepresentation] = {
    vr.name: vr
    for vr in (
        _text("AE", _strings),
        _text("AS", _bare_strings),
        ValueRepresentation("AT", "tags", long=False, size=4),
        _text("CS", _strings),
        _text("DA", _bare_strings),
        _text("DS", _decimals),
        _text("DT", _bare_strings),
        _binary("FD", "d"),
        _binary("FL", "f"),
        _text("IS", _integers),
        _text("LO", _strings, "local"),
        _text("LT", _string, "local"),
        ValueRepresentation("OB", "bulk", long=True),
        ValueRepresentation("OD", "bulk", long=True),
        ValueRepresentation("OF", "bulk", long=True),
        ValueRepresentation("OL", "bulk", long=True),
        ValueRepresentation("OV", "bulk", long=True),
        ValueRepresentation("OW", "bulk", long=True),
        _text("PN", _names, "name"),
        _text("SH", _strings, "local"),
        _binary("SL", "i"),
        ValueRepresentation("SQ", "sequence", long=True),
        _binary("SS", "h"),
        _text("ST", _string, "local"),
        _binary("SV", "q", long=True),
        _text("TM", _bare_strings),
        _text("UC", _strings, "local", long=True),
        _text("UI", _uids),
        _binary("UL", "I"),
        ValueRepresentation("UN", "bulk", long=True),
        _text("UR", _string, long=True),
        _binary("US", "H"),
        _text("UT", _string, "local", long=True),
        _binary("UV", "Q", long=True),
    )
}
"""Every VR of PS3.5 Table 6.2-1, by name."""
