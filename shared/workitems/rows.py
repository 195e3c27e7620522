"""The rows of the table `worklist` (storage §11): workitems, their postings and their events. Pure.

All rows of a workitem are in one partition, `{shard}!{ns}`, so that a write is one entity group transaction:

| Row | Key |
|---|---|
| workitem | `w!{uid}` |
| posting | `{code}!{value}!{sk}` as in storage §6.1; the list of everything is `a!!{sk}!{h8}` |
| event | `e!{time}!{number}!{uid digest}`: time in 12 hexadecimal digits of milliseconds, number in 8 |
"""

import zlib
from collections.abc import Mapping, Sequence
from hashlib import sha1
from typing import Final

import orjson

from shared.dicom.attributes import Attributes
from shared.errors import TooLarge
from shared.index.documents import compress, decompress
from shared.index_schema import keys
from shared.index_schema.postings import ALL, Range, posting_values
from shared.storage.large_values import join, split
from shared.storage.ports import Entity, Kind, Value
from shared.workitems import searchable
from shared.workitems.events import ReportType, WorkitemEvent
from shared.workitems.workitem import MODIFIED, Workitem

TABLE: Final[Kind] = "worklist"
SHARDS: Final = 4
"""Partitions of the worklist of a data partition: fixed, because a workitem is looked for where it belongs. Each of
them takes 2,000 rows a second, some forty new workitems, and every one costs a search a request."""
MOST_POSTINGS: Final = 97
"""Of a workitem, and those that one write changes: an entity group transaction has 100 rows."""
_LARGEST: Final = 600_000
"""Bytes of a data set, deflated: a row has a MiB."""
_CARRIED_TEXT: Final = 64
"""Characters of a value in the list of everything, and of all values there:"""
_CARRIED: Final = 30_000
_WRITES: Final = 8
"""Writes of a workitem that its row remembers: so many may follow one whose answer got lost."""
_SCHEMA: Final = 1
"""That of the postings."""
EVENTS: Final[Range] = ("e!", 'e"')


def partition_key(namespace: str, uid: str) -> str:
    """The partition of a workitem."""
    shard = int(sha1(uid.encode(), usedforsecurity=False).hexdigest()[:4], 16) % SHARDS
    return keys.posting_partition(shard, namespace)


def partition_keys(namespace: str) -> list[str]:
    """All partitions of the worklist of a data partition."""
    return [keys.posting_partition(shard, namespace) for shard in range(SHARDS)]


def workitem_key(uid: str) -> str:
    """The row key of a workitem."""
    return f"w!{uid}"


# ---------------------------------------------------------------------------------------------------------- workitems


def workitem_properties(workitem: Workitem, postings: Sequence[str], writes: Sequence[str]) -> dict[str, Value]:
    """The properties of a row. `postings`: the keys of its postings; `writes`: the ids of its last writes, the latest
    first. Raises TooLarge.
    """
    document = compress(orjson.dumps(workitem.attributes))
    if len(document) > _LARGEST:
        raise TooLarge("The workitem is larger than a worklist can hold.", remedy="Refer to fewer instances in it.")
    return {
        "number": workitem.number,
        "changed": workitem.changed_ms,
        "sk": workitem.sort_key,
        "claim": workitem.claim,
        "performer": workitem.performer,
        "writes": " ".join(writes[:_WRITES]),
        "schema": _SCHEMA,
        **split("document", document),
        **split("postings", zlib.compress("\n".join(postings).encode())),
    }


def workitem_of(entity: Entity) -> Workitem:
    """The workitem in a row."""
    number, changed = entity.properties["number"], entity.properties["changed"]
    attributes: Attributes = orjson.loads(decompress(join("document", entity.properties)))
    return Workitem(
        entity.row_key.partition("!")[2],
        attributes,
        str(entity.properties["claim"]),
        str(entity.properties.get("performer", "")),
        int(number),
        int(changed),
        str(entity.properties["sk"]),
    )


def removed_properties(time_ms: int) -> dict[str, Value]:
    """The properties of the row of a workitem that was removed: they say that it was there, and nothing of it."""
    return {"removed": time_ms}


def is_removed(entity: Entity) -> bool:
    """Whether the workitem of a row was removed."""
    return "removed" in entity.properties


def posting_keys_of(entity: Entity) -> frozenset[str]:
    """The keys of the postings that a workitem has, by its row."""
    return frozenset(zlib.decompress(join("postings", entity.properties)).decode().split("\n"))


def writes_of(entity: Entity) -> list[str]:
    """The ids of the last writes, by the row; latest first. Of a workitem that was removed there are none."""
    return str(entity.properties.get("writes", "")).split()


# ----------------------------------------------------------------------------------------------------------- postings


def postings(workitem: Workitem) -> dict[str, Mapping[str, Value]]:
    """The postings of a workitem: row key to properties. Raises TooLarge when they are too many for a transaction."""
    named: dict[str, Value] = {"uid": workitem.uid}
    texts = searchable.texts_by_path(workitem.attributes)
    found: dict[str, Mapping[str, Value]] = {
        f"{value}!{workitem.sort_key}": named
        for path, some in texts.items()
        for text in dict.fromkeys(some)
        for value in posting_values(searchable.KEYS[path], text)
    }
    found |= _listed(workitem, texts, named)
    if len(found) > MOST_POSTINGS:
        raise TooLarge(
            f"The workitem has more than {MOST_POSTINGS} values that searches match.",
            remedy="Give it fewer items in sequences that are searched: codes, performers, requests.",
        )
    return found


def _listed(
    workitem: Workitem, texts: Mapping[str, Sequence[str]], named: Mapping[str, Value]
) -> dict[str, Mapping[str, Value]]:
    """The row in the list of everything. It carries what searches match, as far as it is short: of a value that it does
    not carry it says nothing.
    """
    carried: dict[str, Sequence[str]] = {}
    for path in searchable.KEYS:
        some = texts.get(path, ())
        if all(len(text) <= _CARRIED_TEXT for text in some):
            carried[path] = some
    document = orjson.dumps(carried)
    if len(document) > _CARRIED:
        document = b"{}"
    digest = sha1(document, usedforsecurity=False).hexdigest()[:8]
    return {f"{ALL}!!{workitem.sort_key}!{digest}": {**named, "attributes": document}}


def uid_of(posting: Entity) -> str:
    """The workitem that a posting is about."""
    return str(posting.properties["uid"])


def carried_by(posting: Entity) -> Mapping[str, Sequence[str]]:
    """The values in a row of the list of everything, by path; those that it does not carry are absent."""
    document = posting.properties.get("attributes")
    found: Mapping[str, Sequence[str]] = orjson.loads(document) if isinstance(document, bytes) else {}
    return found


# ------------------------------------------------------------------------------------------------------------- events


def last_written_before(moment: str) -> Range:
    """The postings of the workitems that were last written before a moment, `YYYYMMDDHHMMSSFFFFFF` in UTC."""
    code = searchable.KEYS[MODIFIED].codes[0]
    return f"{code}!t", f"{code}!t{moment}"


def event_key(event: WorkitemEvent) -> str:
    """The row key of an event: by time, and of one workitem by number."""
    return f"e!{event.time_ms:012x}!{event.number:08x}!{keys.uid_digest(event.uid)}"


def events_before(time_ms: int) -> Range:
    """The events of the time before a moment."""
    return "e!", f"e!{time_ms:012x}"


def event_properties(event: WorkitemEvent) -> dict[str, Value]:
    """The properties of a row."""
    document = {
        "attributes": event.attributes,
        "request": event.request,
        "searched": event.searched,
        "replaced": event.replaced,
    }
    return {
        "uid": event.uid,
        "number": event.number,
        "time": event.time_ms,
        "reports": ",".join(str(report.value) for report in event.reports),
        "removed": event.removed,
        "created": event.created_ms,
        **split("document", compress(orjson.dumps(document))),
    }


def event_in(entity: Entity) -> WorkitemEvent:
    """The event in a row."""
    properties = entity.properties
    document = orjson.loads(decompress(join("document", properties)))
    return WorkitemEvent(
        str(properties["uid"]),
        int(properties["number"]),
        int(properties["time"]),
        tuple(ReportType(int(value)) for value in str(properties["reports"]).split(",") if value),
        document["attributes"],
        document["request"],
        bool(properties["removed"]),
        int(properties.get("created", 0)),
        document.get("searched", {}),
        document.get("replaced", {}),
    )
