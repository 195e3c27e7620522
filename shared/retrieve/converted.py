"""Whole objects in another transfer syntax (WADO-11 to WADO-13, D-19)."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

import orjson

from shared.dicom.identifiers import ResourceIdentifier
from shared.dicom.part10.file_reader import InvalidPart10, Part10, read_whole
from shared.dicom.pixels.transcoding import (
    TranscodedFile,
    can_transcode,
    memory_needed,
    pixels_to_change,
    transcode_file,
)
from shared.dicom.transfer_syntaxes import NATIVE
from shared.dicomweb.partitions import Partition
from shared.errors import NotAcceptable
from shared.index.documents import read_metadata
from shared.index.lookup import InstanceLookup
from shared.index.values import StoredInstance
from shared.retrieve.request import TransferSyntaxChoice
from shared.retrieve.unmapped_frames import mapped_frames
from shared.retrieve.workshop import Made, Workshop
from shared.storage.ports import BlobNotFound, BlobStore

_CHUNK: Final = 1 << 20


def convertible_objects(stored: str, target: str) -> bool:
    """See `request.Convertible`: whether there is a way at all for whole objects."""
    return can_transcode(stored, target, frames=False)


class ConvertedFile:
    """A file that was made for this answer; read once."""

    def __init__(self, made: Made[TranscodedFile]) -> None:
        self._made: Made[TranscodedFile] | None = made
        self.length = made.value.length
        """Bytes."""

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes. The memory is given back when the last of them has been taken."""
        made, self._made = self._made, None
        if made is None:
            return
        for piece in made.value.pieces:
            for at in range(0, len(piece), _CHUNK):
                yield piece[at : at + _CHUNK] if len(piece) > _CHUNK else piece


async def convert_file(
    workshop: Workshop,
    lookup: InstanceLookup,
    blobs: BlobStore,
    *,
    partition: Partition,
    instance: StoredInstance,
    target: str,
) -> ConvertedFile:
    """The file of `instance` in the transfer syntax `target`, made once for all who ask for it at the same time.

    Raises NotAcceptable (WADO-12, WADO-13), BlobNotFound, Unavailable.
    """
    described = await lookup.instance(partition, instance.identifier, metadata=True)
    if described is None or described.blob != instance.blob:
        raise BlobNotFound  # deleted or replaced meanwhile: whoever asks looks for the successor
    needed = await _needed(workshop, described, blobs, target)

    async def work() -> TranscodedFile:
        data = await blobs.read(instance.blob, 0, instance.length)
        return await workshop.run(lambda: _transcoded(workshop, data, target))

    return ConvertedFile(await workshop.make((instance.blob, target), needed, work))


async def check_conversion(
    workshop: Workshop,
    lookup: InstanceLookup,
    blobs: BlobStore,
    *,
    partition: Partition,
    scope: ResourceIdentifier,
    choice: TransferSyntaxChoice,
) -> None:
    """Raises NotAcceptable unless every instance in `scope` can be sent as `choice` says (D-19 b, WADO-28): what is
    left to go wrong after this is damage of the pixel data.
    """
    target = choice.target
    async with aclosing(lookup.stream(partition, scope)) as instances:
        async for instance in instances:
            if target is None or choice.encoding(instance.transfer_syntax_uid) is not None:
                continue
            try:
                workshop.check(await _needed(workshop, instance, blobs, target))
            except BlobNotFound:
                continue  # deleted meanwhile (WADO-29), or found missing when its turn comes


def check_length(workshop: Workshop, instance: StoredInstance) -> None:
    """Raises NotAcceptable where an object is too large for its pixels to be converted (WADO-12, REND-6)."""
    if instance.length > workshop.largest_file:
        raise NotAcceptable("The instance is too large to be converted; transfer-syntax=* retrieves it as stored.")


async def _needed(workshop: Workshop, instance: StoredInstance, blobs: BlobStore, target: str) -> int:
    """Bytes of memory that converting takes. Raises NotAcceptable where size or attributes forbid it."""
    check_length(workshop, instance)
    syntax = instance.transfer_syntax_uid
    pixels = pixels_to_change(orjson.loads(await read_metadata(instance, blobs)), syntax, target)
    return memory_needed(pixels, syntax, instance.length, inflated_limit=workshop.largest_file)


def _read(data: bytes) -> Part10:
    try:
        return read_whole(data)
    except InvalidPart10:
        raise NotAcceptable("The file of the instance cannot be converted.") from None


def _transcoded(workshop: Workshop, data: bytes, target: str) -> TranscodedFile:
    file = _read(data)
    frames = file.frames
    if frames is None and file.pixel_data is not None and file.transfer_syntax_uid not in NATIVE:
        frames = mapped_frames(data, file)
    return transcode_file(
        data,
        file,
        frames,
        target,
        inflated_limit=workshop.largest_file,
        pixel_limit=workshop.memory,
        decoder=workshop.codecs.decode,
    )
