"""Pictures of frames (PS3.18 §10.4.1.1.3, §10.4.1.1.4; dicomweb §7.6).

Only the bytes of the frame are read, and of the file's head where it holds lookup tables.
"""

import io
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shared.codec_process.processes import CodecProcesses, tables_memory
from shared.dicom.attributes import Attributes
from shared.dicom.errors import Unconvertible
from shared.dicom.media_types import OCTET_STREAM
from shared.dicom.pixels.frame_decoding import FRAME_LIMIT, check_source
from shared.dicom.pixels.image_pixels import ImagePixels, image_pixels
from shared.dicom.pixels.presentation import NO_TABLES, Tables, needs_tables, pixel_shape, presentation
from shared.dicom.pixels.rendering import encoded, fitted, in_srgb, picture, rendering_memory, true_size
from shared.dicom.transfer_syntaxes import DEFLATED, EXPLICIT_BIG_ENDIAN, EXPLICIT_LITTLE_ENDIAN, NATIVE
from shared.errors import NotFound
from shared.retrieve.frames.locating import locate
from shared.retrieve.frames.reading import FrameBody, read_frames
from shared.retrieve.negotiation import AS_STORED, RetrievedResource, TransferSyntaxChoice
from shared.retrieve.rendered.request import RenderingOptions
from shared.retrieve.snapshot import Snapshot

if TYPE_CHECKING:
    from PIL.Image import Image

_LARGEST_HEAD: Final = 32 * 1024 * 1024
_ELEMENT_HEADER: Final = 12
"""Bytes before the value of pixel data in explicit VR (PS3.5 §7.1.2). The head of a big-endian file, which must be
re-encoded, is a data set without them.
"""

_AS_SAMPLES: Final = tuple(
    TransferSyntaxChoice(
        RetrievedResource.FRAMES,
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

    snapshot: Snapshot
    attributes: Attributes
    pixels: ImagePixels


async def renderable(snapshot: Snapshot) -> Renderable:
    """The facts about an instance before its pixels are read.

    Raises NotFound (REND-5), NotAcceptable (REND-6), BlobNotFound.
    """
    attributes = await snapshot.attributes()
    pixels = image_pixels(attributes, snapshot.instance.frame_count)
    if pixels is None:
        raise NotFound("The instance has no pixel data.")
    snapshot.pool.check_length(snapshot.length)
    check_source(pixels, snapshot.syntax)
    return Renderable(snapshot, attributes, pixels)


def check_frames_exist(image: Renderable, numbers: Sequence[int]) -> None:
    """Raises NotFound for a frame that the image does not have (REND-3)."""
    if max(numbers) > image.pixels.frames:
        raise NotFound("The requested frame does not exist.")


async def render(
    image: Renderable, numbers: Sequence[int], media_type: str, look: RenderingOptions
) -> AsyncGenerator[bytes]:
    """The frames `numbers` (from 1) as pictures, one after the other.

    Raises NotFound, NotAcceptable (REND-6), BlobNotFound, Unavailable.
    """
    frames = await read_frames(await locate(image.snapshot, numbers, _AS_SAMPLES))
    async with aclosing(frames.rest):
        work = _Rendering(image, await _tables(image), media_type, look)
        numbered = iter(numbers)
        yield await work.rendered(next(numbered), frames.first)
        async for body in frames.rest:
            yield await work.rendered(next(numbered), body)


@dataclass(frozen=True, slots=True)
class _Rendering:
    """Everything that makes pictures of frames what they are."""

    image: Renderable
    tables: Tables
    media_type: str
    look: RenderingOptions

    async def rendered(self, number: int, body: FrameBody) -> bytes:
        """The picture of one frame, made once for all who ask for it at the same time."""
        frame = body if isinstance(body, bytes) else await _whole_frame(body)
        snapshot, pixels, viewport = self.image.snapshot, self.image.pixels, self.look.viewport
        pool = snapshot.pool
        if viewport is None:
            width, height = true_size(pixels.columns, pixels.rows, pixel_shape(self.image.attributes, number))
            area = 0 if (width, height) == (pixels.columns, pixels.rows) else round(width * height)
        else:
            area = viewport.width * viewport.height
        needed = rendering_memory(pixels, snapshot.syntax, len(frame), area)

        async def work() -> bytes:
            return await pool.run(lambda: self._picture(pool.codecs, number, frame))

        return (await pool.make((snapshot.location, number, self.media_type, self.look), needed, work)).value

    def _picture(self, codecs: CodecProcesses, number: int, frame: bytes) -> bytes:
        stored, look = self.image.snapshot.syntax, self.look
        decoded = codecs.decode(frame, EXPLICIT_LITTLE_ENDIAN if stored in NATIVE else stored, self.image.pixels)
        how = presentation(self.image.attributes, number, self.tables)
        shape = pixel_shape(self.image.attributes, number)
        shown = fitted(picture(decoded, how, look.window), look.viewport, shape)
        profile = self.tables.profile if look.profile == "yes" else None
        if look.profile == "srgb":
            shown, profile = _in_srgb(codecs, shown, self.tables.profile)
        if profile is not None and shown.mode != "RGB":
            profile = None  # it describes colours
        return encoded(shown, self.media_type, look.quality, profile)


def _in_srgb(codecs: CodecProcesses, shown: "Image", profile: bytes | None) -> tuple["Image", bytes]:
    """A profile of the file is read in another process."""
    if profile is None or shown.mode != "RGB":
        return in_srgb(shown, None)
    return codecs.in_srgb(shown, profile)


async def _whole_frame(body: FrameBody) -> bytes:
    if isinstance(body, bytes):
        return body
    whole = io.BytesIO()  # which gives its bytes away: joined at the end, they would be copied at one go (STOW-46)
    async for piece in body:
        whole.write(piece)
        if whole.tell() > FRAME_LIMIT:
            raise Unconvertible("The frame is too large to be rendered.")
    return whole.getvalue()


async def _tables(image: Renderable) -> Tables:
    if not needs_tables(image.attributes):
        return NO_TABLES
    snapshot = image.snapshot
    end = await _end_of_head(snapshot)
    if end is not None and end > _LARGEST_HEAD:
        raise Unconvertible("The data set of the instance is too large to be rendered.")
    length, pool = snapshot.length if end is None else end, snapshot.pool

    async def work() -> Tables:
        head = await snapshot.read(0, length)
        return await pool.run(lambda: pool.codecs.tables(head))

    needed = min(2 * length + tables_memory(length), pool.memory)
    return (await pool.make((snapshot.location, "tables"), needed, work)).value


async def _end_of_head(snapshot: Snapshot) -> int | None:
    """Where the pixel data begin; None: only the whole file tells."""
    instance = snapshot.instance
    if instance.frames_in_blob:
        ranges = await snapshot.frame_ranges([0])
        return ranges[0][0]
    if instance.frames is None or snapshot.syntax == DEFLATED:
        return None
    if snapshot.syntax == EXPLICIT_BIG_ENDIAN:
        return instance.frames.first - _ELEMENT_HEADER
    return instance.frames.offsets[0] if instance.frames.encapsulated else instance.frames.first
