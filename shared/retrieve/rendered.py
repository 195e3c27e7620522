"""Retrieve Rendered and thumbnails (PS3.18 §10.4.1.1.3, §10.4.1.1.4; dicomweb §7.6): pictures of frames.

Only the bytes of the frame are read, and of the file's head where it holds lookup tables.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from shared.codec_process.processes import CodecProcesses
from shared.dicom.errors import Unconvertible
from shared.dicom.identifiers import ResourceIdentifier
from shared.dicom.pixels.frame_decoding import FRAME_LIMIT, check_source
from shared.dicom.pixels.image_pixels import ImagePixels, image_pixels
from shared.dicom.pixels.presentation import NO_TABLES, Tables, needs_tables, presentation
from shared.dicom.pixels.rendering import encoded, fitted, in_srgb, picture, rendering_memory
from shared.dicom.transfer_syntaxes import DEFLATED, EXPLICIT_LITTLE_ENDIAN, NATIVE
from shared.dicomweb.partitions import Partition
from shared.errors import NotFound
from shared.index.documents import read_frame_ranges, read_metadata
from shared.index.values import StoredInstance
from shared.retrieve.converted import check_length
from shared.retrieve.frames import FrameBody, FrameRequest, retrieve_frames
from shared.retrieve.instances import Sources, successor
from shared.retrieve.rendered_request import Appearance
from shared.retrieve.request import AS_STORED, OCTET_STREAM, Resource, TransferSyntaxChoice
from shared.retrieve.unmapped_frames import UnmappedFrames
from shared.storage.ports import BlobNotFound

if TYPE_CHECKING:
    from PIL.Image import Image

_LARGEST_HEAD: Final = 32 * 1024 * 1024
_SERIES_NUMBER, _INSTANCE_NUMBER = "00200011", "00200013"

_AS_SAMPLES: Final = tuple(
    TransferSyntaxChoice(
        Resource.FRAMES,
        multipart=True,
        media_type=OCTET_STREAM,
        transfer_syntaxes=(syntax,),
        quality=1.0,
        listed=True,
    )
    for syntax in (EXPLICIT_LITTLE_ENDIAN, AS_STORED)
)
"""Frames to decode: native ones in little endian, others as they are stored."""


@dataclass(frozen=True, slots=True)
class Renderable:
    """An image that can be rendered, as far as its attributes tell."""

    instance: StoredInstance
    attributes: dict[str, Any]
    pixels: ImagePixels


async def renderable(sources: Sources, partition: Partition, instance: StoredInstance) -> Renderable:
    """What is known of an instance before its pixels are read; it has been looked up with its metadata.

    Raises NotFound (REND-5), NotAcceptable (REND-6).
    """
    check_length(sources.workshop, instance)
    found: StoredInstance | None = instance
    while found is not None:
        try:
            attributes = orjson.loads(await read_metadata(found, sources.blobs))
        except BlobNotFound:
            found = await successor(sources, partition, found, metadata=True)
            continue
        pixels = image_pixels(attributes)
        if pixels is None:
            raise NotFound("The instance has no pixel data.")
        check_source(pixels, found.transfer_syntax_uid)
        return Renderable(found, attributes, pixels)
    raise NotFound("The requested instance does not exist.")


def check_frames_exist(image: Renderable, numbers: Sequence[int]) -> None:
    """Raises NotFound for a frame that the image does not have (REND-3)."""
    if max(numbers) > image.pixels.frames:
        raise NotFound("The requested frame does not exist.")


async def render(
    sources: Sources,
    unmapped: UnmappedFrames,
    partition: Partition,
    image: Renderable,
    *,
    numbers: Sequence[int],
    media_type: str,
    look: Appearance,
) -> AsyncGenerator[bytes]:
    """The frames `numbers` (from 1) as pictures, one after the other.

    Raises NotFound, NotAcceptable (REND-6), Unavailable.
    """
    request = FrameRequest(image.instance.identifier, tuple(numbers), _AS_SAMPLES)
    located, frames = await retrieve_frames(sources, unmapped, partition, request, lambda _: False)
    if located.instance.blob != image.instance.blob:
        raise NotFound("The requested instance was replaced.")
    if frames is None:
        return
    async with aclosing(frames.rest):
        tables = await _tables(sources, image)
        numbered = iter(numbers)
        yield await _rendered(sources, image, tables, next(numbered), frames.first, media_type, look)
        async for body in frames.rest:
            yield await _rendered(sources, image, tables, next(numbered), body, media_type, look)


async def _rendered(  # noqa: PLR0917 - everything that makes a picture what it is
    sources: Sources,
    image: Renderable,
    tables: Tables,
    number: int,
    body: FrameBody,
    media_type: str,
    look: Appearance,
) -> bytes:
    frame = body if isinstance(body, bytes) else await _joined(body)
    pixels, workshop = image.pixels, sources.workshop
    area = 0 if look.viewport is None else look.viewport.width * look.viewport.height
    needed = rendering_memory(pixels, image.instance.transfer_syntax_uid, len(frame), area)

    async def work() -> bytes:
        return await workshop.run(lambda: _picture(workshop.codecs, image, tables, number, frame, media_type, look))

    return (await workshop.make((image.instance.blob, number, media_type, look), needed, work)).value


def _picture(  # noqa: PLR0917 - as above
    codecs: CodecProcesses,
    image: Renderable,
    tables: Tables,
    number: int,
    frame: bytes,
    media_type: str,
    look: Appearance,
) -> bytes:
    stored = image.instance.transfer_syntax_uid
    decoded = codecs.decode(frame, EXPLICIT_LITTLE_ENDIAN if stored in NATIVE else stored, image.pixels)
    how = presentation(image.attributes, number, tables)
    shown = fitted(picture(decoded, how, look.window), look.viewport)
    profile = tables.profile if look.profile == "yes" else None
    if look.profile == "srgb":
        shown, profile = _in_srgb(codecs, shown, tables.profile)
    if profile is not None and shown.mode != "RGB":
        profile = None  # it describes colours
    return encoded(shown, media_type, look.quality, profile)


def _in_srgb(codecs: CodecProcesses, shown: "Image", profile: bytes | None) -> tuple["Image", bytes]:
    """A profile of the file is read in another process."""
    if profile is None or shown.mode != "RGB":
        return in_srgb(shown, None)
    return codecs.in_srgb(shown, profile)


async def _joined(body: FrameBody) -> bytes:
    if isinstance(body, bytes):
        return body
    pieces: list[bytes] = []
    size = 0
    async for piece in body:
        pieces.append(piece)
        size += len(piece)
        if size > FRAME_LIMIT:
            raise Unconvertible("The frame is too large to be rendered.")
    return b"".join(pieces)


async def _tables(sources: Sources, image: Renderable) -> Tables:
    if not needs_tables(image.attributes):
        return NO_TABLES
    instance = image.instance
    end = await _end_of_head(sources, instance)
    if end is not None and end > _LARGEST_HEAD:
        raise Unconvertible("The data set of the instance is too large to be rendered.")
    head = await sources.blobs.read(instance.blob, 0, instance.length if end is None else end)
    return await sources.workshop.run(lambda: sources.workshop.codecs.tables(head))


async def _end_of_head(sources: Sources, instance: StoredInstance) -> int | None:
    """Where the pixel data begin; None: only the whole file tells."""
    if instance.frames_in_blob:
        ranges = await read_frame_ranges(instance, sources.blobs, [0])
        return ranges[0][0]
    if instance.frames is None or instance.transfer_syntax_uid == DEFLATED:
        return None
    return instance.frames.offsets[0] if instance.frames.encapsulated else instance.frames.first


# ---------------------------------------------------------------------------------------------------- representatives


async def representative(sources: Sources, partition: Partition, scope: ResourceIdentifier) -> StoredInstance:
    """The image that stands for a study or series: the middle one of the first series that has images, by number.

    Raises NotFound.
    """
    images = await images_in(sources, partition, scope)
    if scope.series_instance_uid is None:
        numbers = await _series_numbers(sources, partition, scope)
        series = min({image.identifier.series_instance_uid for image in images}, key=lambda uid: (numbers[uid], uid))
        images = [image for image in images if image.identifier.series_instance_uid == series]
    images.sort(key=lambda image: (_number(image.attributes.get(_INSTANCE_NUMBER)), image.identifier.sop_instance_uid))
    chosen = images[len(images) // 2]
    found = await sources.lookup.instance(partition, chosen.identifier, metadata=True)
    if found is None:
        raise NotFound("The requested study or series does not exist.")
    return found


async def images_in(sources: Sources, partition: Partition, scope: ResourceIdentifier) -> list[StoredInstance]:
    """The instances of a study or series that have frames, without their metadata. Raises NotFound (REND-5)."""
    instances = await sources.lookup.instances(partition, scope, metadata=False)
    if not instances:
        raise NotFound(f"The requested {'study' if scope.series_instance_uid is None else 'series'} does not exist.")
    located = [one for one in instances if one.frames is not None or one.frames_in_blob]
    images = located or [one for one in instances if one.transfer_syntax_uid not in NATIVE - {DEFLATED}]
    if not images:
        raise NotFound("The study or series has no images.")
    return images


async def _series_numbers(sources: Sources, partition: Partition, scope: ResourceIdentifier) -> "dict[str, float]":
    study = await sources.lookup.study(partition, scope.study_instance_uid)
    if study is None:
        raise NotFound("The requested study does not exist.")
    return _Numbers({uid: _number(series.attributes.get(_SERIES_NUMBER)) for uid, series in study.series.items()})


class _Numbers(dict[str, float]):
    """Numbers by UID; what has none comes last."""

    def __missing__(self, _: str) -> float:
        return float("inf")


def _number(text: str | None) -> float:
    try:
        return float(int(text or ""))
    except ValueError:
        return float("inf")
