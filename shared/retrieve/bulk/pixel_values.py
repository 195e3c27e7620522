"""The pixel data of an instance as one element (W-17), in the encodings that frames have (PS3.18 §8.7.3.5)."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from shared.dicom.attributes import Attributes
from shared.dicom.media_types import OCTET_STREAM
from shared.dicom.part10.bulk_data import PIXEL_DATA
from shared.dicom.part10.pixel_data import number_of_frames
from shared.dicom.pixels.image_pixels import image_pixels
from shared.dicom.pixels.transcoding import can_transcode, check_frames
from shared.dicom.transfer_syntaxes import EXPLICIT_LITTLE_ENDIAN, NATIVE, VIDEO
from shared.dicomweb.urls import Urls
from shared.errors import NotAcceptable
from shared.retrieve.bulk.values import LocatedValue, find_value
from shared.retrieve.frames.locating import LocatedFrames, locate, word_of_pixels
from shared.retrieve.frames.reading import FrameBody, RetrievedFrames, read_frames
from shared.retrieve.frames.request import all_frames
from shared.retrieve.negotiation import Encoding, TransferSyntaxChoice, choose_checked
from shared.retrieve.response import Part, these
from shared.retrieve.snapshot import Snapshot

OCTETS: Final = Encoding(OCTET_STREAM, EXPLICIT_LITTLE_ENDIAN)
"""The transfer syntax of values that are sent: little endian, whatever the file has."""


def frame_count(snapshot: Snapshot, attributes: Attributes) -> int:
    """The number of frames."""
    return snapshot.instance.frame_count or number_of_frames(attributes) or 1


def check_pixels(snapshot: Snapshot, attributes: Attributes, choice: TransferSyntaxChoice) -> None:
    """Raises NotAcceptable where the pixel data must be converted for `choice`, and cannot (WADO-12, WADO-13)."""
    stored = snapshot.syntax
    if choice.encoding(stored) is not None:
        return
    snapshot.pool.check_length(snapshot.length)
    described = image_pixels(attributes, snapshot.instance.frame_count)
    if described is None or choice.target is None:
        raise NotAcceptable("The pixel data of the instance cannot be converted.")
    check_frames(described, EXPLICIT_LITTLE_ENDIAN if stored in NATIVE else stored, choice.target)


async def native_value(snapshot: Snapshot) -> LocatedValue:
    """The value of native pixel data. Raises NotFound, NotAcceptable, BlobNotFound."""
    value = await find_value(snapshot, PIXEL_DATA)
    if value.place.encapsulated:
        raise NotAcceptable("The instance has fragments of pixel data, which its transfer syntax does not know.")
    word = word_of_pixels(snapshot.syntax, await snapshot.attributes())
    return replace(value, place=replace(value.place, word=word))


async def all_frames_of(snapshot: Snapshot, choice: TransferSyntaxChoice) -> tuple[LocatedFrames, RetrievedFrames]:
    """All frames in one encoding. Raises NotFound, NotAcceptable, BlobNotFound."""
    count = frame_count(snapshot, await snapshot.attributes())
    located = await locate(snapshot, all_frames(count), (choice,))
    return located, await read_frames(located)


async def pixel_parts(snapshot: Snapshot, choice: TransferSyntaxChoice, urls: Urls) -> AsyncGenerator[Part]:
    """The parts of a multipart answer: one of uncompressed pixel data or of a video, else one for each frame.

    Raises NotAcceptable, BlobNotFound.
    """
    location = urls.bulk_data(snapshot.identifier, PIXEL_DATA)
    if is_native(snapshot, choice):
        return these([Part(OCTETS, location, await (await native_value(snapshot)).read())])
    encoding = choice.encoding(snapshot.syntax)
    if snapshot.syntax in VIDEO and choice.media_type == OCTET_STREAM:
        encoding = Encoding(OCTET_STREAM, snapshot.syntax)
    try:
        if snapshot.syntax in VIDEO:
            raise NotAcceptable("A video is one stream.")
        located, frames = await all_frames_of(snapshot, choice)
    except NotAcceptable:
        if encoding is None:
            raise
        # Nothing tells the frames apart: all fragments are one part.
        value = await find_value(snapshot, PIXEL_DATA)
        return these([Part(encoding, location, await value.read())])
    if located.encoding.transfer_syntax_uid == EXPLICIT_LITTLE_ENDIAN:
        return these([Part(located.encoding, location, joined(frames))])
    return _frame_parts(located, frames, urls)


def is_native(snapshot: Snapshot, choice: TransferSyntaxChoice) -> bool:
    """Whether `choice` takes the stored value as it is: uncompressed."""
    return snapshot.syntax in NATIVE and (choice.as_stored or EXPLICIT_LITTLE_ENDIAN in choice.transfer_syntaxes)


def must_be_decoded(snapshot: Snapshot, choice: TransferSyntaxChoice) -> bool:
    """Whether the stored pixel data have to be converted for `choice`."""
    stored = snapshot.syntax
    return stored not in VIDEO and not is_native(snapshot, choice) and choice.encoding(stored) is None


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


async def _frame_parts(located: LocatedFrames, frames: RetrievedFrames, urls: Urls) -> AsyncGenerator[Part]:
    identifier, number = located.snapshot.identifier, 1
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
