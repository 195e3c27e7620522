"""Retrieve Rendered and thumbnails (PS3.18 §10.4.1.1.3, §10.4.1.1.4; REND-1 to REND-12)."""

import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus

from shared import metrics
from shared.dicom.elements import first_text
from shared.dicom.identifiers import InstanceIdentifier
from shared.dicom.media_types import OCTET_STREAM
from shared.dicom.pixels.placeholder import placeholder
from shared.dicom.pixels.rendering import Viewport, encoded
from shared.dicom.transfer_syntaxes import SOURCES
from shared.dicomweb.content_negotiation import Accept, MediaType
from shared.errors import NotAcceptable, NotFound
from shared.http.messages import Response
from shared.http.transaction import Context
from shared.retrieve import response
from shared.retrieve.bulk.request import negotiate_value
from shared.retrieve.bulk.transaction import send_medium
from shared.retrieve.byte_ranges import RangeRequest
from shared.retrieve.frames.request import all_frames, check_frame_numbers
from shared.retrieve.media import Medium, medium_of
from shared.retrieve.negotiation import Encoding
from shared.retrieve.rendered.pictures import Renderable, check_frames_exist, render, renderable
from shared.retrieve.rendered.representatives import images_in, representative
from shared.retrieve.rendered.request import (
    THUMBNAIL,
    PictureRequest,
    RenderingOptions,
    Representation,
    accepts_media,
    negotiate,
    rendering_options,
    thumbnail,
)
from shared.retrieve.response import Part
from shared.retrieve.snapshot import NO_INSTANCE, Backend, Snapshot, current

_MODALITY = "00080060"


@dataclass(frozen=True, slots=True)
class PictureOrder:
    """The pictures that a request asks for, in the form that it accepts."""

    numbers: tuple[int, ...] | None
    """Frames from 1; None: the first, or all of them in a multipart."""
    look: RenderingOptions
    accepted: tuple[MediaType, ...]
    form: Representation | None
    """None: no picture is accepted, only a video or a document."""
    span: RangeRequest
    thumbnail: bool
    """A small picture of whatever it is; of a study or series there is one, however it is asked for."""

    def image_form(self) -> Representation:
        """Raises NotAcceptable where no picture is accepted."""
        if self.form is None:
            raise NotAcceptable("Rendered images are image/jpeg, image/png or image/gif.")
        return self.form


def order(request: PictureRequest, accept: Accept, images: int | None, *, small: bool) -> PictureOrder:
    """`images`: how many pictures there are; None: as many as the client has room for.

    Raises InvalidRequest, NotAcceptable.
    """
    numbers = request.numbers
    if numbers is not None:
        check_frame_numbers(numbers)
        images = len(numbers)
    look = thumbnail(request.query) if small else rendering_options(request.query)
    accepted = tuple(accept.types())
    form: Representation | None = None
    try:
        form = negotiate(accepted, images)
    except NotAcceptable:
        if small or not accepts_media(accepted):
            raise
    return PictureOrder(numbers, look, accepted, form, request.span, small)


@dataclass(frozen=True, slots=True)
class RenderedTransactions:
    """Pictures of instances. `small`: they are thumbnails."""

    backend: Backend
    small: bool

    async def instance(self, request: PictureRequest, accept: Accept, context: Context) -> Response:
        """The frames of an instance that the path lists; without a list the first (REND-3), or all in a multipart."""
        wanted = order(request, accept, 1 if self.small else None, small=self.small)
        return await self.of_instance(context.instance, wanted, context)

    async def several(self, request: PictureRequest, accept: Accept, context: Context) -> Response:
        """A study or series: one instance that stands for it, or all images for a client that takes only multipart."""
        wanted = order(request, accept, 1 if self.small else None, small=self.small)
        archive = self.backend.archive(context.partition, original=context.original, within=context.confinement)
        if wanted.form is not None and wanted.form.multipart and not self.small:
            snapshots = await images_in(archive, context.scope)
            for snapshot in snapshots:
                snapshot.pool.check_length(snapshot.length)
                if snapshot.syntax not in SOURCES:
                    raise NotAcceptable("The transfer syntax of an instance cannot be rendered.")
            return _several(_all(snapshots, wanted, context), wanted, None, context)
        chosen = await representative(archive, context.scope)
        return await _answer(chosen, wanted, context)

    async def of_instance(self, identifier: InstanceIdentifier, wanted: PictureOrder, context: Context) -> Response:
        """One instance. Raises NotFound, NotAcceptable, LostFile."""
        return await _answer(
            await self.backend.archive(
                context.partition, original=context.original, within=context.confinement
            ).snapshot(identifier),
            wanted,
            context,
        )


async def _answer(snapshot: Snapshot, wanted: PictureOrder, context: Context) -> Response:
    answer = await current(snapshot, lambda version: picture_of(version, wanted, context))
    if answer is None:
        raise NotFound(NO_INSTANCE)
    return answer


async def picture_of(snapshot: Snapshot, wanted: PictureOrder, context: Context) -> Response:
    """The picture of one version of an instance. Raises NotFound, NotAcceptable, BlobNotFound."""
    answer = await _picture_of(snapshot, wanted, context)
    if answer.status != HTTPStatus.NOT_MODIFIED:
        metrics.add(metrics.INSTANCES_RETRIEVED, rendered=True)
    return answer


async def _picture_of(snapshot: Snapshot, wanted: PictureOrder, context: Context) -> Response:
    attributes = await snapshot.attributes()
    medium = medium_of(snapshot, attributes)
    if wanted.thumbnail:
        kind = await _kind_without_picture(snapshot, medium)
        if kind is not None:
            return await _placeholder(snapshot, kind, wanted, context)
    elif medium is not None and medium.shown and wanted.numbers in {None, (1,)}:
        form = negotiate_value(wanted.accepted, medium.media_type, medium.transfer_syntax_uid, prefer_own=True)
        if form.media_type != OCTET_STREAM:
            return await send_medium(snapshot, medium, form, wanted.span, context)
        raise NotAcceptable(f"The instance is {medium.media_type}.")
    return await _pictures_of(await renderable(snapshot), wanted, context)


async def _pictures_of(image: Renderable, wanted: PictureOrder, context: Context) -> Response:
    form, numbers = wanted.image_form(), wanted.numbers
    if numbers is None or wanted.thumbnail:
        every = form.multipart and not wanted.thumbnail
        numbers = numbers or (all_frames(image.pixels.frames) if every else (1,))
    check_frames_exist(image, numbers)
    tag = _tag(image.snapshot, wanted, numbers)
    if context.if_none_match.has(tag):
        return response.not_modified(tag)
    if form.multipart:
        parts = _parts(image, numbers, wanted, context)
        return _several(response.resumed(await anext(parts), parts), wanted, tag, context)
    async with aclosing(render(image, numbers, form.media_type, wanted.look)) as pictures:
        body = await anext(pictures)
    encoding = Encoding(form.media_type, "")
    return _warned(response.single_part(encoding, len(body), body, tag), wanted, context)


async def _parts(
    image: Renderable, numbers: Sequence[int], wanted: PictureOrder, context: Context
) -> AsyncGenerator[Part]:
    media_type = wanted.image_form().media_type
    numbered = iter(numbers)
    async with aclosing(render(image, numbers, media_type, wanted.look)) as pictures:
        async for body in pictures:
            url = context.urls.frame(image.snapshot.identifier, next(numbered))
            yield Part(Encoding(media_type, ""), f"{url}/rendered", body)


async def _all(snapshots: Sequence[Snapshot], wanted: PictureOrder, context: Context) -> AsyncGenerator[Part]:
    async def attempt(snapshot: Snapshot) -> AsyncGenerator[Part]:
        image = await renderable(snapshot)
        parts = _parts(image, all_frames(image.pixels.frames), wanted, context)
        return response.resumed(await anext(parts), parts)

    for snapshot in snapshots:
        opened = await current(snapshot, attempt)
        if opened is None:
            continue
        metrics.add(metrics.INSTANCES_RETRIEVED, rendered=True)
        async with aclosing(opened) as parts:
            async for part in parts:
                yield part


def _several(parts: AsyncGenerator[Part], wanted: PictureOrder, tag: str | None, context: Context) -> Response:
    return _warned(response.several_parts(wanted.image_form().media_type, parts, tag), wanted, context)


def _tag(snapshot: Snapshot, wanted: PictureOrder, numbers: Sequence[int]) -> str:
    """The ETag of pictures: everything that they are made of (META-10)."""
    form = wanted.image_form()
    made_of = f"{form} {wanted.look} {snapshot.identifier} {list(numbers)}"
    digest = hashlib.sha256(made_of.encode()).hexdigest()[:16]
    return f'{"W/" if form.multipart else ""}"rendered-{snapshot.instance.version}-{digest}"'


def _warned(answer: Response, wanted: PictureOrder, context: Context) -> Response:
    if not wanted.look.ignored:
        return answer
    warning = context.warning(f"Not supported and ignored: {', '.join(wanted.look.ignored)}")
    return response.with_headers(answer, warning)


# ---------------------------------------------------------------------------------------------------------- thumbnails


async def _kind_without_picture(snapshot: Snapshot, medium: Medium | None) -> str | None:
    """The kind of an instance without a picture: a video, a document, a report; None: it has one (REND-12)."""
    if medium is not None:
        return "VIDEO" if medium.transfer_syntax_uid else medium.media_type.rpartition("/")[2].upper()
    attributes = await snapshot.attributes()
    try:
        await renderable(snapshot)
    except NotFound:
        return (first_text(attributes, _MODALITY) or "").strip().upper()
    return None


async def _placeholder(snapshot: Snapshot, kind: str, wanted: PictureOrder, context: Context) -> Response:
    form, viewport = wanted.image_form(), wanted.look.viewport or THUMBNAIL
    if wanted.numbers is not None and max(wanted.numbers) > 1:
        raise NotFound("The requested frame does not exist.")
    tag = _tag(snapshot, wanted, (1,))
    if context.if_none_match.has(tag):
        return response.not_modified(tag)
    body = await snapshot.pool.run(lambda: _encoded(kind, viewport, form.media_type, wanted.look.quality))
    encoding = Encoding(form.media_type, "")
    if form.multipart:
        url = f"{context.urls.instance(snapshot.identifier)}/thumbnail"
        return response.several_parts(form.media_type, response.these([Part(encoding, url, body)]), tag)
    return response.single_part(encoding, len(body), body, tag)


def _encoded(kind: str, viewport: Viewport, media_type: str, quality: int) -> bytes:
    return encoded(placeholder(kind, viewport.width, viewport.height), media_type, quality)
