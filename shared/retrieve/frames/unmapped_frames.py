"""Frames of files without a frame table: found by reading the whole file (FRM-7).

Such files are deflated as a whole, or nothing in them says which fragments make up a frame. Reading them costs memory
and time, so their size is limited, and few are read at a time.
"""

from collections.abc import Sequence
from typing import Final

from shared.dicom.errors import DamagedPixelData
from shared.dicom.part10.file_reader import InvalidPart10, Part10, read_whole
from shared.dicom.part10.frames import FrameTable, native_frame
from shared.dicom.part10.pixel_data import number_of_frames
from shared.dicom.transfer_syntaxes import EXPLICIT_LITTLE_ENDIAN, NATIVE, VIDEO
from shared.errors import NotAcceptable, NotFound
from shared.retrieve.deflated import inflated_data_set
from shared.retrieve.frames.frame_bytes import group_fragments, native_bytes
from shared.retrieve.snapshot import Snapshot

_PREAMBLE: Final = bytes(128) + b"DICM"


async def unmapped_table(snapshot: Snapshot) -> FrameTable:
    """The frame table of a file that is not deflated. Of a video stream, which holds all frames together, it has the
    range of the first frame only.

    Raises NotFound (FRM-3), NotAcceptable, DamagedPixelData, BlobNotFound.
    """
    tables = snapshot.archive.backend.frame_tables
    known = tables.get(snapshot.location)
    if known is None:
        known = await snapshot.using_whole(_mapped)
        tables.put(snapshot.location, known)
    return known


async def inflated_frames(snapshot: Snapshot, numbers: Sequence[int]) -> tuple[bytes, ...]:
    """The frames `numbers` (from 1, repeats kept) of a file whose data set is deflated.

    Raises as `unmapped_table`; NotFound also for a frame that does not exist (FRM-2).
    """
    frames = await snapshot.using_whole(lambda data: _inflated_frames(data, frozenset(numbers)))
    return tuple(frames[number] for number in numbers)


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
    if file.transfer_syntax_uid in NATIVE:
        raise NotAcceptable("The instance has fragments of pixel data, which its transfer syntax does not know.")
    count = number_of_frames(file.attributes) or 1
    one_stream = file.transfer_syntax_uid in VIDEO
    offsets = group_fragments(data, file.pixel_data.offset, 1 if one_stream else count)
    if offsets is None:
        raise NotAcceptable("Frame boundaries cannot be determined from the fragments of the instance.")
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
    return native_bytes(data[offset : offset + length], shift, table.bits)
