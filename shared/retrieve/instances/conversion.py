"""Whole objects in another transfer syntax (WADO-11 to WADO-13, D-19)."""

from collections.abc import AsyncIterator
from typing import Final

from shared import collector
from shared.dicom.attributes import take_apart
from shared.dicom.errors import Unconvertible
from shared.dicom.part10.file_reader import InvalidPart10, Part10, read_whole
from shared.dicom.pixels.transcoding import (
    TranscodedFile,
    can_transcode,
    memory_needed,
    pixels_to_change,
    transcode_file,
)
from shared.dicom.transfer_syntaxes import NATIVE
from shared.retrieve.frames.unmapped_frames import mapped_frames
from shared.retrieve.pixel_pool import PixelPool, Shared
from shared.retrieve.snapshot import Snapshot

_CHUNK: Final = 1 << 20


def convertible_objects(stored: str, target: str) -> bool:
    """See `negotiation.Convertible`: whether there is a way at all for whole objects."""
    return can_transcode(stored, target, frames=False)


class ConvertedFile:
    """A file that was made for this answer; read once."""

    def __init__(self, shared: Shared[TranscodedFile]) -> None:
        self._shared: Shared[TranscodedFile] | None = shared
        self.length = shared.value.length
        """Bytes."""

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes. The memory is given back when the last of them has been taken."""
        shared, self._shared = self._shared, None
        if shared is None:
            return
        for piece in shared.value.pieces:
            for at in range(0, len(piece), _CHUNK):
                yield piece[at : at + _CHUNK] if len(piece) > _CHUNK else piece


async def convert_file(snapshot: Snapshot, target: str) -> ConvertedFile:
    """The file of an instance in the transfer syntax `target`, made once for all who ask for it at the same time.

    Raises NotAcceptable (WADO-12, WADO-13), BlobNotFound, Unavailable.
    """
    pool = snapshot.pool
    needed = await _memory_needed(snapshot, target)

    async def work() -> TranscodedFile:
        data = await snapshot.read(0, snapshot.length)
        return await pool.run(lambda: _transcoded(pool, data, target))

    return ConvertedFile(await pool.make((snapshot.location, target), needed, work))


async def check_conversion(snapshot: Snapshot, target: str) -> None:
    """A conversion that passes can only fail by damage of the pixel data (D-19 b, WADO-28).

    Raises NotAcceptable where size, attributes or transfer syntax forbid it, BlobNotFound.
    """
    if not convertible_objects(snapshot.syntax, target):
        raise Unconvertible("The transfer syntax of the instance cannot be converted to the accepted one.")
    snapshot.pool.check(await _memory_needed(snapshot, target))


async def _memory_needed(snapshot: Snapshot, target: str) -> int:
    """Bytes of memory that converting takes. Raises NotAcceptable where size or attributes forbid it."""
    pool = snapshot.pool
    pool.check_length(snapshot.length)
    pixels = pixels_to_change(await snapshot.attributes_once(), snapshot.syntax, target, snapshot.instance.frame_count)
    return memory_needed(pixels, snapshot.syntax, snapshot.length, inflated_limit=pool.largest_file)


def _read(data: bytes) -> Part10:
    """The garbage collector would walk through a large data set again and again, holding the interpreter's lock."""
    with collector.paused():
        try:
            file = read_whole(data)
        except InvalidPart10:
            raise Unconvertible("The file of the instance cannot be converted.") from None
        collector.keep_away()
        return file


def _transcoded(pool: PixelPool, data: bytes, target: str) -> TranscodedFile:
    collector.enter()
    try:
        file = _read(data)
        try:
            return _file_in(pool, data, file, target)
        finally:
            take_apart(file.attributes)
    finally:
        collector.leave()


def _file_in(pool: PixelPool, data: bytes, file: Part10, target: str) -> TranscodedFile:
    frames = file.frames
    if frames is None and file.pixel_data is not None and file.transfer_syntax_uid not in NATIVE:
        frames = mapped_frames(data, file)
    return transcode_file(
        data,
        file,
        frames,
        target,
        inflated_limit=pool.largest_file,
        pixel_limit=pool.memory,
        decoder=pool.codecs.decode,
    )
