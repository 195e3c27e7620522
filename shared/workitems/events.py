"""PS3.4 §CC.2.4 Events of writes of workitems. Pure.

Every write of a workitem has one event, whose number is that of the write: the first has 1, and none is left out. What
PS3.4 has a report for is named by it; a write of something else has an event without one, and so has a removal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from shared.dicom.attributes import Attributes
from shared.dicom.elements import first
from shared.index_schema.keys import sort_key_time as created_ms
from shared.workitems import searchable
from shared.workitems.requirements import is_empty
from shared.workitems.workitem import (
    INPUT_READINESS_STATE,
    PROCEDURE_STEP_STATE,
    PROGRESS,
    SCHEDULED_HUMAN_PERFORMERS,
    SCHEDULED_STATION_NAMES,
    Workitem,
)


class ReportType(IntEnum):
    """The event types of PS3.4 Table CC.2.4-1 that writes of workitems cause."""

    STATE_REPORT = 1
    CANCEL_REQUESTED = 2
    PROGRESS_REPORT = 3
    ASSIGNED = 5


_ASSIGNMENT: Final = (SCHEDULED_STATION_NAMES, SCHEDULED_HUMAN_PERFORMERS)
_REPORTED: Final = (INPUT_READINESS_STATE, PROCEDURE_STEP_STATE, PROGRESS, *_ASSIGNMENT)


@dataclass(frozen=True, slots=True)
class WorkitemEvent:
    """A write of a workitem, as it is told of."""

    uid: str
    number: int
    """Of this workitem: 1, 2, 3 and so on."""
    time_ms: int
    """Milliseconds since 1970; of one workitem rising with the numbers."""
    reports: tuple[ReportType, ...] = ()
    """The reports that PS3.4 has of it, in the order in which they are sent."""
    attributes: Attributes = field(default_factory=dict, repr=False)
    """The source of the reports, as it was after the write: states, progress, scheduled stations and performers."""
    request: Attributes = field(default_factory=dict, repr=False)
    """The words of a request for cancellation: reason, codes, contact."""
    removed: bool = False
    """Whether the workitem is no longer there."""
    created_ms: int = 0
    """When the workitem was created."""
    searched: Attributes = field(default_factory=dict, repr=False)
    """The part of the workitem after the write that searches match."""
    replaced: Attributes = field(default_factory=dict, repr=False)
    """The same before the write, of those attributes alone that it has changed, an empty element for one that was not
    there; nothing at creation."""


def event_of(before: Workitem | None, after: Workitem, request: Attributes | None = None) -> WorkitemEvent:
    """The event of a write. `before`: None at creation. `request`: somebody asks for its cancellation."""
    searched = searchable.searched(after.attributes)
    present = searchable.searched(before.attributes) if before else {}
    return WorkitemEvent(
        after.uid,
        after.number,
        after.changed_ms,
        (*((ReportType.CANCEL_REQUESTED,) if request is not None else ()), *_reports(before, after)),
        {tag: after.attributes[tag] for tag in _REPORTED if tag in after.attributes},
        request or {},
        created_ms=created_ms(after.sort_key),
        searched=searched,
        replaced={
            tag: present.get(tag, {}) for tag in searchable.tags() if before and present.get(tag) != searched.get(tag)
        },
    )


def event_of_removal(workitem: Workitem, now_ms: int) -> WorkitemEvent:
    """The event of a removal."""
    time_ms = max(now_ms, workitem.changed_ms + 1)
    return WorkitemEvent(workitem.uid, workitem.number + 1, time_ms, removed=True)


def _reports(before: Workitem | None, after: Workitem) -> tuple[ReportType, ...]:
    if before is None:
        assigned = any(not is_empty(after.attributes, tag) for tag in _ASSIGNMENT)
        return (ReportType.STATE_REPORT, ReportType.ASSIGNED) if assigned else (ReportType.STATE_REPORT,)
    if before.state is not after.state:
        return (ReportType.STATE_REPORT,)
    found = []
    if _differs(before.attributes, after.attributes, INPUT_READINESS_STATE):
        found.append(ReportType.STATE_REPORT)
    if before.attributes.get(PROGRESS) != after.attributes.get(PROGRESS):
        found.append(ReportType.PROGRESS_REPORT)
    if any(before.attributes.get(tag) != after.attributes.get(tag) for tag in _ASSIGNMENT):
        found.append(ReportType.ASSIGNED)
    return tuple(found)


def _differs(before: Mapping[str, Any], after: Mapping[str, Any], tag: str) -> bool:
    return bool(first(before, tag) != first(after, tag))
