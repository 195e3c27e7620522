"""The new version of one instance: its file, made of the present one, and its entry for the index (UPD-20).

The name of the file follows from the operation and the file that it is made of. So a step that is done twice writes the
same file, and whoever finds it can tell which operation made it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.bounded import RecentValues
from shared.dicom.attributes import Attributes
from shared.dicom.identifiers import InstanceIdentifier
from shared.dicom.part10.attribute_changes import (
    AttributeChanges,
    CannotChange,
    ChangedFile,
    MoreNeeded,
    changed_file,
)
from shared.dicom.part10.frames import FrameTable, shifted
from shared.dicomweb.json_model import dumps_in_slices, large, loads
from shared.index import documents
from shared.index.instance_rows import IndexedInstance
from shared.index.model import NewInstance, StoredInstance, original_of
from shared.index_schema import blob_names
from shared.index_schema.indexed_attributes import PATIENT_ID
from shared.index_schema.schema import IndexSchema
from shared.ingest.store_options import UpdatedFile
from shared.storage.blob_upload import BLOCK_BYTES
from shared.storage.ports import BlobExists, BlobStore
from shared.study_updates.moved_instances import joined

_HEAD_BYTES: Final = 256 * 1024
"""Bytes of a large file that are read first: the attributes before its pixels take a few kilobytes."""
_MOST_HEAD_BYTES: Final = 104_857_600
"""Bytes that are held of a file at most, to find where the attributes are that change (WADO-12)."""
_REMEMBERED: Final = 20_000
"""Instances of which what was written is kept in memory from one step to the next; of others it is made again."""


@dataclass(frozen=True, slots=True)
class Operation:
    """The operation that makes new versions."""

    id: str
    created_ms: int
    namespace: str
    changes: AttributeChanges

    def blob(self, identifier: InstanceIdentifier, upload_id: str) -> str:
        """The name of the file that it makes of another one, by the upload id of that one. It becomes `identifier`."""
        made = blob_names.updated_upload_id(self.id, upload_id, self.created_ms)
        return blob_names.blob_name(self.namespace, identifier, made)

    def has_made(self, blob: str) -> bool:
        """Whether a file is one of its own."""
        name = blob_names.parse_blob_name(blob)
        return name is not None and blob_names.is_made_by(self.id, name.upload_id)


class VersionMaker:
    """Makes new versions with other attributes, a `Versions`. `metadata_inline`: as in IngestSettings."""

    def __init__(self, blobs: BlobStore, operation: Operation, *, metadata_inline: bool) -> None:
        self._blobs = blobs
        self._operation = operation
        self._metadata_inline = metadata_inline
        self._written: RecentValues[Attributes] = RecentValues(_REMEMBERED)
        self._large = asyncio.Semaphore(1)

    def blob(self, instance: IndexedInstance) -> str | None:
        """The new file; None of what came into a series after it was decided what moves."""
        uids, before = self._operation.changes.uids, instance.stored.identifier
        return None if uids is not None and uids.identifier(before) is None else self._new(instance)[1]

    async def write(self, instance: IndexedInstance) -> None:
        """Write the new file. Raises as a `Versions` does."""
        stored = instance.stored
        await self._keep_original(stored)
        if stored.length <= BLOCK_BYTES:
            await self._write(instance)
            return
        async with self._large:
            await self._write(instance)

    async def entry(self, instance: IndexedInstance, length: int, schema: IndexSchema) -> NewInstance:
        """The entry of the new version. Raises as a `Versions` does."""
        stored, (identifier, blob) = instance.stored, self._new(instance)
        metadata = await self._metadata(stored)
        attributes = self._written.get(blob)
        if attributes is None:
            changed, _ = await self._changed(stored, metadata)
            attributes = changed.attributes
        merged = dict(sorted({**metadata, **attributes}.items()))
        taken = schema.extend(instance.taken, stored.schema, metadata)
        study, series, own = (
            _renewed(before, now, schema, attributes) for before, now in zip(taken, schema.extract(merged), strict=True)
        )
        if not _has_value(merged.get(PATIENT_ID)):
            merged.pop(PATIENT_ID, None)  # as a store leaves it out (STOW-22)
        document = await asyncio.to_thread(dumps_in_slices, merged)
        moved = self._operation.changes.uids is not None
        entry = NewInstance(
            identifier,
            stored.sop_class_uid,
            stored.transfer_syntax_uid,
            blob,
            length,
            False,
            study,
            series,
            own,
            document,
            await self._frames(stored, length - stored.length),
            schema=schema.number,
            updates="" if moved else stored.blob,
            original=None if moved else stored.original or original_of(stored),
            moved=moved,
        )
        return await documents.move_to_blobs(entry, self._blobs, metadata_inline=self._metadata_inline)

    async def _keep_original(self, stored: StoredInstance) -> None:
        """The metadata of the version that was stored lie beside its file from now on; the row has room for one."""
        if stored.original is None and stored.metadata is not None and self._operation.changes.uids is None:
            await documents.put_beside(self._blobs, blob_names.metadata_blob(stored.blob), stored.metadata)

    async def _write(self, instance: IndexedInstance) -> None:
        stored, (_, blob) = instance.stored, self._new(instance)
        changed, data = await self._changed(stored, await self._metadata(stored))
        upload = self._blobs.upload(blob)
        try:
            await upload.write(changed.head)
            rest = stored.length - changed.copied_from
            if len(data) == stored.length:
                await upload.write(data[changed.copied_from :])
            elif rest:
                del data
                await upload.append_range(stored.blob, changed.copied_from, rest)
            await upload.commit(self._terms(stored).blob_metadata())
        except BlobExists:
            pass  # of an earlier attempt: the content follows from the name
        finally:
            await upload.abort()
        self._written.put(blob, changed.attributes)

    def _new(self, instance: IndexedInstance) -> tuple[InstanceIdentifier, str]:
        """The instance that the new file is, and its name. Raises CannotChange for what does not move."""
        uids, identifier = self._operation.changes.uids, instance.stored.identifier
        if uids is not None:
            moved = uids.identifier(identifier)
            if moved is None:
                raise CannotChange("It does not move.")
            identifier = moved
        return identifier, self._operation.blob(identifier, instance.upload_id)

    def _terms(self, stored: StoredInstance) -> UpdatedFile:
        original = stored.original
        if self._operation.changes.uids is not None:
            return UpdatedFile(self._operation.id, stored.blob, moved_from=joined(stored.identifier))
        return UpdatedFile(self._operation.id, stored.blob, original.blob if original else stored.blob)

    async def _changed(self, stored: StoredInstance, metadata: Attributes) -> tuple[ChangedFile, bytes]:
        """The changes to the file, and as much of it as had to be read. Raises CannotChange, BlobNotFound."""
        length = stored.length
        size = length if length <= BLOCK_BYTES else _HEAD_BYTES
        while True:
            data = await self._blobs.read(stored.blob, 0, size)
            if len(data) != min(size, length):
                raise CannotChange("Its file has another length than the index says.")
            try:
                changes = self._operation.changes
                return await asyncio.to_thread(changed_file, data, length, changes, metadata), data
            except MoreNeeded:
                if size >= min(length, _MOST_HEAD_BYTES):
                    raise CannotChange("Its file is too large to be read whole, which it would have to be.") from None
            size = min(length, 8 * size, _MOST_HEAD_BYTES)

    async def _metadata(self, stored: StoredInstance) -> Attributes:
        document = await documents.read_metadata(stored, self._blobs)
        return await asyncio.to_thread(loads, document) if large(document) else loads(document)

    async def _frames(self, stored: StoredInstance, shift: int) -> FrameTable | None:
        """The frames have moved by as many bytes as the file has grown: all that changes lies before them."""
        table = stored.frames
        if stored.frames_in_blob:
            table = await documents.read_frame_table(stored, self._blobs)
        return table and await asyncio.to_thread(shifted, table, shift)


def _renewed(
    before: Mapping[str, str], now: Mapping[str, str], schema: IndexSchema, changed: Attributes
) -> dict[str, str]:
    """The indexed attributes with the values of those that have changed; what was taken of the rest stays (D-14)."""

    def is_changed(key: str) -> bool:
        attribute = schema.attributes.get(key)
        return (attribute.path if attribute else key).partition(".")[0] in changed

    kept = {key: text for key, text in before.items() if not is_changed(key)}
    return {**kept, **{key: text for key, text in now.items() if is_changed(key)}}


def _has_value(element: Any) -> bool:
    return element is not None and any(str(value or "").strip(" \0") for value in element.get("Value", ()))
