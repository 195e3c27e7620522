"""The rows that record a change until it is folded, logged and cleaned up (storage §3: D, E and G rows)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from shared.dicom.identifiers import InstanceIdentifier
from shared.index_schema import keys
from shared.index_schema.indexed_attributes import IndexedValues
from shared.storage.large_values import join, split
from shared.storage.ports import Entity, Value

type ChangeOperation = Literal["create", "update", "delete"]

LOGGED_COLUMNS = ("op", "series", "instance", "v")
"""The properties that the change feed takes from a D or E row."""

_NONE = orjson.dumps({})
_NO_ROWS = orjson.dumps([])

type ErrorRow = tuple[str, str]
"""Key of an attribute, and key of the row of an indexing error of it."""


def schema_property(number: int) -> dict[str, Value]:
    """The property of the schema that a row was written under: none in rows of schema 1."""
    return {"schema": number} if number > 1 else {}


def schema_in(entity: Entity) -> int:
    """The number of the schema that a row was written under."""
    return int(entity.properties.get("schema", 1))


@dataclass(frozen=True, slots=True)
class Change:
    """A committed change of one instance."""

    id: str
    """Orders changes; `keys.change_id`."""
    operation: ChangeOperation
    series: str
    instance: str
    version: int
    delta: int
    """Its share in the counts: 1, 0 (replaced) or -1."""
    study_attributes: IndexedValues = field(default_factory=dict)
    series_attributes: IndexedValues = field(default_factory=dict)
    blob: str = ""
    old_blob: str = ""
    """The blob that a replacement made obsolete."""
    schema: int = 1
    """The number of the schema that the attributes were taken by."""
    instance_attributes: IndexedValues = field(default_factory=dict)
    """Those of which there are lists of instances."""
    old_attributes: IndexedValues = field(default_factory=dict)
    """The same, of the version of the instance that it ends."""
    posted: str = ""
    """The sort key under which the instance was posted before the commit; '' if that has to follow it."""
    errors: Sequence[ErrorRow] = ()
    """Indexing errors that the version of the instance which it ends has had."""
    original: str = ""
    """The file of the original version, if this change makes it obsolete, too."""

    @property
    def digest(self) -> str:
        """Stands for the instance inside its study."""
        return keys.ChangeId.parse(self.id).digest

    def properties(self) -> dict[str, Value]:
        """The properties of its D row."""
        return {
            "op": self.operation,
            "series": self.series,
            "instance": self.instance,
            "v": self.version,
            "dn": self.delta,
            "sa": orjson.dumps(self.study_attributes) if self.study_attributes else _NONE,
            "ra": orjson.dumps(self.series_attributes) if self.series_attributes else _NONE,
            "blob": self.blob,
            "old": self.old_blob,
            "posted": self.posted,
            **schema_property(self.schema),
            **({"ia": orjson.dumps(self.instance_attributes)} if self.instance_attributes else {}),
            **({"oa": orjson.dumps(self.old_attributes)} if self.old_attributes else {}),
            **({"er": orjson.dumps(self.errors)} if self.errors else {}),
            **({"original": self.original} if self.original else {}),
        }

    def logged_properties(self) -> dict[str, Value]:
        """The properties of its E row."""
        return {
            "op": self.operation,
            "series": self.series,
            "instance": self.instance,
            "v": self.version,
        }


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """A change as the change feed holds it."""

    id: str
    """The change id; its first 16 hex digits are the version."""
    operation: ChangeOperation
    namespace: str
    identifier: InstanceIdentifier

    @property
    def version(self) -> int:
        """The version that the change made."""
        return keys.ChangeId.parse(self.id).version


def change_in(entity: Entity) -> Change:
    """The change in a D row."""
    properties: Mapping[str, Any] = entity.properties
    return Change(
        keys.tail_of(entity.row_key),
        properties["op"],
        properties["series"],
        properties["instance"],
        properties["v"],
        properties["dn"],
        orjson.loads(properties["sa"]),
        orjson.loads(properties["ra"]),
        properties["blob"],
        properties["old"],
        schema_in(entity),
        orjson.loads(properties.get("ia", _NONE)),
        orjson.loads(properties.get("oa", _NONE)),
        properties["posted"],
        _error_rows(orjson.loads(properties.get("er", _NO_ROWS))),
        properties.get("original", ""),
    )


@dataclass(frozen=True, slots=True)
class ObsoleteBlob:
    """A blob that no live instance names any more."""

    blob: str
    series: str
    instance: str
    version: int
    """Of the change that made it obsolete."""
    deleted: bool
    """The instance was deleted, not replaced: its tombstone is to be purged too."""

    def fields(self) -> tuple[str, str, str, int, bool]:
        """Its columns, in order."""
        return self.blob, self.series, self.instance, self.version, self.deleted


@dataclass(frozen=True, slots=True)
class Cleanup:
    """The stale rows and files that a fold leaves to be removed (G row)."""

    row_key: str
    sort_key: str
    """The incarnation of the study that the postings belong to."""
    postings: Sequence[str] = ()
    """Row keys of study- and series-level postings that the fold no longer implied."""
    instances: Sequence[tuple[str, str]] = ()
    """Series and SOP Instance UIDs of deleted instances, whose postings are to go."""
    listed: Sequence[str] = ()
    """Row keys of instance-level postings that deleted and replaced instances have had."""
    blobs: Sequence[ObsoleteBlob] = ()
    errors: Sequence[ErrorRow] = ()
    """Of deleted and replaced instances."""
    emptied: int = 0
    """The study has had no instance at that version: its documents of before are to go. 0: it has none."""

    def __bool__(self) -> bool:
        return bool(self.postings or self.instances or self.listed or self.blobs or self.errors or self.emptied)

    def properties(self) -> dict[str, Value]:
        """The properties of its G row."""
        blobs = [blob.fields() for blob in self.blobs]
        document = orjson.dumps(
            {
                "postings": self.postings,
                "instances": self.instances,
                "listed": self.listed,
                "blobs": blobs,
                "errors": self.errors,
                **({"emptied": self.emptied} if self.emptied else {}),
            }
        )
        return {"sk": self.sort_key, **split("g", document)}


def cleanup_in(entity: Entity) -> Cleanup:
    """The work in a G row."""
    document = orjson.loads(join("g", entity.properties))
    return Cleanup(
        entity.row_key,
        str(entity.properties["sk"]),
        document["postings"],
        [(series, instance) for series, instance in document["instances"]],
        document.get("listed", ()),
        [ObsoleteBlob(*blob) for blob in document["blobs"]],
        _error_rows(document.get("errors", ())),
        document.get("emptied", 0),
    )


def _error_rows(fields: Iterable[Sequence[str]]) -> tuple[ErrorRow, ...]:
    return tuple((key, row_key) for key, row_key in fields)
