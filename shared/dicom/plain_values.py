"""PS3.5 §6.2 Plain values: fast tests of values that are valid at first sight, as nearly all are. Pure."""

import re
from collections.abc import Callable


def _plain_cs(value: str) -> bool:
    return _PLAIN_CODE(value) is not None


def _plain_da(value: str) -> bool:
    # Days 1 to 28 exist in every month.
    return (
        len(value) == 8
        and value.isascii()
        and value.isdigit()
        and "01" <= value[4:6] <= "12"
        and "01" <= value[6:] <= "28"
        and value[:4] != "0000"
    )


def _plain_ds(value: str) -> bool:
    return _PLAIN_DECIMAL(value) is not None and len(value) <= 16


def _plain_is(value: str) -> bool:
    return len(value) <= 9 and value.isascii() and value.rstrip(" ").isdigit()


def _plain_lo(value: str) -> bool:
    return len(value) <= 64 and value.isprintable()


def _plain_pn(value: str) -> bool:
    return len(value) <= 64 and value.isprintable() and value.count("^") <= 4 and value.count("=") <= 2


def _plain_sh(value: str) -> bool:
    return len(value) <= 16 and value.isprintable()


def _plain_st(value: str) -> bool:
    return len(value) <= 1024


def _plain_tm(value: str) -> bool:
    return _PLAIN_TIME(value) is not None


def _plain_ui(value: str) -> bool:
    value = value.rstrip("\0")
    return (
        len(value) <= 64
        and ".0" not in value
        and ".." not in value
        and value.isascii()
        and value.replace(".", "").isdigit()
        and value[0] not in "0."
        and value[-1] != "."
    )


_PLAIN_CODE = re.compile("[A-Z0-9_ ]{0,16}+").fullmatch
_PLAIN_DECIMAL = re.compile("[+-]?[0-9]{1,12}+(?:\\.[0-9]{0,12}+)? ?").fullmatch
_PLAIN_TIME = re.compile("(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9](?:\\.[0-9]{1,6}+)? ?").fullmatch

PLAIN_DECIMALS = re.compile(r"(?:[+-]?[0-9]{1,7}+(?:\.[0-9]{0,7}+)?+\\)*+[+-]?[0-9]{1,7}(?:\.[0-9]{0,7})? ?").fullmatch
"""A fast test of all values of a DS element: if it accepts them, each is a valid number of at most 14 digits."""

PLAINLY_VALID: dict[str, Callable[[str], bool]] = {
    "CS": _plain_cs,
    "DA": _plain_da,
    "DS": _plain_ds,
    "IS": _plain_is,
    "LO": _plain_lo,
    "LT": _plain_st,
    "PN": _plain_pn,
    "SH": _plain_sh,
    "ST": _plain_st,
    "TM": _plain_tm,
    "UI": _plain_ui,
}
"""By VR, a fast test of one value (no backslash but in LT and ST): whatever it accepts, `validation.strict` accepts.

What it does not accept, `validation.strict` judges.
"""
