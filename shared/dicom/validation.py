r"""PS3.5 §6.2 Value representations: the minimum and the strict checker of Store (dicomweb §6.3).

Both say in one sentence what is wrong, or None. The strict checker quotes the value, so its sentences belong into the
store response and nowhere else. Most values are never shown to it: `plain_values` accepts them. Blanks that pad a value
never count; a NUL does, except where it is trimmed.
"""

import datetime as dt
import re
from collections.abc import Callable, Sequence
from functools import cache

from shared.dicom.dictionary import data_element, data_elements, keyword_of
from shared.dicom.identifiers import is_uid

_MONTH, _DAY = "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
_DATE = f"[0-9]{{4}}{_MONTH}{_DAY}"
_TIME = r"(?:[01][0-9]|2[0-3])(?:[0-5][0-9](?:(?:[0-5][0-9]|60)(?:\.[0-9]{1,6})?)?)?"
_OFFSET = r"(?:\+(?:0[0-9]|1[0-3])[0-5][0-9]|\+1400|-(?!0000)(?:0[0-9]|1[01])[0-5][0-9]|-1200)"
_DATE_TIME = f"(?!0000)[0-9]{{4}}(?:{_MONTH}(?:{_DAY}(?:{_TIME})?)?)?{_OFFSET}?"
_DECIMAL = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_COMPONENT = "(?:0|[1-9][0-9]*)"
_CONTROL = "\0-\x1f\x7f-\x9f"  # Unicode category Cc
_CONTROL_BUT_ESC = "\0-\x1a\x1c-\x1f\x7f-\x9f"


def _or_range(pattern: str) -> re.Pattern[str]:
    return re.compile(f"(?:{pattern})(?:-(?:{pattern})?)?|-(?:{pattern})")


_IS_DATE = _or_range(_DATE)
_IS_DATE_TIME = _or_range(_DATE_TIME)
_IS_TIME = _or_range(_TIME)
_IS_DECIMAL = re.compile(_DECIMAL)
_IS_INTEGER = re.compile("[+-]?[0-9]+")
_IS_AGE = re.compile("[0-9]{3}[DWMY]")
_IS_CODE = re.compile("[A-Z0-9_ ]*")
_IS_UID = re.compile(rf"{_COMPONENT}(?:\.{_COMPONENT})*")
_HAS_CONTROL = re.compile(f"[{_CONTROL}]")
_HAS_CONTROL_BUT_ESC = re.compile(f"[{_CONTROL_BUT_ESC}]")
_LONGEST = 16 * 1024
"""Characters of a value that is looked at: none of these VRs allows as many, and looking takes time (STOW-46)."""
_OVERLAY_ELEMENTS = (0x0050,)  # OverlayOrigin, the only one that must have more than one value
_NUMBER_BYTES = {"FD": 8, "FL": 4, "SL": 4, "UL": 4, "SS": 2, "US": 2}


def minimum(tag: int, vr: str, text: str, *, trim_nul: bool) -> str | None:
    """The objection of the minimum checker to the first value of an element, or None (VAL-1, VAL-2).

    `text` is the value as stored, padding included; of a VR that is no text, one character for each byte.
    """
    problem = _other_vr(tag, vr) or _minimum(vr, text, trim_nul=trim_nul)
    return f"{keyword_of(tag) or f'{tag:08X}'} does not validate VR {vr}: {problem}" if problem else None


def malformed(vr: str, text: str) -> str | None:
    """The objection of the minimum checker to a text of that VR, padding aside, or None. It does not quote the text."""
    return _minimum(vr, text, trim_nul=True)


def strict(vr: str, values: Sequence[str]) -> str | None:
    """The objection of the strict checker to the first bad value of a text element, or None (VAL-3, VAL-4, D-15).

    `values` are as stored, padding included. VRs that are no text always pass.
    """
    check = _STRICT.get(vr)
    if check is None:
        return None
    for value in values:
        bare = value.rstrip("\0")
        if len(bare) > _LONGEST:
            return explain(vr, f"longer than {_LONGEST} characters")
        if bare and (problem := check(bare)):
            return explain(vr, problem)
    return None


def multiplicity(tag: int, count: int) -> str | None:
    """The objection to the number of values of a standard element, or None; no value is always right."""
    element = data_element(tag)
    if element is None or allows(element[2], count):
        return None
    return f"{count} values, but the value multiplicity is {element[2]}"


def explain(vr: str, problem: str) -> str:
    """The sentence of the strict checker about a value (STOW-36), without the value: it may name a patient."""
    return f"Content does not validate VR {vr}: {problem}"


def allows(vm: str, count: int) -> bool:
    """Whether the multiplicity `vm`, as the standard writes it (`1`, `1-3`, `2-n`, `3-3n`), permits `count` values."""
    least, most, step = _limits(vm)
    return count == 0 or (count >= least and (most is None or count <= most) and count % step == 0)


@cache
def plural_elements() -> frozenset[int]:
    """The tags of the standard elements that must have more than one value, those of overlays (60xx) included."""
    overlays = (0x60000000 | group << 16 | number for group in range(0, 0x100, 2) for number in _OVERLAY_ELEMENTS)
    plural = {vm for vm in {element[2] for element in data_elements().values()} if not allows(vm, 1)}
    return frozenset(overlays) | {tag for tag, element in data_elements().items() if element[2] in plural}


@cache
def _limits(vm: str) -> tuple[int, int | None, int]:
    """Least, most (None: no bound) and unit of a value multiplicity."""
    least, _, most = vm.partition("-")
    if not most:
        return int(least), int(least), 1
    if most.endswith("n"):
        return int(least), None, int(most[:-1] or 1)
    return int(least), int(most), 1


def _other_vr(tag: int, vr: str) -> str | None:
    element = data_element(tag)
    if element is None or vr in element[1].split("/"):
        return None
    return f"the standard says VR {element[1]}"


def _minimum(vr: str, text: str, *, trim_nul: bool) -> str | None:
    if size := _NUMBER_BYTES.get(vr):
        return f"shorter than {size} bytes" if len(text) < size else None
    value = (text.rstrip("\0") if trim_nul else text).rstrip(" ")
    if vr == "AS":
        return "not 4 characters long" if len(value) != 4 else None
    if not value:
        return None
    match vr:
        case "AE" | "CS" | "SH":
            return "longer than 16 characters" if len(value) > 16 else None
        case "DA":
            return None if _is_calendar_date(value) else "not a date YYYYMMDD"
        case "UI":
            return None if is_uid(value) else "not 1 to 64 digits and dots that end with a digit"
        case "LO" | "PN" | "DT" | "TM" | "IS":
            return _STRICT[vr](value)
        case _:
            return None


def _is_calendar_date(text: str) -> bool:
    if len(text) != 8 or not (text.isascii() and text.isdigit()):
        return False
    try:
        dt.date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True


# The rules of the strict checker. Each gets a value that is not empty and has no trailing NUL.


def _ae(value: str) -> str | None:
    if not value.strip(" "):
        return "only blanks"
    return _line(value, 16, _HAS_CONTROL)


def _as(value: str) -> str | None:
    return None if _IS_AGE.fullmatch(value.rstrip(" ")) else "not an age nnnD, nnnW, nnnM or nnnY"


def _cs(value: str) -> str | None:
    if not _IS_CODE.fullmatch(value):
        return "characters other than A-Z, 0-9, underscore and blank"
    return _at_most(value, 16)


def _da(value: str) -> str | None:
    value = value.rstrip(" ")
    if not value:
        return None
    if not _IS_DATE.fullmatch(value):
        return "not a date YYYYMMDD"
    return None if all(_is_calendar_date(date) for date in value.split("-") if date) else "not a date of the calendar"


def _ds(value: str) -> str | None:
    value = value.strip(" ")
    if value and not _IS_DECIMAL.fullmatch(value):
        return "not a decimal number"
    return _at_most(value, 16)


def _dt(value: str) -> str | None:
    value = value.rstrip(" ")
    return "not a date and time YYYYMMDDHHMMSS.FFFFFF&ZZXX" if value and not _IS_DATE_TIME.fullmatch(value) else None


def _is(value: str) -> str | None:
    value = value.strip(" ")
    if not value:
        return None
    if not _IS_INTEGER.fullmatch(value):
        return "not an integer"
    # Long runs of digits are refused unread: reading them takes quadratic time.
    digits = value.lstrip("+-0")
    fits = len(digits) <= 10 and -(2**31) <= int(value) < 2**31
    return None if fits else "not an integer of 32 bits"


def _lo(value: str) -> str | None:
    return _line(value, 64, _HAS_CONTROL_BUT_ESC)


def _sh(value: str) -> str | None:
    return _line(value, 16, _HAS_CONTROL_BUT_ESC)


def _lt(value: str) -> str | None:
    return _at_most(value, 10240)


def _st(value: str) -> str | None:
    return _at_most(value, 1024)


def _pn(value: str) -> str | None:
    groups = value.rstrip(" ").split("=", 3)
    if len(groups) > 3:
        return "more than 3 component groups"
    for group in groups:
        if len(group) > 64:
            return "a component group longer than 64 characters"
        if group.count("^") > 4:
            return "more than 5 components"
        if _HAS_CONTROL_BUT_ESC.search(group):
            return "control characters"
    return None


def _tm(value: str) -> str | None:
    value = value.rstrip(" ")
    return "not a time HHMMSS.FFFFFF" if value and not _IS_TIME.fullmatch(value) else None


def _ui(value: str) -> str | None:
    value = value.rstrip(" ")
    if value and not _IS_UID.fullmatch(value):
        return "not a UID: components are numbers without leading zeros"
    return _at_most(value, 64)


def _line(value: str, most: int, forbidden: re.Pattern[str]) -> str | None:
    if "\\" in value:
        return "a backslash"
    if forbidden.search(value):
        return "control characters"
    return _at_most(value, most)


def _at_most(value: str, most: int) -> str | None:
    return f"longer than {most} characters" if len(value.rstrip(" ")) > most else None


_STRICT: dict[str, Callable[[str], str | None]] = {
    "AE": _ae,
    "AS": _as,
    "CS": _cs,
    "DA": _da,
    "DS": _ds,
    "DT": _dt,
    "IS": _is,
    "LO": _lo,
    "LT": _lt,
    "PN": _pn,
    "SH": _sh,
    "ST": _st,
    "TM": _tm,
    "UI": _ui,
}
