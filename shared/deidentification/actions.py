"""PS3.15 §E.1 Actions of Table E.1-1 on an attribute, options and types of attributes considered (DEID-2)."""

from enum import Enum, auto
from typing import Final

from shared.deidentification.profile import Option
from shared.deidentification.tables import Type, row


class Action(Enum):
    """The action on an element."""

    REMOVE = auto()
    EMPTY = auto()
    DUMMY = auto()
    MAP = auto()
    """UIDs are replaced by those of the key; in sequences too."""
    CLEAN = auto()
    """Parts of the value that identify somebody are taken out."""
    RETAIN = auto()
    """An option retains the value; it still does not name the subject."""
    JUDGE = auto()
    """The table does not know the attribute, a module does: its VR decides."""


_COLUMNS: Final = {
    Option.DATES: "dates",
    Option.PATIENT: "patient",
    Option.DEVICE: "device",
    Option.DESCRIPTORS: "descriptors",
    Option.GRAPHICS: "graphics",
    Option.STRUCTURE: "structure",
}
_EQUIPMENT: Final = frozenset({"00080070", "00081090"})
"""Manufacturer and its model name: not in the table, but what `retainDevice` is asked for."""

_DRAWINGS: Final = frozenset({"50", "60"})
"""The groups of curves and overlays: bitmaps and lines may be writing, and nobody can clean them unseen (§E.3.3)."""
_OFFSETS: Final = frozenset({"7FE00001", "7FE00002"})
"""ExtendedOffsetTable and its lengths: any bytes could be in them, and the basic one is made anew."""


def action(key: str, named: Type | None, options: frozenset[Option]) -> Action:
    """The action for an attribute that is of type `named` in the data set or item that holds it; None: of no type."""
    if key[:2] in _DRAWINGS or key in _OFFSETS:
        return Action.REMOVE
    known = row(key)
    if known is None:
        if Option.DEVICE in options and key in _EQUIPMENT:
            return Action.RETAIN
        return Action.REMOVE if named is None else Action.JUDGE
    chosen = {known.options.get(column) for option, column in _COLUMNS.items() if option in options}
    if "K" in chosen:
        return Action.RETAIN
    if "C" in chosen:
        return Action.CLEAN
    return _basic(known.basic, named)


def required(named: Type | None) -> Action:
    """The least that can stay of an attribute of that type."""
    return {"1": Action.DUMMY, "2": Action.EMPTY}.get(named or "3", Action.REMOVE)


def _basic(basic: str, named: Type | None) -> Action:
    """The action of the basic profile. Of several, and where a value is not needed, the one that leaves least."""
    if "U" in basic:
        return Action.MAP
    allowed = {"X": Action.REMOVE, "Z": Action.EMPTY, "D": Action.DUMMY}
    least = required(named)
    if basic == "X":
        return Action.REMOVE
    if least is Action.REMOVE:
        return Action.REMOVE if "X" in basic or named is None else allowed[basic[0]]
    if least is Action.EMPTY:
        return Action.EMPTY if "Z" in basic else Action.DUMMY
    return Action.DUMMY
