"""PS3.4 §CC.2.5 Requirements on data sets that create, update or finish a workitem (WC-4, WU-8). Pure.

| Type (SCU/SCP) | must be present | may be empty |
|---|---|---|
| 1/1, 1/2 | yes | no |
| 2/1, 2/2 | yes | yes |
| 3/1 | no | no |
| 3/2, 3/3 | no | yes |
| 1C/… | no: the condition is not checked | no |
| 2C/… | no | yes |

Items of sequences are checked wherever there are any. Enumerated values and values of VRs are not checked, but for
those that searches match.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from shared.dicom.elements import items, values
from shared.errors import InvalidRequest
from shared.workitems.attribute_table import AttributeRequirement, requirements
from shared.workitems.states import State

_REQUIRED: Final = frozenset({"1", "2"})
_NOT_EMPTY: Final = frozenset({"1/1", "1/2", "3/1", "1C/1C", "1C/2"})
_UNCHECKED: Final = frozenset({"-", "server"})

type Use = Literal["create", "update"]


class InvalidWorkitem(InvalidRequest):
    """A data set lacks what it must have, or has what it must not (400)."""


def check(attributes: Mapping[str, Any], use: Use) -> None:
    """Refuse a data set that does not fit its use. Raises InvalidWorkitem, which names the first tag that is wrong."""
    _check(requirements(), attributes, use)


def _check(rows: Sequence[AttributeRequirement], attributes: Mapping[str, Any], use: Use) -> None:
    for row in rows:
        kind = row.create if use == "create" else row.update
        if kind in _UNCHECKED:
            continue
        if row.tag not in attributes:
            if (kind[0] in _REQUIRED and "C" not in kind) or kind == "empty":
                raise InvalidWorkitem(f"The required tag '{shown(row.tag)}' is missing.")
            continue
        if kind == "NA":
            raise InvalidWorkitem(f"The attribute with tag '{shown(row.tag)}' cannot be present.")
        empty = is_empty(attributes, row.tag)
        if kind in {"empty", "void"} and not empty:
            raise InvalidWorkitem(f"The attribute with tag '{shown(row.tag)}' must be empty.")
        if kind in _NOT_EMPTY and empty:
            raise InvalidWorkitem(
                f"The value for tag '{shown(row.tag)}' is missing."
                if kind == "1/1"
                else f"The attribute with tag '{shown(row.tag)}' must not be empty."
            )
        if row.items:
            for item in items(attributes, row.tag):
                _check(row.items, item, use)


def check_final(attributes: Mapping[str, Any], state: State) -> None:
    """Refuse to finish a workitem that lacks what its final state needs (worklist §4.2). Raises InvalidWorkitem."""
    needed = {"R", "P"} if state is State.COMPLETED else {"R", "X"}
    _check_final(requirements(), attributes, needed, completed=state is State.COMPLETED)


def _check_final(
    rows: Sequence[AttributeRequirement], attributes: Mapping[str, Any], needed: set[str], *, completed: bool
) -> None:
    for row in rows:
        present_only = completed and row.final == "P2"
        if row.final not in needed and not present_only:
            continue
        if row.tag not in attributes:
            raise InvalidWorkitem(f"The required tag '{shown(row.tag)}' is missing.")
        if not present_only and is_empty(attributes, row.tag):
            raise InvalidWorkitem(f"The value for tag '{shown(row.tag)}' is missing.")
        for item in items(attributes, row.tag):
            _check_final(row.items, item, needed, completed=completed)


def is_empty(attributes: Mapping[str, Any], tag: str) -> bool:
    """Whether an element has no value. An item of a sequence is one, whatever it holds (WC-23)."""
    element = attributes.get(tag)
    if not isinstance(element, Mapping):
        return True
    if element.get("vr") == "SQ":
        return not values(attributes, tag)
    if element.get("BulkDataURI") or element.get("InlineBinary"):
        return False
    return not any(map(_has_content, values(attributes, tag)))


def _has_content(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_content, value.values()))
    return bool(value.strip(" \0")) if isinstance(value, str) else value is not None


def shown(tag: str) -> str:
    """A tag as texts have it: `(gggg,eeee)`."""
    return f"({tag[:4].lower()},{tag[4:].lower()})"
