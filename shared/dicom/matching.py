r"""PS3.4 §C.2.2.2 Attribute matching: what a matching key of a query says, and whether a stored value meets it.

`attribute_match` reads a key. The result is one of a few plain values, so that a planner sees what to look up in an
index; its `matches` judges a stored value: the first value as DICOM text, padding included, None if absent.

| Key | VR | Result |
|---|---|---|
| `*` | any | Universal (W-14) |
| `""` with empty value matching | any | Empty (MATCH-11) |
| `a,b` | UI, and where the caller allows lists | AnyOf (MATCH-3) |
| `a\b` | UI, and any with multiple value matching | AnyOf (MATCH-11) |
| with `*` or `?` | AE CS LO LT SH ST UC UR UT | Like (MATCH-2) |
| other text | these, AS and UI | Equal |
| a value or a range | DA DT TM | Between (MATCH-1, D-40) |
| a number | IS DS SL SS SV UL US UV FL FD | Number |
| a name | PN | NameEqual, NameLike, NameWords (MATCH-4 to 6) |
"""

import math
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from shared.dicom import person_names
from shared.dicom.date_times import period
from shared.dicom.identifiers import is_uid
from shared.dicom.wildcards import fits
from shared.errors import InvalidRequest

_WILDCARD_VRS = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"})
_TEXT_VRS = _WILDCARD_VRS | {"AS", "UI"}
_PERIOD_VRS = frozenset({"DA", "DT", "TM"})
_INTEGER_VRS = frozenset({"IS", "SL", "SS", "SV", "UL", "US", "UV"})
_NUMBER_VRS = _INTEGER_VRS | {"DS", "FD", "FL"}

MATCHING_VRS = _TEXT_VRS | _PERIOD_VRS | _NUMBER_VRS | {"PN"}
"""The value representations that can be matched (dicomweb §8.4)."""

FIRST, LAST = "", "~"
"""The open ends of a Between: less and greater than every date and time."""


@dataclass(frozen=True, slots=True)
class Universal:
    """Everything matches, an absent attribute too (§C.2.2.2.3, W-14)."""

    def matches(self, text: str | None) -> bool:  # noqa: ARG002 - every match has this form
        """Always."""
        return True


@dataclass(frozen=True, slots=True)
class Empty:
    """An absent attribute or one without a value (§C.2.2.2.7, MATCH-11)."""

    def matches(self, text: str | None) -> bool:
        """Whether nothing but padding is there."""
        return text is None or not text.strip(" \0")


@dataclass(frozen=True, slots=True)
class Equal:
    """Single value matching of text, case-insensitive (§C.2.2.2.1). `value` is folded."""

    value: str

    def matches(self, text: str | None) -> bool:
        """Whether `text` is this value, padding aside."""
        return text is not None and fold(text) == self.value


@dataclass(frozen=True, slots=True)
class Like:
    """Wildcard matching of text (§C.2.2.2.4): `*` is any run of characters, `?` any one. `pattern` is folded."""

    pattern: str

    def matches(self, text: str | None) -> bool:
        """Whether `text`, padding aside, fits the pattern as a whole."""
        return text is not None and fits(self.pattern, fold(text))


@dataclass(frozen=True, slots=True)
class Between:
    """Range matching of dates and times, both ends inclusive (§C.2.2.2.5); a single value is the range of its period.

    `low` and `high` are `YYYYMMDD` (DA), `HHMMSSFFFFFF` (TM) or both (DT), or FIRST and LAST.
    """

    vr: str
    low: str
    high: str

    def matches(self, text: str | None) -> bool:
        """Whether the moment at which `text` begins lies inside; what is no date or time never does."""
        stored = None if text is None else period(self.vr, text.strip(" \0"), stored=True)
        return stored is not None and self.low <= stored[0] <= self.high


@dataclass(frozen=True, slots=True)
class Number:
    """Single value matching of numbers by their value."""

    value: int | float
    single: bool = False
    """Values of VR FL: compare with the precision that they are stored with."""

    def matches(self, text: str | None) -> bool:
        """Whether `text` is this number."""
        stored = None if text is None else _number(text)
        return stored is not None and (
            stored == self.value or (self.single and as_single(stored) == as_single(self.value))
        )


def _name_fits(groups: tuple[str, ...], text: str | None, compare: Callable[[str, str], bool]) -> bool:
    if text is None:
        return False
    stored = person_names.component_groups(text)
    if len(groups) == 1:
        return any(compare(groups[0], group) for group in stored)
    return len(stored) >= len(groups) and all(
        not group or compare(group, stored[position]) for position, group in enumerate(groups)
    )


@dataclass(frozen=True, slots=True)
class NameEqual:
    """Single value matching of names. `groups` are folded component groups, an empty one is not compared.

    One group alone may be any group of the stored name; several are compared each with its own.
    """

    groups: tuple[str, ...]

    def matches(self, text: str | None) -> bool:
        """Whether `text` is this name: case, accents and trailing empty components do not count."""
        return _name_fits(self.groups, text, str.__eq__)


@dataclass(frozen=True, slots=True)
class NameLike:
    """Wildcard matching of names: groups as in NameEqual, each a pattern; wildcards reach across components."""

    groups: tuple[str, ...]

    def matches(self, text: str | None) -> bool:
        """Whether `text` fits the pattern."""
        return _name_fits(self.groups, text, _group_fits)


@dataclass(frozen=True, slots=True)
class NameWords:
    """Fuzzy matching of names (MATCH-5): `words`, in order and adjacent, begin consecutive words of the stored name.

    A word may hold wildcards; `whole` is then the plain wildcard match, which is enough by itself (W-19).
    """

    words: tuple[str, ...]
    whole: NameLike | None = None

    def matches(self, text: str | None) -> bool:
        """Whether the words are found."""
        if text is None:
            return False
        stored = person_names.words(text)
        starts = range(len(stored) - len(self.words) + 1)
        if any(all(map(_begins, stored[start:], self.words)) for start in starts):
            return True
        return self.whole is not None and self.whole.matches(text)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A list of values (§C.2.2.2.2): one of the alternatives matches. None at all match nothing."""

    alternatives: tuple["AttributeMatch", ...]
    _plain: frozenset[str] = field(init=False, repr=False, compare=False)
    """Of single values, of which a list may have thousands: each stored value is looked up in them."""
    _others: tuple["AttributeMatch", ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        plain = frozenset(each.value for each in self.alternatives if isinstance(each, Equal))
        object.__setattr__(self, "_plain", plain)
        others = tuple(each for each in self.alternatives if not isinstance(each, Equal))
        object.__setattr__(self, "_others", others)

    def matches(self, text: str | None) -> bool:
        """Whether one of them does."""
        if text is not None and self._plain and fold(text) in self._plain:
            return True
        return any(alternative.matches(text) for alternative in self._others)


type AttributeMatch = Universal | Empty | Equal | Like | Between | Number | NameEqual | NameLike | NameWords | AnyOf

NOTHING = AnyOf(())

MOST_VALUES = 1000
"""Of a list. Each may cost a request to the index; of UIDs as devices make them a URL holds some 140."""
MOST_ALTERNATIVES = 128
"""Names, dates, numbers and patterns of a list, each of which every stored value is compared with."""
_MOST_MISSING = 8
"""Components that a stored name may have less than a pattern: there are five (PS3.5 §6.2.1)."""


def fold(text: str) -> str:
    """Text as it is compared: without padding and case (dicomweb §8.4, CON-8, MATCH-9)."""
    return text.strip(" \0").casefold()


def literal_prefix(pattern: str) -> str:
    """The beginning of every text that fits `pattern`."""
    return re.split(r"[*?]", pattern, maxsplit=1)[0]


def attribute_match(
    vr: str,
    value: str,
    *,
    fuzzy: bool = False,
    list_separator: str = "",
    empty_value: bool = False,
    multiple_values: bool = False,
) -> AttributeMatch:
    """The meaning of a matching key `value` (not blank) of an attribute of that VR.

    `fuzzy` concerns names alone. `list_separator`: what else separates alternatives.
    Raises InvalidRequest, with a reason that does not quote the value.
    """
    if vr not in MATCHING_VRS:
        raise InvalidRequest(f"Values of VR {vr} cannot be matched.")
    value = value.strip(" \0")
    if empty_value and value == '""':
        return Empty()
    separators = list_separator
    if vr == "UI":
        separators += ",\\"
    if multiple_values:
        separators += "\\"
    if not any(separator in value for separator in separators):
        return _single_match(vr, value, fuzzy=fuzzy)
    parts = [part.strip(" \0") for part in re.split(f"[{re.escape(separators)}]", value)]
    alternatives = list(dict.fromkeys(_single_match(vr, part, fuzzy=fuzzy) for part in parts if part))
    if len(alternatives) > MOST_VALUES:
        raise InvalidRequest(f"It lists more than {MOST_VALUES} values. Send several searches.")
    if sum(not isinstance(alternative, Equal) for alternative in alternatives) > MOST_ALTERNATIVES:
        raise InvalidRequest(
            f"It lists more than {MOST_ALTERNATIVES} names, dates, numbers or patterns. Send several searches."
        )
    return _any_of(alternatives)


def _any_of(alternatives: Sequence[AttributeMatch]) -> AttributeMatch:
    if len(alternatives) == 1:
        return alternatives[0]
    if any(isinstance(alternative, Universal) for alternative in alternatives):
        return Universal()
    return AnyOf(tuple(alternatives))


def _single_match(vr: str, value: str, *, fuzzy: bool) -> AttributeMatch:
    if value and not value.strip("*"):
        return Universal()
    if vr in _PERIOD_VRS:
        return _between(vr, value)
    if vr in _NUMBER_VRS:
        return _number_match(vr, value)
    if vr == "PN":
        return _name_words(value) if fuzzy else _name_match(value)
    if vr in _WILDCARD_VRS and _has_wildcard(value):
        return Like(fold(value))
    if vr == "UI" and not is_uid(value):
        raise InvalidRequest(_NO_UID)
    return Equal(fold(value))


_NO_UID = "It is not a UID: 1 to 64 digits and dots that end with a digit, without wildcards (1.2.840.1 or 1.2,1.3)."


def _has_wildcard(text: str) -> bool:
    return "*" in text or "?" in text


# ---------------------------------------------------------------------------------------------------------- names


def _name_match(value: str) -> NameEqual | NameLike | AnyOf:
    groups = tuple(group if group.strip("*") else "" for group in person_names.component_groups(value))
    if not any(groups):
        return NOTHING
    while not groups[-1]:
        groups = groups[:-1]
    return NameLike(groups) if _has_wildcard(value) else NameEqual(groups)


def _group_fits(pattern: str, group: str) -> bool:
    missing = pattern.count("^") - group.count("^")
    return missing <= _MOST_MISSING and fits(pattern, group + "^" * missing)


def _name_words(value: str) -> NameWords | AnyOf:
    if '"' in value:
        raise InvalidRequest("A fuzzy value cannot contain a quotation mark.")
    words = person_names.words(value, keep="*?")
    while words and not words[0].strip("*"):
        words = words[1:]
    while words and not words[-1].strip("*"):
        words = words[:-1]
    whole = _name_match(value)
    if not words and not isinstance(whole, NameLike):
        return NOTHING
    return NameWords(tuple(words), whole if isinstance(whole, NameLike) else None)


def _begins(stored: str, word: str) -> bool:
    if _has_wildcard(word):
        return fits(word + "*", stored)
    return stored.startswith(word)


# ------------------------------------------------------------------------------------------------ dates and times


_NOTATIONS = {
    "DA": "YYYYMMDD or YYYYMMDD-YYYYMMDD",
    "DT": "YYYYMMDDHHMMSS.FFFFFF, cut at any component, without an offset, or two of them joined by -",
    "TM": "HHMMSS or HHMMSS-HHMMSS",
}


def _between(vr: str, value: str) -> Between:
    if value.count("-") != 1:
        single = period(vr, value)
        if single is None:
            raise InvalidRequest(f"It is neither a value nor a range of VR {vr} ({_NOTATIONS[vr]}).")
        return Between(vr, *single)
    first, last = (part.strip(" ") for part in value.split("-"))
    low = period(vr, first) if first else (FIRST, FIRST)
    high = period(vr, last) if last else (LAST, LAST)
    if low is None or high is None or not (first or last):
        raise InvalidRequest(f"It is neither a value nor a range of VR {vr} ({_NOTATIONS[vr]}).")
    if low[0] > high[1]:
        raise InvalidRequest("The range ends before it starts.")
    return Between(vr, low[0], high[1])


# -------------------------------------------------------------------------------------------------------- numbers

_INTEGER = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:\d++\.?+\d*+|\.\d++)(?:[eE][+-]?\d++)?", re.ASCII)


def _number_match(vr: str, value: str) -> Number | Equal:
    number = _number(value)
    if vr in _INTEGER_VRS:
        if not isinstance(number, int) or not -(2**63) <= number < 2**64:
            raise InvalidRequest("It is not an integer of 64 bits, such as 42.")
        return Number(number)
    if vr == "DS" and number is None:
        return Equal(fold(value))
    if number is None:
        raise InvalidRequest("It is not a number, such as 42 or 0.5.")
    return Number(number, single=vr == "FL")


def _number(text: str) -> int | float | None:
    text = text.strip(" \0")
    if _INTEGER.fullmatch(text):
        return int(text)
    if not _DECIMAL.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def as_single(number: float) -> float | None:
    """`number` with the precision of VR FL; None if it is out of its range."""
    try:
        return float(struct.unpack("f", struct.pack("f", number))[0])
    except OverflowError:
        return None
