"""The rows and the documentation of the worklist (PS3.18 §11)."""

from collections.abc import Mapping
from typing import Any, Final

from shared.dicom.media_types import DICOM_JSON
from shared.dicomweb.documentation import (
    DATA_SET,
    DATA_SETS,
    MATCHING,
    PRINTABLE,
    UID,
    Documentation,
    Schema,
    accept,
    failures,
    query,
)
from shared.dicomweb.resource import READ, Resource

_TEXTS = {
    "00741200": ("CS", "MEDIUM"),
    "00741204": ("LO", "Nodule detection"),
    "00404005": ("DT", "20260131120000"),
    "00404041": ("CS", "READY"),
}
_EMPTY = {
    "00741210": "SQ",
    "00404025": "SQ",
    "00404026": "SQ",
    "00404027": "SQ",
    "00404018": "SQ",
    "00400400": "LT",
    "00404021": "SQ",
    "00100010": "PN",
    "00100021": "LO",
    "00100024": "SQ",
    "00101002": "SQ",
    "00100030": "DA",
    "00100040": "CS",
    "00380010": "LO",
    "00380014": "SQ",
    "00081080": "LO",
    "00081084": "SQ",
    "0040A370": "SQ",
    "00741002": "SQ",
    "00741216": "SQ",
}


def _one_data_set(name: str, text: str, example: Mapping[str, Any]) -> Schema:
    definition = {"oneOf": [DATA_SET.reference, DATA_SETS.reference], "description": text}
    return Schema(name, definition, dict(sorted(example.items())), (DATA_SET, DATA_SETS))


def _text(vr: str, value: str) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}


RESULT_TEXT = Schema("WorklistResult", {"type": "string"}, "The workitem instance is not found.")
NEW_WORKITEM = _one_data_set(
    "NewWorkitem",
    "The attributes of a workitem (PS3.4 Table CC.2.5-3): these, at the least",
    {tag: _text(*value) for tag, value in _TEXTS.items()} | {tag: {"vr": vr} for tag, vr in _EMPTY.items()},
)
WORKITEM_CHANGES = _one_data_set(
    "WorkitemChanges", "The attributes that change", {"00404041": _text("CS", "INCOMPLETE")}
)
STATE_CHANGE = _one_data_set(
    "WorkitemStateChange",
    "Transaction UID and Procedure Step State",
    {"00081195": _text("UI", "1.2.826.0.1.3680043.8.498.5"), "00741000": _text("CS", "IN PROGRESS")},
)
CANCELLATION = _one_data_set(
    "CancellationRequest", "Reasons and a contact", {"00741238": _text("LT", "The patient has left.")}
)

_UID_IN_QUERY: Final = {"type": "string", "pattern": UID.definition["pattern"]}
CREATE_WORKITEM: Final = Documentation(
    "The body has one data set, alone or in an array. Its UID may be in the query string, by itself (`?1.2.3`) or as "
    "the value of `workitem`, or in the data set; without one the service assigns it. The header Location has the URL.",
    produces=(DICOM_JSON,),
    consumes=(DICOM_JSON,),
    body=NEW_WORKITEM,
    successes=(201,),
    failures=failures(406, 409, 413, 415),
    failure_bodies=((400, DICOM_JSON, RESULT_TEXT), (409, DICOM_JSON, RESULT_TEXT)),
    parameters=(
        query("workitem", "SOPInstanceUID of the new workitem", _UID_IN_QUERY, "1.2.826.0.1.3680043.8.498.4"),
        accept(DICOM_JSON),
    ),
)
RETRIEVE_WORKITEM: Final = Documentation(
    "One data set, without the Transaction UID.",
    produces=(DICOM_JSON,),
    failures=failures(404, 406, 410),
    failure_bodies=((404, DICOM_JSON, RESULT_TEXT),),
    parameters=(accept(DICOM_JSON),),
    schema=DATA_SET,
)
UPDATE_WORKITEM: Final = Documentation(
    "Every attribute of the body replaces the stored one. Of a workitem that is in progress the performer alone may "
    "change something: the query string has its Transaction UID, by itself or as the value of `transaction-uid`.",
    consumes=(DICOM_JSON,),
    body=WORKITEM_CHANGES,
    failures=failures(404, 409, 410, 413, 415),
    parameters=(
        query("transaction-uid", "Transaction UID of the performer", _UID_IN_QUERY, "1.2.826.0.1.3680043.8.498.5"),
    ),
)
CHANGE_WORKITEM_STATE: Final = Documentation(
    "`IN PROGRESS` claims a scheduled workitem: the Transaction UID of the request becomes its key, which `COMPLETED` "
    "and `CANCELED` need. Exactly one of several claims succeeds. A Warning header tells why a request fails.",
    consumes=(DICOM_JSON,),
    body=STATE_CHANGE,
    failures=failures(404, 409, 410, 413, 415),
)
CANCEL_WORKITEM: Final = Documentation(
    "A scheduled workitem is canceled at once; one that is in progress can only be canceled by its performer. The body "
    "may give reasons and a contact.",
    produces=(DICOM_JSON,),
    consumes=(DICOM_JSON,),
    body=CANCELLATION,
    successes=(202,),
    failures=failures(404, 409, 410, 413, 415),
    failure_bodies=((404, DICOM_JSON, RESULT_TEXT), (409, DICOM_JSON, RESULT_TEXT)),
    schema=RESULT_TEXT,
)
SEARCH_WORKITEMS: Final = Documentation(
    "Every parameter that is not named here is a matching key: keyword or tag, or a path of them with dots. `*` and "
    "`?` are wildcards, `20260101-20260131` is a range. Newest creation first.",
    produces=(DICOM_JSON,),
    successes=(200, 204, 206),
    failures=failures(406, 413),
    parameters=(
        *MATCHING,
        query(
            "includefield",
            "Attributes to return besides the default ones: keywords or tags, or `all` alone; repeated or by commas",
            {"type": "array", "items": {"type": "string", "minLength": 1, "pattern": PRINTABLE}},
            ["CommentsOnTheScheduledProcedureStep"],
        ),
        accept(DICOM_JSON),
    ),
    schema=DATA_SETS,
)

_SUBSCRIBED: Final = (
    "The path names a workitem, or the whole worklist by the UID 1.2.840.10008.5.1.4.34.5, or a part of it by "
    "1.2.840.10008.5.1.4.34.5.1; and the AE title of the subscriber."
)
SUBSCRIBE: Final = Documentation(
    f"{_SUBSCRIBED} The headers Location and Content-Location have the URL of a WebSocket that carries the event "
    "reports; it opens one connection, within a minute. A part of the worklist needs a filter. A Warning tells of a "
    "lock that is not granted.",
    successes=(201,),
    failures=failures(404, 409, 410),
    parameters=(
        query("deletionlock", "Whether the workitem is kept as long as the subscription is", {"type": "boolean"}, True),
        query(
            "filter",
            "Matching keys, as in a search: attribute=value, separated by commas",
            {"type": "string", "minLength": 3},
            "ProcedureStepState=SCHEDULED",
        ),
    ),
)
UNSUBSCRIBE: Final = Documentation(
    f"{_SUBSCRIBED} Unsubscribing from the worklist ends all subscriptions to single workitems too.",
    failures=failures(404, 409, 410),
)
SUSPEND: Final = Documentation(
    "No new workitems join a subscription to the worklist; event reports of those that it has go on.",
    failures=failures(404, 409),
)
OPEN_CONNECTION: Final = Documentation(
    "The header Location has the URL of a WebSocket that carries the event reports of a subscriber. It opens "
    "one connection, within a minute.",
    successes=(307,),
    failures=failures(409),
    parameters=(
        query(
            "after",
            "Message ID of the last event report that the subscriber has got: the connection begins behind it",
            {"type": "integer", "minimum": 0, "maximum": 65535},
            41,
        ),
    ),
)


def _subscription(name: str, request: str, audit: str, summary: str, documentation: Documentation) -> Resource:
    """The resources of subscriptions (PS3.18 Tables 8.10.4-1 and 11.1.1-1), which show what there is to whoever may
    read it.
    """
    method, _, path = request.partition(" ")
    methods = READ if method == "GET" else (method,)
    return Resource(name, methods, path, "read", f"{audit}-workitem", summary, documentation)


def _worklist(name: str, request: str, audit: str, summary: str, documentation: Documentation) -> Resource:
    """The resources of the Worklist Service (PS3.18 Table 11.1.1-1); `request` is method and path."""
    method, _, path = request.partition(" ")
    methods, action = (READ, "read") if method == "GET" else ((method,), "write")
    creates = name == "create_workitem"
    return Resource(name, methods, path, action, f"{audit}-workitem", summary, documentation, create_partition=creates)


ROWS: Final = (
    _worklist("create_workitem", "POST workitems", "add", "Create a workitem (UPS-RS)", CREATE_WORKITEM),
    _worklist("search_workitems", "GET workitems", "query", "Search for workitems", SEARCH_WORKITEMS),
    _worklist(
        "retrieve_workitem",
        "GET workitems/{workitem}",
        "retrieve",
        "Retrieve a workitem",
        RETRIEVE_WORKITEM,
    ),
    _worklist("update_workitem", "POST workitems/{workitem}", "update", "Update a workitem", UPDATE_WORKITEM),
    _worklist(
        "change_workitem_state",
        "PUT workitems/{workitem}/state",
        "change-state",
        "Change the state of a workitem",
        CHANGE_WORKITEM_STATE,
    ),
    _worklist(
        "change_workitem_state_by",
        "PUT workitems/{workitem}/state/{requester}",
        "change-state",
        "Change the state of a workitem",
        CHANGE_WORKITEM_STATE,
    ),
    _worklist(
        "request_workitem_cancellation",
        "POST workitems/{workitem}/cancelrequest",
        "cancel",
        "Request the cancellation of a workitem",
        CANCEL_WORKITEM,
    ),
    _worklist(
        "request_workitem_cancellation_by",
        "POST workitems/{workitem}/cancelrequest/{requester}",
        "cancel",
        "Request the cancellation of a workitem",
        CANCEL_WORKITEM,
    ),
    _subscription(
        "subscribe_to_workitem",
        "POST workitems/{workitem}/subscribers/{aetitle}",
        "subscribe",
        "Subscribe to a workitem, or to the worklist",
        SUBSCRIBE,
    ),
    _subscription(
        "unsubscribe_from_workitem",
        "DELETE workitems/{workitem}/subscribers/{aetitle}",
        "unsubscribe",
        "Unsubscribe from a workitem, or from the worklist",
        UNSUBSCRIBE,
    ),
    _subscription(
        "suspend_subscription",
        "POST workitems/{workitem}/subscribers/{aetitle}/suspend",
        "suspend",
        "Suspend a subscription to the worklist",
        SUSPEND,
    ),
    _subscription(
        "open_notification_connection",
        "GET subscribers/{aetitle}",
        "open-notifications",
        "Open a connection for event reports",
        OPEN_CONNECTION,
    ),
    Resource(
        "let_in_notification_connection",
        ("POST", "OPTIONS"),
        "worklist/connections",
        None,
        None,
        "Asked by Web PubSub before it opens a connection",
        None,  # no part of the API
        versioned=False,
        partitioned=False,
    ),
)
