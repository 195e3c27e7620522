"""The handlers of rendered resources and thumbnails (PS3.18 §10.4.1.1.3, §10.4.1.1.4)."""

import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from shared.dicom.transfer_syntaxes import SOURCES
from shared.dicomweb.media_types import accept_of
from shared.dicomweb.versions import ApiVersion
from shared.errors import NotAcceptable, NotFound
from shared.http.messages import Request, Response
from shared.http.transaction import Checks, Context
from shared.index.values import StoredInstance
from shared.retrieve import response
from shared.retrieve.converted import check_length
from shared.retrieve.instances import Sources
from shared.retrieve.rendered import (
    Renderable,
    check_frames_exist,
    images_in,
    render,
    renderable,
    representative,
)
from shared.retrieve.rendered_request import Appearance, Form, appearance, check_types, negotiate, thumbnail
from shared.retrieve.request import (
    Encoding,
    all_frames,
    check_frame_numbers,
    frame_numbers,
    instance_of,
    resource_of,
)
from shared.retrieve.response import Part, is_current
from shared.retrieve.unmapped_frames import UnmappedFrames


def _check_rendered(request: Request, _: ApiVersion) -> None:
    if "frames" in request.route:
        frame_numbers(request.route["frames"])
    check_types(request.query)


def _check_thumbnail(request: Request, _: ApiVersion) -> None:
    if "frames" in request.route:
        frame_numbers(request.route["frames"])


CHECK_RENDERED = Checks(early=_check_rendered)
CHECK_THUMBNAIL = Checks(early=_check_thumbnail)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A request whose parameters have been read."""

    request: Request
    context: Context
    look: Appearance
    form: Form


@dataclass(frozen=True, slots=True)
class RenderedHandlers:
    """Pictures of instances. `read` makes the appearance out of a query string: of a rendered image or a thumbnail."""

    sources: Sources
    unmapped: UnmappedFrames
    read: Callable[[str], Appearance]
    only_one: bool
    """Thumbnails: a study or series has one, however it is asked for."""

    async def frames(self, request: Request, context: Context) -> Response:
        """Frames of an instance."""
        numbers = frame_numbers(request.route["frames"])
        check_frame_numbers(numbers)
        wanted = self._wanted(request, context, len(numbers))
        return await self._of_instance(wanted, await self._instance(request, context), numbers)

    async def instance(self, request: Request, context: Context) -> Response:
        """The first frame of an instance (REND-3), or all of them for who takes only a multipart."""
        wanted = self._wanted(request, context, 1 if self.only_one else None)
        return await self._of_instance(wanted, await self._instance(request, context), None)

    async def several(self, request: Request, context: Context) -> Response:
        """A study or series: one image that stands for it, or all images for who takes only a multipart."""
        wanted = self._wanted(request, context, 1 if self.only_one else None)
        scope = resource_of(request.route)
        if wanted.form.multipart and not self.only_one:
            images = await images_in(self.sources, context.partition, scope)
            for image in images:
                check_length(self.sources.workshop, image)
                if image.transfer_syntax_uid not in SOURCES:
                    raise NotAcceptable("The transfer syntax of an instance cannot be rendered.")
            return self._answer(wanted, self._all(wanted, images), None)
        chosen = await representative(self.sources, context.partition, scope)
        return await self._of_instance(wanted, chosen, (1,))

    def _wanted(self, request: Request, context: Context, images: int | None) -> _Wanted:
        look = self.read(request.query)
        accept = accept_of(request.headers.all("accept"), request.query)
        return _Wanted(request, context, look, negotiate(accept, images))

    async def _instance(self, request: Request, context: Context) -> StoredInstance:
        found = await self.sources.lookup.instance(context.partition, instance_of(request.route), metadata=True)
        if found is None:
            raise NotFound("The requested instance does not exist.")
        return found

    async def _of_instance(self, wanted: _Wanted, instance: StoredInstance, numbers: Sequence[int] | None) -> Response:
        """`numbers`: the frames; None: the first, or all of them in a multipart."""
        image = await renderable(self.sources, wanted.context.partition, instance)
        if numbers is None:
            every = wanted.form.multipart and not self.only_one
            numbers = all_frames(image.pixels.frames) if every else (1,)
        check_frames_exist(image, numbers)
        tag = _tag(wanted, image, numbers)
        if is_current(wanted.request.headers.all("if-none-match"), tag):
            return response.not_modified(tag)
        if wanted.form.multipart:
            return self._answer(wanted, self._parts(wanted, image, numbers), tag)
        async with aclosing(self._pictures(wanted, image, numbers)) as pictures:
            body = await anext(pictures)
        encoding = Encoding(wanted.form.media_type, "")
        return _with_warnings(wanted, response.single_part(encoding, len(body), body, tag))

    def _pictures(self, wanted: _Wanted, image: Renderable, numbers: Sequence[int]) -> AsyncGenerator[bytes]:
        return render(
            self.sources,
            self.unmapped,
            wanted.context.partition,
            image,
            numbers=numbers,
            media_type=wanted.form.media_type,
            look=wanted.look,
        )

    async def _parts(self, wanted: _Wanted, image: Renderable, numbers: Sequence[int]) -> AsyncGenerator[Part]:
        encoding = Encoding(wanted.form.media_type, "")
        numbered = iter(numbers)
        async with aclosing(self._pictures(wanted, image, numbers)) as pictures:
            async for body in pictures:
                url = wanted.context.urls.frame(image.instance.identifier, next(numbered))
                yield Part(encoding, f"{url}/rendered", body)

    async def _all(self, wanted: _Wanted, images: Sequence[StoredInstance]) -> AsyncGenerator[Part]:
        for listed in images:
            partition = wanted.context.partition
            found = await self.sources.lookup.instance(partition, listed.identifier, metadata=True)
            if found is None:
                continue
            image = await renderable(self.sources, partition, found)
            async with aclosing(self._parts(wanted, image, all_frames(image.pixels.frames))) as parts:
                async for part in parts:
                    yield part

    def _answer(self, wanted: _Wanted, parts: AsyncGenerator[Part], tag: str | None) -> Response:
        return _with_warnings(wanted, response.several_parts(wanted.form.media_type, parts, tag))


def rendered_handlers(sources: Sources, unmapped: UnmappedFrames) -> RenderedHandlers:
    """Those of `/rendered`."""
    return RenderedHandlers(sources, unmapped, appearance, only_one=False)


def thumbnail_handlers(sources: Sources, unmapped: UnmappedFrames) -> RenderedHandlers:
    """Those of `/thumbnail`."""
    return RenderedHandlers(sources, unmapped, thumbnail, only_one=True)


def _tag(wanted: _Wanted, image: Renderable, numbers: Sequence[int]) -> str:
    """The ETag of pictures: everything that they are made of (META-10)."""
    made_of = f"{wanted.form} {wanted.look} {image.instance.identifier} {list(numbers)}"
    digest = hashlib.sha256(made_of.encode()).hexdigest()[:16]
    return f'{"W/" if wanted.form.multipart else ""}"rendered-{image.instance.version}-{digest}"'


def _with_warnings(wanted: _Wanted, answer: Response) -> Response:
    if not wanted.look.ignored:
        return answer
    warning = wanted.context.warning(f"Not supported and ignored: {', '.join(wanted.look.ignored)}")
    return Response(answer.status, (*answer.headers, warning), answer.body)
