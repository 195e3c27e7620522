"""The handlers of bulk data and pixel data (PS3.18 §10.4.1.1.5, §10.4.1.1.7; BULK-1 to BULK-5).

Pixel data follow the rules of frames, as one element (W-17): uncompressed they are one value, all frames joined;
compressed there is a part for each frame.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from shared.dicom.attributes import Attributes
from shared.dicom.identifiers import ResourceIdentifier
from shared.dicom.part10.bulk_data import PIXEL_DATA, bulk_paths, value_path
from shared.dicom.transfer_syntaxes import EXPLICIT_LITTLE_ENDIAN, NATIVE
from shared.dicomweb.media_types import accept_of
from shared.errors import InvalidRequest, NotFound
from shared.http.messages import Request, Response
from shared.http.transaction import Context
from shared.index.values import StoredInstance
from shared.retrieve import response
from shared.retrieve.bulk_data import NO_VALUE, BulkData, LocatedValue, names_value
from shared.retrieve.byte_ranges import UNSATISFIABLE, requested_range
from shared.retrieve.instances import Sources, successor
from shared.retrieve.pixel_values import OCTETS, PixelSource, joined, settle_pixels, these
from shared.retrieve.request import (
    OCTET_STREAM,
    Resource,
    TransferSyntaxChoice,
    choices,
    instance_of,
    negotiate_value,
    resource_of,
    set_choices,
)
from shared.retrieve.response import Part, is_current, representation_tag
from shared.retrieve.unmapped_frames import UnmappedFrames
from shared.storage.ports import BlobNotFound

_NO_INSTANCE: Final = "The requested instance does not exist."
_NO_PIXELS: Final = "The instance has no pixel data."


@dataclass(frozen=True, slots=True)
class BulkHandlers:
    """Retrieve Bulk Data and Retrieve Pixel Data."""

    sources: Sources
    bulk: BulkData
    unmapped: UnmappedFrames

    async def value(self, request: Request, context: Context) -> Response:
        """One value of an instance, by its path."""
        path = value_path(request.route.get("path", ""))
        accept = accept_of(request.headers.all("accept"), request.query)
        pixels = path == PIXEL_DATA
        accepted = choices(Resource.FRAMES, accept) if pixels else ()
        multipart = False if pixels else negotiate_value(accept)
        if path is None:
            raise NotFound(NO_VALUE)
        identifier = instance_of(request.route)
        found = await self.sources.lookup.instance(context.partition, identifier, metadata=True)
        while found is not None:
            known = await self.bulk.document(context.partition, found)
            if known is None:
                break
            found, attributes = known
            try:
                if pixels:
                    return await _PixelValue(self, request, context, found, attributes).response(accepted)
                return await self._value(request, context, found, attributes, path, multipart=multipart)
            except BlobNotFound:
                found = await successor(self.sources, context.partition, found, metadata=True)
        raise NotFound(_NO_INSTANCE)

    async def _value(
        self,
        request: Request,
        context: Context,
        instance: StoredInstance,
        attributes: Attributes,
        path: str,
        *,
        multipart: bool,
    ) -> Response:
        if not names_value(attributes, path):
            raise NotFound(NO_VALUE)
        tag = f'{'W/"multipart' if multipart else '"single'}-{instance.version}"'
        if is_current(request.headers.all("if-none-match"), tag):
            return response.not_modified(tag)
        value = await self.bulk.value(instance, attributes, path)
        location = context.urls.bulk_data(instance.identifier, path)
        return await self.send(request, value, tag, location, multipart=multipart)

    async def send(
        self, request: Request, value: LocatedValue, tag: str, location: str, *, multipart: bool
    ) -> Response:
        """A value as the whole body, or the range of it that is asked for; or as the only part. Raises BlobNotFound."""
        if multipart:
            part = Part(OCTETS, location, await self.bulk.read(value))
            return response.several_parts(OCTET_STREAM, these([part]), tag)
        span = requested_range(request.headers, value.size, tag) if request.method == "GET" else None
        if span == UNSATISFIABLE:
            return response.unsatisfiable(value.size)
        start, end = span or (0, value.size)
        body = await self.bulk.read(value, start, end)
        whole = response.single_part(OCTETS, end - start, body, tag)
        return response.of_value(whole, location, span, value.size)

    def pixels(self, context: Context, instance: StoredInstance, attributes: Attributes) -> PixelSource:
        """The pixel data of an instance."""
        return PixelSource(self.sources, self.bulk, self.unmapped, context.partition, instance, attributes)

    async def bulk_data(self, request: Request, context: Context) -> Response:
        """All bulk values of a study, series or instance (BULK-3)."""
        return await self._all(request, context, pixels_only=False)

    async def pixel_data(self, request: Request, context: Context) -> Response:
        """The pixel data of a study, series or instance (BULK-4)."""
        return await self._all(request, context, pixels_only=True)

    async def _all(self, request: Request, context: Context, *, pixels_only: bool) -> Response:
        accept = accept_of(request.headers.all("accept"), request.query)
        accepted = set_choices(accept, pixels_only=pixels_only)
        scope = resource_of(request.route)
        instances = await self.sources.lookup.instances(context.partition, scope, metadata=False)
        if not instances:
            raise NotFound("The requested study, series or instance does not exist.")
        with_pixels = {each.transfer_syntax_uid for each in instances if _may_have_pixels(each)}

        async def check(choice: TransferSyntaxChoice) -> None:
            await self._check(context, scope, choice)

        choice, _ = await settle_pixels(accepted, with_pixels or {EXPLICIT_LITTLE_ENDIAN}, check)
        versions = [instance.version for instance in instances]
        syntax = choice.transfer_syntaxes[0]
        tag = f'W/"multipart-{max(versions)}-{len(versions)}-{choice.media_type}-{syntax}"'
        if is_current(request.headers.all("if-none-match"), tag):
            return response.not_modified(tag)
        parts = self._parts(context, scope, choice, pixels_only=pixels_only)
        first = await anext(parts, None)
        if first is None:
            raise NotFound("There are no pixel data." if pixels_only else "There are no bulk data.")
        return response.several_parts(first.encoding.media_type, _resumed(first, parts), tag)

    async def _check(self, context: Context, scope: ResourceIdentifier, choice: TransferSyntaxChoice) -> None:
        """Raises NotAcceptable where pixel data in `scope` cannot be converted for `choice`."""
        async with aclosing(self.sources.lookup.stream(context.partition, scope)) as instances:
            async for listed in instances:
                if choice.encoding(listed.transfer_syntax_uid) is None and (
                    known := await self.bulk.document(context.partition, listed)
                ):
                    instance, attributes = known
                    if PIXEL_DATA in attributes:
                        self.pixels(context, instance, attributes).check(choice)

    async def _parts(
        self, context: Context, scope: ResourceIdentifier, choice: TransferSyntaxChoice, *, pixels_only: bool
    ) -> AsyncGenerator[Part]:
        async with aclosing(self.sources.lookup.stream(context.partition, scope)) as instances:
            async for listed in instances:
                found: StoredInstance | None = listed
                while found is not None:
                    known = await self.bulk.document(context.partition, found)
                    if known is None:
                        break
                    found, attributes = known
                    sent = False
                    try:
                        of_one = self._parts_of(context, found, attributes, choice, pixels_only=pixels_only)
                        async with aclosing(of_one):
                            async for part in of_one:
                                sent = True
                                yield part
                    except BlobNotFound:
                        if sent:  # what is left of it is gone with it (WADO-29)
                            break
                        found = await successor(self.sources, context.partition, found, metadata=True)
                    else:
                        break

    async def _parts_of(
        self,
        context: Context,
        instance: StoredInstance,
        attributes: Attributes,
        choice: TransferSyntaxChoice,
        *,
        pixels_only: bool,
    ) -> AsyncGenerator[Part]:
        paths = bulk_paths(attributes)
        others = [] if pixels_only else [path for path in paths if path != PIXEL_DATA]
        for path, value in (await self.bulk.values(instance, others)).items():
            if value.size:
                location = context.urls.bulk_data(instance.identifier, path)
                yield Part(OCTETS, location, await self.bulk.read(value))
        if PIXEL_DATA in paths:
            pixels = self.pixels(context, instance, attributes)
            parts = await pixels.parts(choice, context.urls)
            async with aclosing(parts):
                async for part in parts:
                    yield part


@dataclass(frozen=True, slots=True)
class _PixelValue:
    """An answer to a request for the bulk value (7FE0,0010)."""

    room: BulkHandlers
    request: Request
    context: Context
    instance: StoredInstance
    attributes: Attributes

    async def response(self, accepted: Sequence[TransferSyntaxChoice]) -> Response:
        """Raises NotFound, NotAcceptable, InvalidRequest (FRM-4), BlobNotFound."""
        if not names_value(self.attributes, PIXEL_DATA):
            raise NotFound(_NO_PIXELS)
        pixels = self.room.pixels(self.context, self.instance, self.attributes)
        stored = self.instance.transfer_syntax_uid
        if stored not in NATIVE and pixels.count > 1:
            accepted = [each for each in accepted if each.multipart or each.target == EXPLICIT_LITTLE_ENDIAN]
            if not accepted:
                raise InvalidRequest("Several frames can only be retrieved as multipart/related.")

        async def check(choice: TransferSyntaxChoice) -> None:
            pixels.check(choice)

        choice, encodings = await settle_pixels(accepted, [stored], check)
        tag = representation_tag(self.instance, choice, encodings[stored])
        if is_current(self.request.headers.all("if-none-match"), tag):
            return response.not_modified(tag)
        location = self.context.urls.bulk_data(self.instance.identifier, PIXEL_DATA)
        if pixels.is_native(choice):
            value = await pixels.native()
            return await self.room.send(self.request, value, tag, location, multipart=choice.multipart)
        if choice.multipart:
            parts = await pixels.parts(choice, self.context.urls)
            return response.several_parts(encodings[stored].media_type, parts, tag)
        located, frames = await pixels.frames(choice)
        length = frames.length if pixels.count == 1 else None
        body = frames.first if pixels.count == 1 else joined(frames)
        whole = response.single_part(located.encoding, length, body, tag)
        return response.of_value(whole, location, None, None)


def _may_have_pixels(instance: StoredInstance) -> bool:
    known = instance.frames is not None or instance.frames_in_blob > 0
    return known or instance.transfer_syntax_uid not in NATIVE


async def _resumed(first: Part, rest: AsyncGenerator[Part]) -> AsyncGenerator[Part]:
    async with aclosing(rest):
        yield first
        async for part in rest:
            yield part
