"""PS3.5 §7.5 The nesting of a data set while it is read: levels, sequences, and the VRs that depend on them."""

from typing import Any

from shared.dicom.attributes import Attributes
from shared.dicom.elements import first_text
from shared.dicom.part10.charset import DEFAULT_CHARACTER_SET, CharacterSet
from shared.dicom.part10.encoding import Coding
from shared.dicom.part10.value_representations import ValueRepresentation, creator_tag, implied_vr

ENDLESS = 1 << 62
"""The end of what only a delimiter ends: beyond the end of any file."""


class Level:
    """The data set that is being read: the outermost one, or an item."""

    __slots__ = ("attributes", "coding", "delimited", "end", "keep", "last", "path", "sequence", "texts")

    def __init__(self, coding: Coding, keep: frozenset[int]) -> None:
        self.attributes: Attributes = {}
        self.coding = coding
        self.delimited = False  # whether a delimiter ends it
        self.end = ENDLESS  # in the flow; of a delimited item that of its sequence
        self.keep = keep
        self.last = -1  # highest tag so far
        self.path = ""  # what comes before the tags of its elements
        self.sequence: Sequence | None = None
        self.texts: CharacterSet = DEFAULT_CHARACTER_SET


class Sequence:
    """The sequence that is being read."""

    __slots__ = ("coding", "delimited", "depth", "element", "end", "items", "level", "path")

    def __init__(self, level: Level, element: dict[str, Any], coding: Coding) -> None:
        self.coding = coding
        self.delimited = False
        self.depth: int = level.sequence.depth + 1 if level.sequence else 1
        self.element = element
        self.end = level.end
        self.items: list[Attributes] = []
        self.level = level
        self.path = ""


def implicit_vr(tag: int, level: Level) -> ValueRepresentation:
    """The VR of an element that does not say it itself (PS3.5 §A.1, META-4)."""
    creator = creator_tag(tag)
    known = first_text(level.attributes, f"{creator:08X}") if creator else None
    return implied_vr(tag, None if known is None else known.strip(" \0"), signed=_signed_pixels(level))


def relayed_vr(tag: int, level: Level) -> ValueRepresentation:
    """The VR of an element that was written as UN; of private ones only creators are known."""
    return implied_vr(tag, None, signed=_signed_pixels(level))


def _signed_pixels(level: Level) -> bool:
    """(0028,0103) PixelRepresentation of the nearest data set that has one."""
    while True:
        element = level.attributes.get("00280103")
        if element is not None:
            return element.get("Value") == [1]
        if level.sequence is None:
            return False
        level = level.sequence.level
