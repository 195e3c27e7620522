"""The rows of subscribers in the table `worklist` (storage §11.1). Pure.

All rows of the subscribers of a data partition are in one partition, `s!{ns}`, so that what is asked for and what is
sent of it change in one entity group transaction:

| Row | Key |
|---|---|
| subscriber | `ae!{aetitle}` |
| subscription to a workitem | `wi!{uid}!{aetitle}` |
| event report | `er!{aetitle}!{number}`: number in 12 hexadecimal digits |
| latest event told | `no!{aetitle}!{uid digest}` |
"""

from collections.abc import Mapping
from dataclasses import asdict, astuple
from typing import Final

import orjson

from shared.index_schema import keys
from shared.index_schema.postings import Range
from shared.storage.large_values import join, split
from shared.storage.ports import Entity, RowWrite, Value
from shared.subscriptions.subscriber import Opening, Subscriber, WorkitemSubscription, WorklistSubscription

SUBSCRIBERS: Final[Range] = ("ae!", 'ae"')
REPORTS: Final[Range] = ("er!", 'er"')
MARKS: Final[Range] = ("no!", 'no"')
SUBSCRIPTIONS: Final[Range] = ("wi!", 'wi"')
"""To single workitems."""
_WORKLIST: Final = ("everything", "filtered")
_SPENT: Final = ("aetitle", "openings", *_WORKLIST)


def partition_key(namespace: str) -> str:
    """The partition of the subscribers of a data partition."""
    return f"s!{namespace}"


def subscriber_key(aetitle: str) -> str:
    """The row key of a subscriber."""
    return f"ae!{keys.escape(aetitle)}"


def subscriber_properties(subscriber: Subscriber) -> dict[str, Value]:
    """The properties of a row."""
    flat = {name: value for name, value in asdict(subscriber).items() if name not in _SPENT}
    for name in _WORKLIST:
        made: WorklistSubscription = getattr(subscriber, name)
        flat |= {f"{name}_{key}": value for key, value in asdict(made).items()}
    openings = orjson.dumps([astuple(each) for each in subscriber.openings]).decode()
    return {"aetitle": subscriber.aetitle, "openings": openings, **flat}


def subscriber_of(entity: Entity) -> Subscriber:
    """The subscriber in a row."""
    properties = entity.properties
    return Subscriber(
        str(properties["aetitle"]),
        str(properties.get("owner", "")),  # rows that were written before there were owners have none
        int(properties["requests"]),
        _worklist_subscription(properties, "everything"),
        _worklist_subscription(properties, "filtered"),
        int(properties["cleared"]),
        int(properties["filter_cleared"]),
        int(properties["last"]),
        int(properties["sent"]),
        int(properties["seen_ms"]),
        bool(properties["absent"]),
        tuple(Opening(*each) for each in orjson.loads(str(properties.get("openings", "[]")))),
        str(properties["lease"]),
        int(properties["lease_ms"]),
    )


def _worklist_subscription(properties: Mapping[str, Value], name: str) -> WorklistSubscription:
    return WorklistSubscription(
        int(properties[f"{name}_request"]),
        int(properties[f"{name}_since_ms"]),
        int(properties[f"{name}_suspended_ms"]),
        str(properties[f"{name}_filter"]),
    )


def subscription_key(uid: str, aetitle: str) -> str:
    """The row key of a subscription to a workitem."""
    return f"wi!{uid}!{keys.escape(aetitle)}"


def subscriptions_to(uid: str) -> Range:
    """The subscriptions to a workitem."""
    return f"wi!{uid}!", f'wi!{uid}"'


def subscription_properties(subscription: WorkitemSubscription, aetitle: str) -> dict[str, Value]:
    """The properties of a row."""
    return {"aetitle": aetitle, **asdict(subscription)}


def subscription_of(entity: Entity) -> WorkitemSubscription:
    """The subscription in a row."""
    properties = entity.properties
    return WorkitemSubscription(
        int(properties["request"]),
        bool(properties["subscribed"]),
        bool(properties["lock"]),
        bool(properties["by_filter"]),
    )


def aetitle_of(entity: Entity) -> str:
    """Whose subscription a row is."""
    return str(entity.properties["aetitle"])


def report_key(aetitle: str, number: int) -> str:
    """The row key of an event report."""
    return f"er!{keys.escape(aetitle)}!{number:012x}"


def reports_from(aetitle: str, number: int) -> Range:
    """The reports of a subscriber from a number on."""
    return report_key(aetitle, number), f'er!{keys.escape(aetitle)}"'


def report_properties(report: bytes, time_ms: int) -> dict[str, Value]:
    """The properties of a row."""
    return {"time": time_ms, **split("document", report)}


def report_number(entity: Entity) -> int:
    """The number of the report in a row."""
    return int(entity.row_key.rpartition("!")[2], 16)


def report_of(entity: Entity) -> bytes:
    """The report in a row, without its Message ID."""
    return join("document", entity.properties)


def time_of(entity: Entity) -> int:
    """When a report or a mark was written, in milliseconds since 1970."""
    return int(entity.properties["time"])


def mark_key(aetitle: str, uid: str) -> str:
    """The row key of the number of the latest event of a workitem that a subscriber has been told of."""
    return f"no!{keys.escape(aetitle)}!{keys.uid_digest(uid)}"


def mark(namespace: str, aetitle: str, uid: str, number: int, time_ms: int) -> RowWrite:
    """Writes that number."""
    properties: dict[str, Value] = {"number": number, "time": time_ms}
    return RowWrite("upsert", partition_key(namespace), mark_key(aetitle, uid), properties)


def marked(entity: Entity | None) -> int:
    """The number in such a row; 0 if there is none."""
    return int(entity.properties["number"]) if entity else 0
