"""PS3.3 §C.17.3, PS3.15 §E.3.4 The content tree of a structured report (DEID-2, DEID-5).

Without the option to clean it, only what refers to other instances stays, with the containers around it. With it every
content item stays, so that references to items by their position hold, and its value is cleaned or replaced.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from shared.deidentification.dummies import Element, dummy
from shared.deidentification.report import Deed, Report
from shared.deidentification.tables import Type, named_in
from shared.dicom.attributes import Attributes
from shared.dicom.elements import first_text, items

CONTENT_SEQUENCE: Final = "0040A730"

_VALUE_TYPE, _CONCEPT_NAME, _CODE_VALUE = "0040A040", "0040A043", "00080100"
_REFERENCE_BY_POSITION: Final = "0040DB73"
_REFERRING: Final = frozenset({"COMPOSITE", "CONTAINER", "IMAGE", "WAVEFORM"})
"""The value types whose items hold references, or other items."""
_SUBJECT: Final = frozenset({"121029", "121030", "121031", "121032", "121033", "121034", "121035"})
"""Concepts of TID 1007 that describe the subject: name, ID, birth date, sex, age, species, breed."""
_TEXT_VALUE, _CONCEPT, _MEASURED = "0040A160", "0040A168", "0040A300"


class Levels(Protocol):
    """De-identifies the elements of items."""

    def level(self, attributes: Attributes, named: Mapping[str, Type]) -> Attributes:
        """The elements that stay of an item."""
        ...


class Contents:
    """De-identifies content trees; `whole` with the option to clean them."""

    def __init__(self, levels: Levels, report: Report, *, whole: bool) -> None:
        self._levels = levels
        self._report = report
        self._whole = whole

    def tree(self, element: Element) -> Element:
        """A content sequence, with those nested in it."""
        named = named_in(CONTENT_SEQUENCE)
        found = [item or {} for item in element.get("Value", ())]
        stay = [item for item in found if self._whole or _refers(item)]
        for _ in range(len(found) - len(stay)):
            self._report.note(CONTENT_SEQUENCE, Deed.CLEANED)
        kept = [_of_nobody(self._levels.level(item, named)) for item in stay]
        return {"vr": "SQ", "Value": kept} if kept else {"vr": "SQ"}


def _refers(item: Attributes) -> bool:
    return first_text(item, _VALUE_TYPE) in _REFERRING and _REFERENCE_BY_POSITION not in item


def _of_nobody(item: Attributes) -> Attributes:
    """A content item without its value where its concept describes the subject."""
    concept = next(iter(items(item, _CONCEPT_NAME)), {})
    if first_text(concept, _CODE_VALUE) not in _SUBJECT:
        return item
    without = {
        _TEXT_VALUE: dummy(_TEXT_VALUE, "UT"),
        _CONCEPT: dummy(_CONCEPT, "SQ"),
        _MEASURED: {"vr": "SQ"},
    }
    return {key: without.get(key, one) for key, one in item.items()}
