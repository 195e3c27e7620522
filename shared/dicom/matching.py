"""PS3.4 §C.2.2.2 Attribute matching: whether a stored value meets a matching key of a query.

A match is one of a few plain values, which `key_values` makes of a key, so that a planner sees what to look up in an
index; its `matches` judges a stored value: the first value as DICOM text, padding included, None if absent.
"""

import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.dicom import person_names
from shared.dicom.date_times import period
from shared.dicom.wildcards import fits

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
        stored = None if text is None else number_of(text)
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

_MOST_MISSING = 8
"""Components that a stored name may have less than a pattern: there are five (PS3.5 §6.2.1)."""


def fold(text: str) -> str:
    """Text as it is compared: without padding and case (dicomweb §8.4, CON-8, MATCH-9)."""
    return text.strip(" \0").casefold()


def has_wildcard(text: str) -> bool:
    """Whether a text is a pattern of Like or NameLike."""
    return "*" in text or "?" in text


def literal_prefix(pattern: str) -> str:
    """The beginning of every text that fits `pattern`."""
    return re.split(r"[*?]", pattern, maxsplit=1)[0]


def _group_fits(pattern: str, group: str) -> bool:
    missing = pattern.count("^") - group.count("^")
    return missing <= _MOST_MISSING and fits(pattern, group + "^" * missing)


def _begins(stored: str, word: str) -> bool:
    if has_wildcard(word):
        return fits(word + "*", stored)
    return stored.startswith(word)


_INTEGER = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:\d++\.?+\d*+|\.\d++)(?:[eE][+-]?\d++)?", re.ASCII)


def number_of(text: str) -> int | float | None:
    """The number in a text, padding aside; None for any other text, and for what is not finite."""
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
