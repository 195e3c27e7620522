"""The values that the index takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, auto
from typing import Final

from shared.dicom.identifiers import InstanceIdentifier
from shared.dicom.part10.frames import FrameTable
from shared.index_schema.indexed_attributes import IndexedValues


@dataclass(frozen=True, slots=True)
class OriginalVersion:
    """The version of an instance before its first update, which is kept (UPD-23). Its metadata lie beside its file."""

    blob: str
    version: int
    """Its watermark."""
    length: int
    frames: FrameTable | None = None
    frames_in_blob: int = 0
    """As in NewInstance."""


@dataclass(frozen=True, slots=True)
class NewInstance:
    """A stored file that is to be committed to the index. Its blob is durable."""

    identifier: InstanceIdentifier
    sop_class_uid: str
    transfer_syntax_uid: str
    blob: str
    """Blob name; its last component, without suffix, is the upload's id: later uploads have greater ids."""
    length: int
    """Bytes of the file."""
    replace: bool
    """Upsert (PUT): an existing instance is replaced instead of AlreadyStored."""
    study: IndexedValues
    """Valid, non-empty study-level attributes of the index. (0010,0020) may be '' (STOW-22)."""
    series: IndexedValues
    instance: IndexedValues
    metadata: bytes | None
    """DICOM JSON of the data set, UTF-8, one object; bulk values as {"vr", "BulkDataURI": path inside the instance}.
    None: kept in a blob beside the file, `{blob without .dcm}.json`, because it is too large for rows.
    """
    frames: FrameTable | None = None
    expires: datetime | None = None
    """The time at which the study expires (EXP-1); None cancels."""
    frames_in_blob: int = 0
    """The number of frames when their table is kept in a blob beside the file, `{blob without .dcm}.off`; else 0."""
    schema: int = 1
    """The number of the schema that the attributes were taken by."""
    upload_id: str = ""
    """For a file dropped under a name of its own: an id in the form of ours, made of its creation time (storage §4).
    Empty: the blob's name holds it.
    """
    uploaded_ms: int = 0
    """When the file was uploaded, of one that is committed late; 0: now. A study that comes into the index long after
    its files has the place among the others that it had before (DAT-5).
    """
    updates: str = ""
    """The file that this one was made from by an update: it is committed only while that one is the instance. Empty: it
    is a file of its own.
    """
    original: OriginalVersion | None = None
    """Of an update: the version that is kept."""
    moved: bool = False
    """It was an instance of another study: the expiry of its study stays as it is."""


class CommitOutcome(Enum):
    """The outcome of one NewInstance."""

    STORED = auto()
    ALREADY_STORED = auto()
    """A live instance exists, or a newer upload has replaced it (45070)."""
    OUTDATED = auto()
    """Nothing was done: its attributes were taken by an older schema than that of the store."""
    DELETED = auto()
    """This very blob was stored and has been deleted or replaced since (a late event)."""
    SUPERSEDED = auto()
    """Of an update: the file that it was made from is no longer the instance. Nothing was done, and never will be."""
    BUSY = auto()
    """Optimistic retries ran out (45071). A write may still be under way: the blob must be left where it is, the blob
    trigger indexes it or finds it superseded."""
    UNAVAILABLE = auto()
    """A data store did not answer. It may have been committed: the blob must be left where it is, the blob trigger
    finishes it."""


_INSTANCE_NUMBER: Final = "00200013"
"""The attribute of an instance that no update changes: the versions of one instance have it in common."""


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """A live instance as the index knows it."""

    identifier: InstanceIdentifier
    sop_class_uid: str
    transfer_syntax_uid: str
    version: int
    """Watermark (CON-2, W-4)."""
    blob: str
    length: int
    frames: FrameTable | None
    metadata: bytes | None
    """As in NewInstance; None if it is kept in a blob, or was not asked for."""
    sort_key: str = ""
    """Ascending is newest first among the instances of a study."""
    frames_in_blob: int = 0
    """As in NewInstance; `frames` is None then."""
    attributes: IndexedValues = field(default_factory=dict)
    """The instance-level attributes of the index."""
    schema: int = 1
    """The number of the schema that its row was written under: what came later, `attributes` do not tell."""
    original: OriginalVersion | None = None
    """The version that was stored, if this one was made of it by updates."""

    @property
    def first_version(self) -> "StoredInstance":
        """The version that was stored: this one, unless it was made by an update (UPD-24)."""
        original = self.original
        if original is None:
            return self
        return replace(
            self,
            version=original.version,
            blob=original.blob,
            length=original.length,
            frames=original.frames,
            frames_in_blob=original.frames_in_blob,
            metadata=None,
            attributes={key: text for key, text in self.attributes.items() if key == _INSTANCE_NUMBER},
            original=None,
        )

    @property
    def frame_count(self) -> int | None:
        """The number of frames; None if they could not be located."""
        return self.frames_in_blob or (self.frames.count if self.frames is not None else None)


def original_of(stored: StoredInstance) -> OriginalVersion:
    """A version as the original one of those that are made of it."""
    return OriginalVersion(stored.blob, stored.version, stored.length, stored.frames, stored.frames_in_blob)


@dataclass(frozen=True, slots=True)
class SeriesView:
    """A series with at least one instance; attributes are the latest non-empty values (IDX-2)."""

    series_instance_uid: str
    instances: int
    attributes: IndexedValues
    newest: InstanceIdentifier
    """The live instance of the series with the highest watermark."""
    sort_key: str
    schema: int = 1
    """As in StoredInstance."""


@dataclass(frozen=True, slots=True)
class StudyView:
    """A study with at least one instance, folded rows and pending changes taken together (storage §3)."""

    study_instance_uid: str
    instances: int
    attributes: IndexedValues
    series: Mapping[str, SeriesView]
    """By SeriesInstanceUID, newest first."""
    newest: InstanceIdentifier
    """The live instance of the study with the highest watermark."""
    sort_key: str
    expires: datetime | None = None
    schema: int = 1
    """As in StoredInstance."""
    labels: tuple[str, ...] = ()
    """In the order in which they were given; study lists do not have them (SEL-1)."""
