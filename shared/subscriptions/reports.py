"""PS3.4 §CC.2.4 Event reports as data sets in DICOM JSON (PS3.18 §11.13). Pure."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from shared.dicom.attributes import Attributes
from shared.dicom.elements import first_text, items
from shared.subscriptions.subscriber import message_id
from shared.workitems.events import ReportType, WorkitemEvent
from shared.workitems.requirements import is_empty
from shared.workitems.workitem import (
    CONTACT_DISPLAY_NAME,
    CONTACT_URI,
    DISCONTINUATION_REASONS,
    INPUT_READINESS_STATE,
    PROCEDURE_STEP_STATE,
    PROGRESS,
    REASON_FOR_CANCELLATION,
    REQUESTING_AE,
    SCHEDULED_HUMAN_PERFORMERS,
    SCHEDULED_STATION_NAMES,
    UPS_PUSH_SOP_CLASS,
    Workitem,
)

GLOBAL_SUBSCRIPTION: Final = "1.2.840.10008.5.1.4.34.5"
"""The well-known UID of the whole worklist."""
FILTERED_SUBSCRIPTION: Final = "1.2.840.10008.5.1.4.34.5.1"
"""The well-known UID of the workitems that match a filter."""

_AFFECTED_SOP_CLASS: Final = "00000002"
_MESSAGE_ID: Final = "00000110"
_AFFECTED_SOP_INSTANCE: Final = "00001000"
_EVENT_TYPE: Final = "00001002"
_SCP_STATUS_CHANGE: Final = 4
_SCP_STATUS: Final = "00741242"
_SUBSCRIPTION_LIST_STATUS: Final = "00741244"
_WORKLIST_STATUS: Final = "00741246"

_HUMAN_PERFORMER_CODES: Final = "00404009"
_HUMAN_PERFORMER_ORGANIZATION: Final = "00404036"
_PARAMETERS: Final = "00741007"
_PROGRESS_ITEM: Final = ("00741004", "00741006", _PARAMETERS, "00741008")
"""The attributes of an item of progress in Table CC.2.4-1."""
_ON_CANCELLATION: Final = (REASON_FOR_CANCELLATION, DISCONTINUATION_REASONS)
_REQUEST: Final = (REQUESTING_AE, *_ON_CANCELLATION, CONTACT_URI, CONTACT_DISPLAY_NAME)
_NOBODY: Final = "UNKNOWN"
"""Requesting AE where the request names none: the table wants a value."""
LARGEST: Final = 400_000
"""Bytes of a report: whatever carries it takes 1 MiB of text, and so does a row."""


def reports_of(event: WorkitemEvent) -> list[bytes]:
    """The reports of a write, in the order in which they are sent; without Message IDs."""
    return [_fitting(event.uid, each, _CONTENTS[each](event)) for each in event.reports]


def initial_report(workitem: Workitem) -> bytes:
    """The report to a subscriber of a workitem when it subscribes to it (PS3.4 §CC.2.4.3)."""
    return _fitting(workitem.uid, ReportType.STATE_REPORT, _state(workitem.attributes))


def status_change() -> bytes:
    """Tells a subscriber that it has missed reports that are no longer kept; subscriptions and workitems are as they
    were (SCP Status Change).
    """
    attributes = {
        _SCP_STATUS: _element("CS", "RESTARTED"),
        _SUBSCRIPTION_LIST_STATUS: _element("CS", "WARM START"),
        _WORKLIST_STATUS: _element("CS", "WARM START"),
    }
    return orjson.dumps(_command(GLOBAL_SUBSCRIPTION, _SCP_STATUS_CHANGE) | attributes)


def numbered(report: bytes, number: int) -> str:
    """The text that is sent: the report with its Message ID, which is one more than that of the report before."""
    data_set = orjson.loads(report)
    data_set[_MESSAGE_ID] = _element("US", message_id(number))
    return orjson.dumps(data_set, option=orjson.OPT_SORT_KEYS).decode()


def _fitting(uid: str, report: ReportType, attributes: Attributes) -> bytes:
    """A report that is not too long; of one that is, what the table lets be absent is left out."""
    for left_out in ((), (_PARAMETERS,), _PROGRESS_ITEM[1:], (*_PROGRESS_ITEM, SCHEDULED_HUMAN_PERFORMERS)):
        kept = {tag: _without(element, left_out) for tag, element in attributes.items() if tag not in left_out}
        document = orjson.dumps(_command(uid, report.value) | kept)
        if len(document) <= LARGEST:
            return document
    return orjson.dumps(_command(uid, report.value))


def _without(element: Mapping[str, Any], tags: tuple[str, ...]) -> Mapping[str, Any]:
    if not tags or element.get("vr") != "SQ":
        return element
    value = [{tag: each for tag, each in (item or {}).items() if tag not in tags} for item in element.get("Value", [])]
    return {**element, "Value": value}


def _command(uid: str, event_type: int) -> dict[str, Any]:
    return {
        _AFFECTED_SOP_CLASS: _element("UI", UPS_PUSH_SOP_CLASS),
        _AFFECTED_SOP_INSTANCE: _element("UI", uid),
        _EVENT_TYPE: _element("US", event_type),
    }


def _element(vr: str, value: str | int) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}


def _named(attributes: Attributes, tags: tuple[str, ...]) -> Attributes:
    return {tag: attributes[tag] for tag in tags if not is_empty(attributes, tag)}


def _state(attributes: Attributes) -> Attributes:
    found = _named(attributes, (INPUT_READINESS_STATE, PROCEDURE_STEP_STATE))
    if first_text(attributes, PROCEDURE_STEP_STATE) == "CANCELED":
        for item in items(attributes, PROGRESS)[:1]:
            found |= _named(dict(item), _ON_CANCELLATION)
    return found


def _state_report(event: WorkitemEvent) -> Attributes:
    return _state(event.attributes)


def _cancel_requested(event: WorkitemEvent) -> Attributes:
    return {REQUESTING_AE: _element("AE", _NOBODY)} | _named(event.request, _REQUEST)


def _progress(event: WorkitemEvent) -> Attributes:
    found = [_named(dict(item), _PROGRESS_ITEM) for item in items(event.attributes, PROGRESS)]
    return {PROGRESS: {"vr": "SQ", "Value": found} if found else {"vr": "SQ"}}


def _assigned(event: WorkitemEvent) -> Attributes:
    """Table CC.2.4-1 has codes and organization, §CC.2.4.3 the sequence that they are from: both are there."""
    found = _named(event.attributes, (SCHEDULED_STATION_NAMES, SCHEDULED_HUMAN_PERFORMERS))
    performers = items(event.attributes, SCHEDULED_HUMAN_PERFORMERS)
    codes = [code for item in performers for code in items(item, _HUMAN_PERFORMER_CODES)]
    if codes:
        found[_HUMAN_PERFORMER_CODES] = {"vr": "SQ", "Value": codes}
    organizations = [text for item in performers if (text := first_text(item, _HUMAN_PERFORMER_ORGANIZATION))]
    if organizations:
        found[_HUMAN_PERFORMER_ORGANIZATION] = _element("LO", organizations[0])
    return found


_CONTENTS: Final = {
    ReportType.STATE_REPORT: _state_report,
    ReportType.CANCEL_REQUESTED: _cancel_requested,
    ReportType.PROGRESS_REPORT: _progress,
    ReportType.ASSIGNED: _assigned,
}
