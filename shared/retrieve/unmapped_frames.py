"""Frames of files without a frame table: found by reading the whole file (FRM-7).

Such files are deflated as a whole, or nothing in them says which fragments make up a frame. Reading them costs memory
and time, so their size is limited, and few are read at a time.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from shared.dicom.part10.file_reader import InvalidPart10, Part10, read_whole
from shared.dicom.part10.frames import FrameTable, native_frame
from shared.errors import NotAcceptable, NotFound
from shared.index.values import StoredInstance
from shared.retrieve.deflated import WHOLE, inflated_data_set
from shared.retrieve.frame_bytes import DamagedPixelData, group_fragments, shift_bits
from shared.retrieve.request import EXPLICIT_LITTLE_ENDIAN, VIDEO
from shared.storage.ports import BlobStore

_AT_A_TIME: Final = 2
_REMEMBERED: Final = 256
"""Tables kept in memory: blobs never change, and a viewer asks for one frame after the other."""

_PREAMBLE: Final = bytes(128) + b"DICM"


class UnmappedFrames:
    """Finds such frames. One object per process: it limits how many files are held at the same time."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._turns = asyncio.Semaphore(_AT_A_TIME)
        self._tables: OrderedDict[str, FrameTable] = OrderedDict()

    async def table(self, instance: StoredInstance) -> FrameTable:
        """The frame table of a file that is not deflated. Of a video stream, which holds all frames together, it has
        the range of the first frame only.

        Raises NotFound (FRM-3), NotAcceptable, DamagedPixelData, BlobNotFound.
        """
        known = self._tables.get(instance.blob)
        if known is None:
            async with self._turns:
                known = await asyncio.to_thread(_mapped, await self._file(instance))
            self._tables[instance.blob] = known
            while len(self._tables) > _REMEMBERED:
                self._tables.popitem(last=False)
        return known

    async def inflate(self, instance: StoredInstance, numbers: Sequence[int]) -> tuple[bytes, ...]:
        """The frames `numbers` (from 1, repeats kept) of a file whose data set is deflated.

        Raises as `table`; NotFound also for a frame that does not exist (FRM-2).
        """
        async with self._turns:
            frames = await asyncio.to_thread(_inflated_frames, await self._file(instance), frozenset(numbers))
        return tuple(frames[number] for number in numbers)

    async def _file(self, instance: StoredInstance) -> bytes:
        if instance.length > WHOLE:
            raise NotAcceptable("The instance is too large for its frames to be told apart.")
        return await self._blobs.read(instance.blob)


def _read(data: bytes) -> Part10:
    try:
        return read_whole(data)
    except InvalidPart10:
        raise DamagedPixelData from None


def _mapped(data: bytes) -> FrameTable:
    return mapped_frames(data, _read(data))


def mapped_frames(data: bytes, file: Part10) -> FrameTable:
    """The frame table of a whole file that a reader has read. Raises NotFound (FRM-3), NotAcceptable."""
    if file.frames is not None:
        return file.frames
    if file.pixel_data is None or file.pixel_data.length is not None:
        raise NotFound("The instance has no frames.")
    values = file.attributes.get("00280008", {}).get("Value")
    count = values[0] if values and isinstance(values[0], int) else 1
    one_stream = file.transfer_syntax_uid in VIDEO
    offsets = group_fragments(data, file.pixel_data.offset, 1 if one_stream else count)
    if offsets is None:
        raise NotAcceptable("The fragments of the instance do not tell its frames apart.")
    return FrameTable(count=count, offsets=offsets)


def _inflated_frames(data: bytes, numbers: frozenset[int]) -> dict[int, bytes]:
    """The frames by number. The inflated data set, with a header of its own, is a file whose frames have offsets."""
    uid = EXPLICIT_LITTLE_ENDIAN.encode() + b"\0"
    meta = b"\x02\x00\x10\x00UI" + len(uid).to_bytes(2, "little") + uid
    inflated = _PREAMBLE + meta + inflated_data_set(data)
    table = _read(inflated).frames
    if table is None or table.encapsulated:
        raise NotFound("The instance has no frames.")
    if max(numbers) > table.count:
        raise NotFound("The requested frame does not exist.")
    return {number: _native(inflated, table, number) for number in numbers}


def _native(data: bytes, table: FrameTable, number: int) -> bytes:
    offset, length, shift = native_frame(table, number - 1)
    frame = data[offset : offset + length]
    return shift_bits(frame, shift, table.bits) if shift or table.bits % 8 else frame
