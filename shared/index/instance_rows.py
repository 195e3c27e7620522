"""The row of an instance, live or deleted (storage §3: I rows)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from shared.dicom.identifiers import InstanceIdentifier
from shared.index.documents import frame_properties, frames_in, metadata_in, metadata_properties
from shared.index.model import NewInstance, StoredInstance
from shared.index.summary import LiveInstance
from shared.index_schema import keys
from shared.index_schema.changes import schema_in, schema_property
from shared.index_schema.indexed_attributes import IndexedValues
from shared.storage.ports import Entity, RowWrite, Value

STATE_COLUMNS = ("live", "v", "blob", "bid", "dead", "refused", "attrs", "schema", "failed")
LIVE_INSTANCE_COLUMNS = ("live", "v", "index")
BLOB_COLUMNS = ("live", "v", "blob")
DESCRIPTION_COLUMNS = ("live", "v", "blob", "length", "syntax", "sop_class", "frames", "frame_count", "attrs", "schema")

_REMEMBERED = 400
"""Obsolete uploads that a row remembers; their events come within two days."""
_REFUSED = 100
"""Refused uploads that a row remembers: while one is in flight, its event may be, too."""


type Failures = Mapping[str, tuple[str, int]]
"""Extended query tags whose value an instance has that cannot be indexed, by key: what is wrong with it, and when that
was found, in milliseconds since 1970. Their errors are rows of their own; these say that they are there.
"""


@dataclass(frozen=True, slots=True)
class InstanceState:
    """The state of an instance that decides whether an upload becomes it."""

    etag: str
    live: bool
    version: int
    blob: str
    upload_id: str
    dead: Sequence[str]
    """Uploads that were deleted or replaced: the id if the blob's name follows from it, else the blob's name."""
    refused: Sequence[str]
    """Uploads that were answered ALREADY_STORED: they never become the instance, and their blobs may be removed."""
    attributes: IndexedValues = field(default_factory=dict)
    """The instance-level attributes of the index, if it is live."""
    failures: Failures = field(default_factory=dict)

    def remembers(self, blob: str) -> bool:
        """Whether `blob` was this instance and is no longer."""
        return _remembered(blob) in self.dead

    def has_refused(self, blob: str) -> bool:
        """Whether `blob` has been refused."""
        return _remembered(blob) in self.refused

    def refusal(self, blob: str) -> dict[str, Value]:
        """The properties of the row once `blob` is refused."""
        return {"refused": _listed([*self.refused, _remembered(blob)][-_REFUSED:])}

    def dead_with(self, blob: str) -> list[str]:
        """`dead` and one more."""
        return [*self.dead, _remembered(blob)][-_REMEMBERED:]


def _listed(uploads: Sequence[str]) -> str:
    return orjson.dumps(uploads).decode()


def _remembered(blob: str) -> str:
    name = keys.parse_blob_name(blob)
    return name.upload_id if name else blob


def state_in(entity: Entity) -> InstanceState:
    """The state in an instance row."""
    properties: Mapping[str, Any] = entity.properties
    return InstanceState(
        entity.etag,
        properties["live"],
        properties["v"],
        properties["blob"],
        properties["bid"],
        orjson.loads(properties["dead"]),
        orjson.loads(properties["refused"]),
        orjson.loads(properties["attrs"]) if properties["live"] else {},
        failures_in(entity),
    )


def failures_in(entity: Entity) -> Failures:
    """The failures in the row of an instance."""
    found: Mapping[str, Any] = orjson.loads(str(entity.properties.get("failed", "{}")))
    return {key: (fault, created) for key, (fault, created) in found.items()}


def failure_property(failures: Failures) -> dict[str, Value]:
    """The property of the row that holds them: none where there are none."""
    return {"failed": orjson.dumps(failures).decode()} if failures else {}


def live_properties(entry: NewInstance, version: int, before: InstanceState | None) -> dict[str, Value]:
    """The properties of the row of a live instance that follows `before`."""
    dead: Sequence[str] = ()
    if before:
        dead = before.dead_with(before.blob) if before.live else before.dead
    return {
        "live": True,
        "v": version,
        "blob": entry.blob,
        "bid": entry.upload_id or keys.upload_id_of(entry.blob),
        "dead": _listed(dead),
        "refused": _listed(before.refused if before else ()),
        "length": entry.length,
        "syntax": entry.transfer_syntax_uid,
        "sop_class": entry.sop_class_uid,
        **attribute_properties(entry.study, entry.series, entry.instance, entry.schema),
        **frame_properties(entry.frames, entry.frames_in_blob),
        **metadata_properties(entry.metadata),
    }


def attribute_properties(
    study: IndexedValues, series: IndexedValues, instance: IndexedValues, schema: int
) -> dict[str, Value]:
    """The properties of the row of a live instance that hold its attributes, by the schema of that number."""
    return {
        "index": orjson.dumps((study, series)),
        "attrs": orjson.dumps(instance).decode(),
        **schema_property(schema),
    }


def tombstone_properties(state: InstanceState, version: int) -> dict[str, Value]:
    """The properties of the row of a deleted instance; its blob can be restored while it is not erased (S-3)."""
    return {
        "live": False,
        "v": version,
        "blob": state.blob,
        "bid": state.upload_id,
        "dead": _listed(state.dead_with(state.blob)),
        "refused": _listed(state.refused),
    }


def write(partition_key: str, row_key: str, properties: Mapping[str, Value], etag: str | None) -> RowWrite:
    """Insert the row, or replace the one that has `etag`."""
    if etag is None:
        return RowWrite("insert", partition_key, row_key, properties)
    # rule: an instance row is replaced only as it was read
    return RowWrite("replace", partition_key, row_key, properties, etag)


def live_instance_in(entity: Entity) -> LiveInstance | None:
    """The live instance in a row, as a summary takes it; None if it is deleted."""
    properties: Mapping[str, Any] = entity.properties
    if not properties["live"]:
        return None
    series, instance = keys.instance_of(entity.row_key)
    study_attributes, series_attributes = orjson.loads(properties["index"])
    change = keys.change_id(properties["v"], series, instance)
    return LiveInstance(change, series, instance, study_attributes, series_attributes)


def stored_instance_in(study: str, entity: Entity) -> StoredInstance | None:
    """The live instance in a row, as a reader sees it; None if it is deleted."""
    properties: Mapping[str, Any] = entity.properties
    if not properties["live"]:
        return None
    return StoredInstance(
        InstanceIdentifier(study, *keys.instance_of(entity.row_key)),
        properties["sop_class"],
        properties["syntax"],
        properties["v"],
        properties["blob"],
        properties["length"],
        frames_in(properties),
        metadata_in(properties),
        keys.newest_first(properties["v"]),
        properties.get("frame_count", 0),
        orjson.loads(properties["attrs"]),
        schema_in(entity),
    )
