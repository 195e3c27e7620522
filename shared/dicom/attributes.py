"""PS3.18 §8.3.4.1 Names of attributes in requests, and their places in DICOM JSON attributes (Annex F)."""

import re
from dataclasses import dataclass
from typing import Any

from shared.dicom.dictionary import data_element, tag_of
from shared.dicom.elements import enclosing
from shared.errors import InvalidRequest

type Attributes = dict[str, dict[str, Any]]
"""A data set in the DICOM JSON model: 8 upper-case hex digits to `{"vr": ..., "Value": [...]}`."""

_HEX = re.compile(r"[0-9A-Fa-f]{8}")


@dataclass(frozen=True, slots=True)
class AttributePath:
    """A top-level attribute, or one in the items of a sequence."""

    tags: tuple[int, ...]

    @property
    def key(self) -> str:
        """The tags as 8 upper-case hex digits each, joined by dots: `00400275.00080060`."""
        return ".".join(f"{tag:08X}" for tag in self.tags)


def parse_attribute_id(text: str, *, deepest: int = 2) -> AttributePath:
    """The attribute that a query parameter or an includefield names (QIDO-10, QIDO-15, QIDO-16, D-28).

    `text` is a keyword, compared case-sensitively, or 8 hex digits in any case, or at most `deepest` of them joined by
    dots: a search knows two levels.

    Raises:
        InvalidRequest: it is neither, or the standard has no such element (private tags are taken as they are).
    """
    names = text.split(".")
    if len(names) > deepest:
        levels = "one sequence" if deepest == 2 else f"{deepest - 1} sequences"
        raise InvalidRequest(f"Attribute '{text[:100]}' is nested deeper than {levels}, which is not supported.")
    tags = tuple(_tag(name) for name in names)
    for name, tag in zip(names[:-1], tags, strict=False):
        if not _may_be_sequence(tag):
            raise InvalidRequest(f"Attribute '{name[:100]}' is not a sequence.")
    return AttributePath(tags)


_FREED_AT_ONCE = 1024
"""Values: some microseconds."""


def take_apart(attributes: Attributes) -> None:
    """Empties a large data set little by little: freed at once, it would hold the interpreter's lock for long."""
    while attributes:
        _, element = attributes.popitem()
        values = element.get("Value") if isinstance(element, dict) else None
        while isinstance(values, list) and values:
            if isinstance(values[-1], dict):
                take_apart(values.pop())
            else:
                del values[-_FREED_AT_ONCE:]


def remove(attributes: Attributes, path: str) -> bool:
    """Takes exactly one element out of `attributes` (VAL-6, D-13); says whether it was there.

    `path` is as `enclosing` has it. Items stay, even empty ones.
    """
    dataset, key = enclosing(attributes, path)
    if not isinstance(dataset, dict) or key not in dataset:
        return False
    del dataset[key]
    return True


def _tag(name: str) -> int:
    tag = tag_of(name)
    if tag is None and _HEX.fullmatch(name):
        tag = int(name, 16)
        if not tag & 0x10000 and data_element(tag) is None:
            tag = None
    if tag is None:
        raise InvalidRequest(f"Unknown attribute '{name[:100]}'. Use a keyword or 8 hexadecimal digits.")
    return tag


def _may_be_sequence(tag: int) -> bool:
    element = data_element(tag)
    return element is None or element[1] == "SQ"
