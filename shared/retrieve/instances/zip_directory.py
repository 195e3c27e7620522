"""The DICOMDIR of an archive, for import into workstations (ZIP-4): names of files, records, and their stream.

Records are made twice, first for their lengths and then to be sent, so that no more is held than the archive holds
anyway. Those of what is no image, a few in a study, have keys that the index does not carry: they are made of the
metadata and kept, within a limit.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final
from uuid import uuid4

from shared.dicom.attributes import Attributes
from shared.dicom.identifiers import InstanceIdentifier
from shared.dicom.part10.composer import CannotCompose
from shared.dicom.part10.media_directory import (
    FILE_NAME,
    IMAGE,
    KEYS,
    VRS,
    FileReference,
    directory_head,
    keys_of,
    linked,
    record,
    record_type,
)
from shared.index.model import StoredInstance, StudyView
from shared.index_schema.indexed_attributes import IndexedValues
from shared.retrieve.instances.zip_names import EntryNames
from shared.retrieve.instances.zip_stream import Entry
from shared.retrieve.snapshot import Snapshot
from shared.storage.ports import BlobNotFound

_FOLDER: Final = "IMAGES"
_LEAST: Final = 10**38
"""The least number of 39 digits, which most UUIDs have."""
_LONGEST_RECORD: Final = 256 * 1024
"""Bytes of a record from metadata: a presentation state may refer to two thousand images. Of what has more, or has
values that nobody can encode, what the index carries must do.
"""
_MOST_OF_RECORDS: Final = 32 * 1024**2
"""Bytes of all such records of an archive, which are held until they are sent."""
_TOGETHER: Final = 256
"""Records that are made at one go: some milliseconds."""
_PERSON: Final = "00100010"


def file_ids(instances: Iterable[StoredInstance]) -> EntryNames:
    """Names that a File ID can have: `IMAGES/S0000001/I0000001`."""
    series: dict[str, int] = {}
    counts: dict[str, int] = {}
    names: dict[InstanceIdentifier, str] = {}
    for instance in instances:
        uid = instance.identifier.series_instance_uid
        number = series.setdefault(uid, len(series) + 1)
        counts[uid] = counts.get(uid, 0) + 1
        names[instance.identifier] = f"{_FOLDER}/S{number:07}/I{counts[uid]:07}"
    return names


def new_directory_uid() -> str:
    """A new UID of 44 characters, always as long: the length of an archive is known before it is written.

    A component has no leading zero (PS3.5 §9.1), so that only numbers of 39 digits will do.
    """
    while (number := uuid4().int) < _LEAST:
        continue
    return f"2.25.{number}"


class Directory:
    """The directory of the files that an archive has. `study`: its attributes, None if they are not known any more."""

    def __init__(self, study: StudyView | None, names: EntryNames) -> None:
        self._study = study
        self._names = names
        self._series: dict[str, list[tuple[StoredInstance, str]]] = {}
        self._records: dict[InstanceIdentifier, bytes] = {}
        """Of what is no image, from its metadata."""
        self._left = _MOST_OF_RECORDS
        self._uid = new_directory_uid()
        self._any: InstanceIdentifier | None = None

    async def add(self, snapshot: Snapshot, transfer_syntax_uid: str) -> None:
        """Note a file as it is in the archive."""
        instance = snapshot.instance
        self._any = instance.identifier
        files = self._series.setdefault(instance.identifier.series_instance_uid, [])
        files.append((instance, transfer_syntax_uid))
        kind = record_type(instance.sop_class_uid)
        if kind != IMAGE:
            try:
                attributes = await snapshot.attributes_once()
            except BlobNotFound:  # deleted this moment: its file is in the archive, its metadata are gone
                attributes = {}
            file = self._reference(instance, transfer_syntax_uid)
            made = await asyncio.to_thread(_of_metadata, kind, attributes, file)
            if len(made) <= min(_LONGEST_RECORD, self._left):
                self._left -= len(made)
                self._records[instance.identifier] = made

    async def entry(self) -> Entry:
        """The file, its length known and its records still to be made. At least one file has been added."""
        patient, study = self._top()
        lengths: dict[str, int] = {}
        for uid, files in self._series.items():
            lengths[uid] = len(self._series_record(uid))
            for place, (instance, syntax) in enumerate(files):
                lengths[uid] += len(self._file_record(instance, syntax))
                if place % _TOGETHER == 0:
                    await asyncio.sleep(0)
        records = len(patient) + len(study) + sum(lengths.values())
        head = directory_head(self._uid, records)
        return Entry(FILE_NAME, len(head) + records, self._content(head, lengths))

    # ----------------------------------------------------------------------------------------------------- inside

    async def _content(self, head: bytes, lengths: Mapping[str, int]) -> AsyncIterator[bytes]:
        patient, study = self._top()
        at = len(head) + len(patient)
        yield head + linked(patient, 0, at) + linked(study, 0, at + len(study))
        at += len(study)
        last = next(reversed(self._series))
        for uid, files in self._series.items():
            series = self._series_record(uid)
            following = 0 if uid == last else at + lengths[uid]
            at += len(series)
            made = [linked(series, following, at)]
            for place, (instance, syntax) in enumerate(files, start=1):
                item = self._file_record(instance, syntax)
                at += len(item)
                made.append(linked(item, at if place < len(files) else 0, 0))
                if len(made) >= _TOGETHER:
                    yield b"".join(made)
                    made.clear()
                    await asyncio.sleep(0)
            yield b"".join(made)

    def _top(self) -> tuple[bytes, bytes]:
        values: IndexedValues = self._study.attributes if self._study else {}
        uid = self._any.study_instance_uid if self._any else ""
        return _of_values("PATIENT", values), _of_values("STUDY", {**values, "0020000D": uid})

    def _series_record(self, uid: str) -> bytes:
        series = self._study.series.get(uid) if self._study else None
        return _of_values("SERIES", {**(series.attributes if series else {}), "0020000E": uid})

    def _file_record(self, instance: StoredInstance, syntax: str) -> bytes:
        made = self._records.get(instance.identifier)
        return made or _of_values(IMAGE, instance.attributes, self._reference(instance, syntax))

    def _reference(self, instance: StoredInstance, syntax: str) -> FileReference:
        components = tuple(self._names[instance.identifier].split("/"))
        return FileReference(components, instance.sop_class_uid, instance.identifier.sop_instance_uid, syntax)


def _of_metadata(kind: str, attributes: Attributes, file: FileReference) -> bytes:
    """A record of what the metadata say; nothing where they have values that nobody can encode."""
    try:
        return record(kind, keys_of(kind, attributes), file)
    except CannotCompose:
        return b""


def _of_values(kind: str, values: IndexedValues, file: FileReference | None = None) -> bytes:
    """A record of what the index carries."""
    texts = {key: values.get(key, "").strip(" \0") for key in KEYS[kind]}
    attributes: Attributes = {key: _element(key, text) for key, text in texts.items() if text}
    return record(kind, keys_of(kind, attributes), file)


def _element(key: str, text: str) -> dict[str, object]:
    return {"vr": VRS[key], "Value": [{"Alphabetic": text} if key == _PERSON else text]}
