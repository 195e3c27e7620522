"""PS3.4 §CC.2 A workitem, and what each of its transactions makes of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from shared.dicom.attributes import Attributes
from shared.dicom.elements import first_text, items
from shared.workitems.requirements import is_empty
from shared.workitems.states import State

UPS_PUSH_SOP_CLASS: Final = "1.2.840.10008.5.1.4.34.6.1"
"""The SOP class of every workitem, whichever class the transaction belongs to (PS3.4 §CC.2)."""

TRANSACTION_UID: Final = "00081195"
SOP_CLASS_UID: Final = "00080016"
SOP_INSTANCE_UID: Final = "00080018"
CONTACT_DISPLAY_NAME: Final = "0074100C"
CONTACT_URI: Final = "0074100A"
DISCONTINUATION_REASONS: Final = "0074100E"
INPUT_READINESS_STATE: Final = "00404041"
MODIFIED: Final = "00404010"
PERFORMED_PROCEDURES: Final = "00741216"
PROCEDURE_STEP_STATE: Final = "00741000"
PROGRESS: Final = "00741002"
REASON_FOR_CANCELLATION: Final = "00741238"
REQUESTING_AE: Final = "00741236"
SCHEDULED_HUMAN_PERFORMERS: Final = "00404034"
SCHEDULED_STATION_NAMES: Final = "00404025"
_CANCELLATION_DATE_TIME: Final = "00404052"
_COMMUNICATIONS_URIS: Final = "00741008"
_DEFAULT_WORKLIST_LABEL: Final = "worklist"
_WORKLIST_LABEL: Final = "00741202"


@dataclass(frozen=True, slots=True)
class Workitem:
    """A workitem as it is stored."""

    uid: str
    attributes: Attributes = field(repr=False)
    """All but the Transaction UID, which nobody is ever told (WR-2, WS-3)."""
    claim: str = field(default="", repr=False)
    """The Transaction UID that its performer has set; '' without one."""
    performer: str = ""
    """The AE title by which its performer has claimed it; '' where that was not said."""
    number: int = 1
    """How often it has been written, this time included: the number of its latest event."""
    changed_ms: int = 0
    """When it was last written, in milliseconds since 1970: later than every time before."""
    sort_key: str = ""
    """Its place in lists: ascending is newest first."""

    @property
    def state(self) -> State:
        """Its state."""
        return State(first_text(self.attributes, PROCEDURE_STEP_STATE) or State.SCHEDULED)


def created(sent: Attributes, uid: str, now: float) -> Attributes:
    """The attributes of a new workitem, before they are checked (worklist §3). `now`: seconds since 1970."""
    attributes = {
        **sent,
        SOP_CLASS_UID: _element("UI", UPS_PUSH_SOP_CLASS),
        SOP_INSTANCE_UID: _element("UI", uid),
        MODIFIED: _element("DT", date_time(now)),
        PROCEDURE_STEP_STATE: _element("CS", State.SCHEDULED.value),
    }
    if is_empty(attributes, _WORKLIST_LABEL):
        attributes[_WORKLIST_LABEL] = _element("LO", _DEFAULT_WORKLIST_LABEL)
    return _sorted(attributes)


def without_transaction_uid(attributes: Attributes) -> Attributes:
    """The part of a data set that is stored, once it has been checked."""
    return {tag: element for tag, element in attributes.items() if tag != TRANSACTION_UID}


def updated(workitem: Workitem, changes: Attributes, now: float) -> Workitem:
    """The workitem with the attributes of an update, each of which replaces the stored one (WU-20 to WU-22)."""
    kept = without_transaction_uid(changes)
    attributes = {**workitem.attributes, **kept, MODIFIED: _element("DT", date_time(now))}
    return replace(workitem, attributes=_sorted(attributes))


def changed(workitem: Workitem, state: State, transaction_uid: str, now: float, requester: str = "") -> Workitem:
    """The workitem in another state, at its performer's request (worklist §7). `requester`: the AE title that the
    request names, '' without one.
    """
    attributes = {
        **workitem.attributes,
        PROCEDURE_STEP_STATE: _element("CS", state.value),
        MODIFIED: _element("DT", date_time(now)),
    }
    if state is State.CANCELED:
        first, *others = items(attributes, PROGRESS) or [{}]
        if is_empty(first, _CANCELLATION_DATE_TIME):
            first = _sorted({**first, _CANCELLATION_DATE_TIME: _element("DT", date_time(now))})
        attributes[PROGRESS] = {"vr": "SQ", "Value": [first, *others]}
    if state is State.IN_PROGRESS:
        workitem = replace(workitem, claim=transaction_uid, performer=requester)
    return replace(workitem, attributes=_sorted(attributes))


def canceled(workitem: Workitem, request: Mapping[str, Any], now: float) -> Workitem:
    """The scheduled workitem, canceled at somebody's request, whose reasons become its progress (WX-3, WX-4)."""
    progress: Attributes = {_CANCELLATION_DATE_TIME: _element("DT", date_time(now))}
    for tag in (REASON_FOR_CANCELLATION, DISCONTINUATION_REASONS):
        if not is_empty(request, tag):
            progress[tag] = request[tag]
    contact = {tag: request[tag] for tag in (CONTACT_URI, CONTACT_DISPLAY_NAME) if not is_empty(request, tag)}
    if contact:
        progress[_COMMUNICATIONS_URIS] = {"vr": "SQ", "Value": [contact]}
    attributes = {
        **workitem.attributes,
        PROCEDURE_STEP_STATE: _element("CS", State.CANCELED.value),
        MODIFIED: _element("DT", date_time(now)),
        PROGRESS: {"vr": "SQ", "Value": [_sorted(progress)]},
    }
    if PERFORMED_PROCEDURES in request:
        attributes[PERFORMED_PROCEDURES] = request[PERFORMED_PROCEDURES]
    return replace(workitem, attributes=_sorted(attributes))


def date_time(now: float) -> str:
    """A moment as a value of VR DT, in UTC."""
    return f"{datetime.fromtimestamp(now, UTC):%Y%m%d%H%M%S.%f}+0000"


def _element(vr: str, value: str) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}


def _sorted(attributes: Mapping[str, Any]) -> Attributes:
    return dict(sorted(attributes.items()))
