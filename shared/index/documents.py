"""Metadata documents and frame tables as they are stored beside an instance (storage §4)."""

import asyncio
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from shared import memory_plan
from shared.dicom.part10 import frames as frame_tables
from shared.dicom.part10.frames import FrameTable
from shared.dicomweb.json_model import loads
from shared.index.model import NewInstance, StoredInstance
from shared.index_schema import blob_names
from shared.index_schema.preset_dictionary import PRESET_DICTIONARIES
from shared.memory_budget import MemoryBudget
from shared.storage.large_values import join, split
from shared.storage.ports import BlobExists, BlobStore, Value

CONVERTED: Final = MemoryBudget(memory_plan.CONVERTED, "Too many large data sets are being converted; try again later.")
"""For large documents while they are finished or looked into, until what comes of them is sent."""

INLINE_METADATA = 240_000
INLINE_FRAMES = 32_768
_LARGEST_INLINE = 1024**2
"""Bytes of a document in a row, before it is compressed: each reader of the row has to inflate it."""

_READ_INLINE = 256 * 1024
"""Bytes of a document that is read on the event loop: a millisecond or two."""

_BYTES_PER_FRAME = 10
"""Of a packed table, at most."""

_CURRENT = max(PRESET_DICTIONARIES)
_OFFSET = 8


def compress(document: bytes) -> bytes:
    """A JSON document, deflated; the first byte names the preset dictionary."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15, 8, zdict=PRESET_DICTIONARIES[_CURRENT])
    return bytes((_CURRENT,)) + packer.compress(document) + packer.flush()


def decompress(packed: bytes) -> bytes:
    """The bytes that `compress` was given."""
    unpacker = zlib.decompressobj(-15, zdict=PRESET_DICTIONARIES[packed[0]])
    return unpacker.decompress(packed[1:]) + unpacker.flush()


async def data_set_in(document: bytes) -> dict[str, Any]:
    """The data set in a metadata document; a long one is read beside the event loop, in steps (STOW-46)."""
    return await asyncio.to_thread(loads, document) if len(document) > _READ_INLINE else loads(document)


def metadata_properties(document: bytes | None) -> dict[str, Value]:
    """The properties `md0`… of an instance row."""
    return {} if document is None else split("md", compress(document))


def metadata_in(properties: Mapping[str, Value]) -> bytes | None:
    """The document in `md0`…, None if the row has none."""
    packed = join("md", properties)
    return decompress(packed) if packed else None


def frame_properties(frames: FrameTable | None, frames_in_blob: int) -> dict[str, Value]:
    """The properties of an instance row that describe its frames."""
    if frames_in_blob:
        return {"frame_count": frames_in_blob}
    return {} if frames is None else {"frames": frame_tables.pack(frames)}


def frames_in(properties: Mapping[str, Value]) -> FrameTable | None:
    """The frame table in an instance row."""
    return unpacked_frames(properties.get("frames"))


def unpacked_frames(packed: Value | None) -> FrameTable | None:
    """The frame table in the property of a row, None if there is none."""
    return frame_tables.unpack(packed) if isinstance(packed, bytes) else None


async def move_to_blobs(entry: NewInstance, blobs: BlobStore, *, metadata_inline: bool = True) -> NewInstance:
    """Write what is too large for rows beside the file of `entry`; call before committing it. Idempotent."""
    document = entry.metadata
    if document is not None and (not metadata_inline or await _is_large(document)):
        await put_beside(blobs, blob_names.metadata_blob(entry.blob), document)
        entry = replace(entry, metadata=None)
    table = entry.frames
    packs = table is not None and table.encapsulated and len(table.offsets) * _BYTES_PER_FRAME > INLINE_FRAMES
    if table is not None and packs and len(await asyncio.to_thread(frame_tables.pack, table)) > INLINE_FRAMES:
        await put_beside(
            blobs, blob_names.frames_blob(entry.blob), struct.pack(f">{len(table.offsets)}Q", *table.offsets)
        )
        entry = replace(entry, frames=None, frames_in_blob=table.count)
    return entry


async def _is_large(document: bytes) -> bool:
    """Whether a document is too large for a row. One that would be inflated to very much is, too."""
    if len(document) <= INLINE_METADATA:
        return False
    return len(document) > _LARGEST_INLINE or len(await asyncio.to_thread(compress, document)) > INLINE_METADATA


async def put_beside(blobs: BlobStore, name: str, data: bytes) -> None:
    """Write a document beside a file, from which its content follows. Idempotent."""
    try:
        await blobs.put(name, data, {})
    except BlobExists:
        return  # of an earlier attempt with the same file: the content is derived from it


async def read_metadata(instance: StoredInstance, blobs: BlobStore, most: int | None = None) -> bytes:
    """The metadata of an instance that was looked up with its metadata; of a document beside the file, its first `most`
    bytes. Raises BlobNotFound.
    """
    if instance.metadata is not None:
        return instance.metadata
    return await blobs.read(blob_names.metadata_blob(instance.blob), 0, most)


async def read_frame_table(instance: StoredInstance, blobs: BlobStore) -> FrameTable:
    """The frame table of an instance that is in a blob. Raises BlobNotFound."""
    raw = await blobs.read(blob_names.frames_blob(instance.blob))
    offsets = await asyncio.to_thread(struct.unpack, f">{len(raw) // _OFFSET}Q", raw)
    return FrameTable(count=instance.frames_in_blob, offsets=offsets)


async def read_frame_ranges(instance: StoredInstance, blobs: BlobStore, frames: Sequence[int]) -> list[tuple[int, int]]:
    """The byte ranges [start, end) of some frames (from 0) of an instance whose table is in a blob, without all of it.

    Raises BlobNotFound.
    """
    ranges = [(_OFFSET * frame, 2 * _OFFSET) for frame in frames]
    pairs = await blobs.read_ranges(blob_names.frames_blob(instance.blob), ranges)
    return [(start, end) for start, end in (struct.unpack(">2Q", pair) for pair in pairs)]
