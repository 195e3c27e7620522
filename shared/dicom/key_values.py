r"""PS3.4 §C.2.2.2 Values of matching keys: what a key of a query asks for.

`attribute_match` reads a key. Whether a stored value meets it, the result tells (`matching`).

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

import re
from collections.abc import Sequence

from shared.dicom import person_names
from shared.dicom.date_times import period
from shared.dicom.identifiers import is_uid
from shared.dicom.matching import (
    FIRST,
    LAST,
    NOTHING,
    AnyOf,
    AttributeMatch,
    Between,
    Empty,
    Equal,
    Like,
    NameEqual,
    NameLike,
    NameWords,
    Number,
    Universal,
    fold,
    has_wildcard,
    number_of,
)
from shared.errors import InvalidRequest

_WILDCARD_VRS = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"})
_TEXT_VRS = _WILDCARD_VRS | {"AS", "UI"}
_PERIOD_VRS = frozenset({"DA", "DT", "TM"})
_INTEGER_VRS = frozenset({"IS", "SL", "SS", "SV", "UL", "US", "UV"})
_NUMBER_VRS = _INTEGER_VRS | {"DS", "FD", "FL"}

MATCHING_VRS = _TEXT_VRS | _PERIOD_VRS | _NUMBER_VRS | {"PN"}
"""The value representations that can be matched (dicomweb §8.4)."""

MOST_VALUES = 1000
"""Of a list. Each may cost a request to the index; of UIDs as devices make them a URL holds some 140."""
MOST_ALTERNATIVES = 128
"""Names, dates, numbers and patterns of a list, each of which every stored value is compared with."""


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
    if vr in _WILDCARD_VRS and has_wildcard(value):
        return Like(fold(value))
    if vr == "UI" and not is_uid(value):
        raise InvalidRequest(_NO_UID)
    return Equal(fold(value))


_NO_UID = "It is not a UID: 1 to 64 digits and dots that end with a digit, without wildcards (1.2.840.1 or 1.2,1.3)."


def _name_match(value: str) -> NameEqual | NameLike | AnyOf:
    groups = tuple(group if group.strip("*") else "" for group in person_names.component_groups(value))
    if not any(groups):
        return NOTHING
    while not groups[-1]:
        groups = groups[:-1]
    return NameLike(groups) if has_wildcard(value) else NameEqual(groups)


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


def _number_match(vr: str, value: str) -> Number | Equal:
    number = number_of(value)
    if vr in _INTEGER_VRS:
        if not isinstance(number, int) or not -(2**63) <= number < 2**64:
            raise InvalidRequest("It is not an integer of 64 bits, such as 42.")
        return Number(number)
    if vr == "DS" and number is None:
        return Equal(fold(value))
    if number is None:
        raise InvalidRequest("It is not a number, such as 42 or 0.5.")
    return Number(number, single=vr == "FL")
