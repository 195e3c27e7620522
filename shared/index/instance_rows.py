"""The row of an instance, live or deleted (storage §3: I rows)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from shared.dicom.identifiers import InstanceIdentifier
from shared.index.documents import frame_properties, frames_in, metadata_in, metadata_properties, unpacked_frames
from shared.index.model import NewInstance, OriginalVersion, StoredInstance
from shared.index.summary import LiveInstance
from shared.index_schema import blob_names, keys
from shared.index_schema.changes import schema_in, schema_property
from shared.index_schema.indexed_attributes import IndexedValues
from shared.index_schema.schema import Taken
from shared.storage.ports import Entity, RowWrite, Value

STATE_COLUMNS = ("live", "v", "blob", "bid", "dead", "refused", "attrs", "schema", "failed", "original")
LIVE_INSTANCE_COLUMNS = ("live", "v", "index")
BLOB_COLUMNS = ("live", "v", "blob", "original")
VERSION_COLUMNS = ("live", "v", "original")
DESCRIPTION_COLUMNS = (
    *("live", "v", "blob", "length", "syntax", "sop_class", "frames", "frame_count", "attrs", "schema"),
    *("original", "original_frames"),
)

_REMEMBERED = 400
"""Obsolete uploads that a row remembers; their events come within two days."""
_REFUSED = 100
"""Refused uploads that a row remembers: while one is in flight, its event may be, too."""


type Failures = Mapping[str, tuple[str, int]]
"""Attributes of which an instance has a value that cannot be indexed, by key: what is wrong with it, and when that was
found, in milliseconds since 1970. Their errors are rows of their own; these say that they are there.
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
    original: str = ""
    """The file that is kept as the original version; empty: there is no other than `blob`."""
    schema: int = 1
    """The number of the schema that the row was written under."""

    def remembers(self, blob: str) -> bool:
        """Whether `blob` was this instance and is no longer."""
        return blob == self.original or _remembered(blob) in self.dead

    def names(self, blob: str) -> bool:
        """Whether `blob` is the file of the live instance, or of its original version."""
        return self.live and blob in (self.blob, self.original)

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
    name = blob_names.parse_blob_name(blob)
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
        original_blob_in(entity) if properties["live"] else "",
        schema_in(entity),
    )


def failures_in(entity: Entity) -> Failures:
    """The failures in the row of an instance."""
    found: Mapping[str, Any] = orjson.loads(str(entity.properties.get("failed", "{}")))
    return {key: (fault, created) for key, (fault, created) in found.items()}


def failure_property(failures: Failures) -> dict[str, Value]:
    """The property of the row that holds them: none where there are none."""
    return {"failed": orjson.dumps(failures).decode()} if failures else {}


def original_blob_in(entity: Entity) -> str:
    """The name of the file of the original version in the row of a live instance; empty if there is none."""
    text = entity.properties.get("original")
    return str(orjson.loads(text)["blob"]) if isinstance(text, str) else ""


def _original_in(properties: Mapping[str, Any]) -> OriginalVersion | None:
    text = properties.get("original")
    if text is None:
        return None
    stored = orjson.loads(text)
    return OriginalVersion(
        stored["blob"],
        stored["v"],
        stored["length"],
        unpacked_frames(properties.get("original_frames")),
        stored.get("frames", 0),
    )


def _original_properties(original: OriginalVersion | None) -> dict[str, Value]:
    if original is None:
        return {}
    stored = {"blob": original.blob, "v": original.version, "length": original.length}
    if original.frames_in_blob:
        stored["frames"] = original.frames_in_blob
    frames = frame_properties(original.frames, 0).get("frames")
    packed: dict[str, Value] = {} if frames is None else {"original_frames": frames}
    return {"original": orjson.dumps(stored).decode(), **packed}


def live_properties(entry: NewInstance, version: int, before: InstanceState | None) -> dict[str, Value]:
    """The properties of the row of a live instance that follows `before`."""
    dead: Sequence[str] = ()
    if before:
        dead = before.dead_with(before.blob) if before.live else before.dead
    return {
        "live": True,
        "v": version,
        "blob": entry.blob,
        "bid": entry.upload_id or blob_names.upload_id_of(entry.blob),
        "dead": _listed(dead),
        "refused": _listed(before.refused if before else ()),
        "length": entry.length,
        "syntax": entry.transfer_syntax_uid,
        "sop_class": entry.sop_class_uid,
        **attribute_properties(entry.study, entry.series, entry.instance, entry.schema),
        **frame_properties(entry.frames, entry.frames_in_blob),
        **metadata_properties(entry.metadata),
        **_original_properties(entry.original),
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


@dataclass(frozen=True, slots=True)
class IndexedInstance:
    """All that the row of a live instance says of it."""

    stored: StoredInstance
    upload_id: str
    taken: Taken
    """The attributes of study, series and instance, by the schema of the row."""


def indexed_instance_in(study: str, entity: Entity) -> IndexedInstance | None:
    """The live instance in a whole row; None if it is deleted."""
    stored = stored_instance_in(study, entity)
    return None if stored is None else IndexedInstance(stored, str(entity.properties["bid"]), taken_in(entity))


def taken_in(entity: Entity) -> Taken:
    """The attributes in the row of a live instance."""
    properties: Mapping[str, Any] = entity.properties
    study, series = orjson.loads(properties["index"])
    return study, series, orjson.loads(properties["attrs"])


def version_in(entity: Entity, *, original: bool = False) -> int | None:
    """The watermark of the live instance in a row, `original`: of its version before any update; None if it is deleted.

    Of the columns it needs VERSION_COLUMNS.
    """
    properties: Mapping[str, Any] = entity.properties
    if not properties["live"]:
        return None
    first = properties.get("original") if original else None
    return int(orjson.loads(first)["v"] if first is not None else properties["v"])


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
        _original_in(properties),
    )
