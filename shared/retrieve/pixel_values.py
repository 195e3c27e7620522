"""The pixel data of an instance as one element (W-17), in the encodings that frames have (PS3.18 §8.7.3.5)."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from shared.dicom.attributes import Attributes
from shared.dicom.part10.bulk_data import PIXEL_DATA
from shared.dicom.pixels.image_pixels import image_pixels
from shared.dicom.pixels.transcoding import can_transcode, check_frames
from shared.dicom.transfer_syntaxes import EXPLICIT_BIG_ENDIAN, EXPLICIT_LITTLE_ENDIAN, NATIVE
from shared.dicomweb.partitions import Partition
from shared.dicomweb.urls import Urls
from shared.errors import NotAcceptable
from shared.index.values import StoredInstance
from shared.retrieve.bulk_data import BulkData, LocatedValue
from shared.retrieve.converted import check_length
from shared.retrieve.frames import FrameBody, FrameRequest, LocatedFrames, RetrievedFrames, retrieve_frames
from shared.retrieve.instances import Sources
from shared.retrieve.request import OCTET_STREAM, Encoding, TransferSyntaxChoice, all_frames, choose_checked
from shared.retrieve.response import Part
from shared.retrieve.unmapped_frames import UnmappedFrames

OCTETS: Final = Encoding(OCTET_STREAM, EXPLICIT_LITTLE_ENDIAN)
"""What values are sent as: their bytes in little endian, whatever the file has."""


@dataclass(frozen=True, slots=True)
class PixelSource:
    """The pixel data of one instance."""

    sources: Sources
    bulk: BulkData
    unmapped: UnmappedFrames
    partition: Partition
    instance: StoredInstance
    attributes: Attributes

    @property
    def count(self) -> int:
        """How many frames there are."""
        if self.instance.frames_in_blob:
            return self.instance.frames_in_blob
        if self.instance.frames is not None:
            return self.instance.frames.count
        values = self.attributes.get("00280008", {}).get("Value")
        return values[0] if values and isinstance(values[0], int) and values[0] > 0 else 1

    def check(self, choice: TransferSyntaxChoice) -> None:
        """Raises NotAcceptable where the pixel data must be converted for `choice`, and cannot (WADO-12, WADO-13)."""
        stored = self.instance.transfer_syntax_uid
        if choice.encoding(stored) is not None:
            return
        check_length(self.sources.workshop, self.instance)
        described = image_pixels(self.attributes)
        if described is None or choice.target is None:
            raise NotAcceptable("The pixel data of the instance cannot be converted.")
        check_frames(described, EXPLICIT_LITTLE_ENDIAN if stored in NATIVE else stored, choice.target)

    async def native(self) -> LocatedValue:
        """The value of native pixel data. Raises NotFound, NotAcceptable, BlobNotFound."""
        if self.instance.transfer_syntax_uid == EXPLICIT_BIG_ENDIAN:
            bits = self.attributes.get("00280100", {}).get("Value", [None])[0]
            if bits not in {1, 8, 16}:
                raise NotAcceptable("The byte order of the pixel data is not known.")
        return await self.bulk.value(self.instance, self.attributes, PIXEL_DATA)

    async def frames(self, choice: TransferSyntaxChoice) -> tuple[LocatedFrames, RetrievedFrames]:
        """All frames in one encoding. Raises NotFound, NotAcceptable."""
        wanted = FrameRequest(self.instance.identifier, all_frames(self.count), (choice,))
        located, frames = await retrieve_frames(self.sources, self.unmapped, self.partition, wanted, lambda _: False)
        if frames is None:
            raise AssertionError("frames were asked for")
        return located, frames

    async def parts(self, choice: TransferSyntaxChoice, urls: Urls) -> AsyncGenerator[Part]:
        """The parts of a multipart answer: one of uncompressed pixel data, else one for each frame.

        Raises NotAcceptable, BlobNotFound.
        """
        location = urls.bulk_data(self.instance.identifier, PIXEL_DATA)
        if self.is_native(choice):
            return these([Part(OCTETS, location, await self.bulk.read(await self.native()))])
        try:
            located, frames = await self.frames(choice)
        except NotAcceptable:
            encoding = choice.encoding(self.instance.transfer_syntax_uid)
            if encoding is None:
                raise
            # Nothing tells the frames apart: all fragments are one part.
            value = await self.bulk.value(self.instance, self.attributes, PIXEL_DATA)
            return these([Part(encoding, location, await self.bulk.read(value))])
        if located.encoding.transfer_syntax_uid == EXPLICIT_LITTLE_ENDIAN:
            return these([Part(located.encoding, location, joined(frames))])
        return _frame_parts(located, frames, urls)

    def is_native(self, choice: TransferSyntaxChoice) -> bool:
        """Whether `choice` takes the stored value as it is: uncompressed."""
        syntax = self.instance.transfer_syntax_uid
        return syntax in NATIVE and (choice.as_stored or EXPLICIT_LITTLE_ENDIAN in choice.transfer_syntaxes)


async def settle_pixels(
    accepted: Sequence[TransferSyntaxChoice],
    stored: Collection[str],
    check: Callable[[TransferSyntaxChoice], Awaitable[None]],
) -> tuple[TransferSyntaxChoice, dict[str, Encoding]]:
    """The best choice in which pixel data that are stored in these syntaxes can really be sent.

    `check` raises NotAcceptable where something of it cannot be converted. Raises NotAcceptable (D-18, D-19).
    """
    return await choose_checked(accepted, stored, _convertible, check)


def _convertible(stored: str, target: str) -> bool:
    return can_transcode(stored, target, frames=True)


async def these(parts: Sequence[Part]) -> AsyncGenerator[Part]:
    """Parts that are at hand."""
    for part in parts:
        yield part


async def _frame_parts(located: LocatedFrames, frames: RetrievedFrames, urls: Urls) -> AsyncGenerator[Part]:
    identifier, number = located.instance.identifier, 1
    async with aclosing(frames.rest):
        yield Part(located.encoding, urls.frame(identifier, number), frames.first)
        async for body in frames.rest:
            number += 1
            yield Part(located.encoding, urls.frame(identifier, number), body)


async def joined(frames: RetrievedFrames) -> AsyncGenerator[bytes]:
    """The frames as one value, of even length (PS3.5 §8.1.1)."""
    length = 0
    async with aclosing(frames.rest):
        async for chunk in _chunks(frames.first):
            length += len(chunk)
            yield chunk
        async for body in frames.rest:
            async for chunk in _chunks(body):
                length += len(chunk)
                yield chunk
    if length % 2:
        yield b"\0"


async def _chunks(body: FrameBody) -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        yield body
    else:
        async for chunk in body:
            yield chunk
