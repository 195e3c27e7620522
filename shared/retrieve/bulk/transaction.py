"""Retrieve Bulk Data and Retrieve Pixel Data (PS3.18 §10.4.1.1.5, §10.4.1.1.7; BULK-1 to BULK-6).

Pixel data follow the rules of frames, as one element (W-17): uncompressed they are one value, all frames joined;
compressed there is a part for each frame. A video is one value, its stream.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from shared.dicom.identifiers import ResourceIdentifier
from shared.dicom.media_types import OCTET_STREAM, video_type
from shared.dicom.part10.bulk_data import PIXEL_DATA, bulk_paths
from shared.dicom.transfer_syntaxes import EXPLICIT_LITTLE_ENDIAN, NATIVE
from shared.dicomweb.content_negotiation import Accept
from shared.dicomweb.urls import Urls
from shared.errors import NotFound
from shared.http.messages import Response
from shared.http.transaction import Context
from shared.retrieve import response
from shared.retrieve.bulk.pixel_values import (
    OCTETS,
    all_frames_of,
    check_pixels,
    frame_count,
    is_native,
    joined,
    must_be_decoded,
    native_value,
    pixel_parts,
    settle_pixels,
)
from shared.retrieve.bulk.request import ValueForm, ValueRequest, check_acceptable, negotiate_value, set_choices
from shared.retrieve.bulk.values import NO_VALUE, LocatedValue, find_all_values, find_value, names_value
from shared.retrieve.byte_ranges import RangeRequest
from shared.retrieve.frames.request import several_frames
from shared.retrieve.media import Medium, medium_of
from shared.retrieve.negotiation import Encoding, RetrievedResource, TransferSyntaxChoice, choices
from shared.retrieve.response import Part, representation_tag, resumed, these
from shared.retrieve.snapshot import NO_INSTANCE, Archive, Backend, Snapshot, current
from shared.storage.ports import BlobNotFound

_NO_PIXELS = "The instance has no pixel data."


@dataclass(frozen=True, slots=True)
class BulkTransactions:
    """Retrieve Bulk Data and Retrieve Pixel Data."""

    backend: Backend

    async def value(self, request: ValueRequest, accept: Accept, context: Context) -> Response:
        """One value of an instance, by its path."""
        accepted = accept.types()
        if request.path is None:
            check_acceptable(accepted)
            raise NotFound(NO_VALUE)
        path = request.path
        found = await self.backend.archive(
            context.partition, original=context.original, within=context.confinement
        ).find(context.instance)

        async def attempt(snapshot: Snapshot) -> Response:
            video = path == PIXEL_DATA and video_type(snapshot.syntax) is not None
            if path == PIXEL_DATA and not video:
                return await _pixels(snapshot, choices(RetrievedResource.FRAMES, accepted), request.span, context)
            attributes = await snapshot.attributes()
            medium = medium_of(snapshot, attributes)
            if medium is None or medium.path != path:
                medium = Medium(path, OCTET_STREAM)
            form = negotiate_value(accepted, medium.media_type, medium.transfer_syntax_uid, prefer_own=video)
            if not names_value(attributes, path):
                raise NotFound(_NO_PIXELS if video else NO_VALUE)
            return await send_medium(snapshot, medium, form, request.span, context)

        if found is None and path != PIXEL_DATA:
            check_acceptable(accepted)
        answer = await current(found, attempt)
        if answer is None:
            raise NotFound(NO_INSTANCE)
        return answer

    async def bulk_data(self, _request: None, accept: Accept, context: Context) -> Response:
        """All bulk values of a study, series or instance (BULK-3)."""
        return await self._all(accept, context, pixels_only=False)

    async def pixel_data(self, _request: None, accept: Accept, context: Context) -> Response:
        """The pixel data of a study, series or instance (BULK-4)."""
        return await self._all(accept, context, pixels_only=True)

    async def _all(self, accept: Accept, context: Context, *, pixels_only: bool) -> Response:
        accepted = set_choices(accept.types(), pixels_only=pixels_only)
        archive, scope = (
            self.backend.archive(context.partition, original=context.original, within=context.confinement),
            context.scope,
        )
        snapshots = await archive.snapshots(scope)
        if not snapshots:
            raise NotFound("The requested study, series or instance does not exist.")
        with_pixels = {each.syntax for each in snapshots if _is_negotiated(each)}

        async def check(choice: TransferSyntaxChoice) -> None:
            await _check(archive, scope, choice)

        choice = accepted[0]
        if with_pixels:
            choice, _ = await settle_pixels(accepted, with_pixels, check)
        versions = [snapshot.instance.version for snapshot in snapshots]
        syntax = choice.transfer_syntaxes[0]
        tag = f'W/"multipart-{max(versions)}-{len(versions)}-{choice.media_type}-{syntax}"'
        if context.if_none_match.has(tag):
            return response.not_modified(tag)
        parts = _parts(archive, scope, choice, context.urls, pixels_only=pixels_only)
        first = await anext(parts, None)
        if first is None:
            raise NotFound("The resource has no pixel data." if pixels_only else "The resource has no bulk data.")
        return response.several_parts(first.encoding.media_type, resumed(first, parts), tag)


async def send_medium(
    snapshot: Snapshot, medium: Medium, form: ValueForm, span: RangeRequest, context: Context
) -> Response:
    """The value of `medium` in one form, or a range of it. Raises NotFound, NotAcceptable, BlobNotFound."""
    own = form.media_type if form.media_type != OCTET_STREAM else ""
    tag = f'{'W/"multipart' if form.multipart else '"single'}-{snapshot.instance.version}{f"-{own}" if own else ""}"'
    if context.if_none_match.has(tag):
        return response.not_modified(tag)
    value = await find_value(snapshot, medium.path)
    location = context.urls.bulk_data(snapshot.identifier, medium.path)
    if medium.transfer_syntax_uid is not None:
        encoding = Encoding(form.media_type, medium.transfer_syntax_uid)
    else:
        encoding = Encoding(own, "") if own else OCTETS
    size = value.size if medium.length is None or not own else min(medium.length, value.size)
    answer = await _send(value, size, encoding, span, (tag, location), multipart=form.multipart)
    if own and not medium.shown:
        answer = response.with_headers(answer, ("Content-Disposition", "attachment"))
    return answer


async def _send(
    value: LocatedValue,
    size: int,
    encoding: Encoding,
    span: RangeRequest,
    names: tuple[str, str],
    *,
    multipart: bool,
) -> Response:
    """`size` bytes of a value as the whole body, or the range of them that is asked for; or as the only part.

    `names`: the ETag and the URL. Raises RangeUnsatisfiable, BlobNotFound.
    """
    tag, location = names
    if multipart:
        part = Part(encoding, location, await value.read(0, size))
        return response.several_parts(encoding.media_type, these([part]), tag)
    found = span.of(size, tag)
    start, end = found or (0, size)
    whole = response.single_part(encoding, end - start, await value.read(start, end), tag)
    return response.in_ranges(response.with_headers(whole, ("Content-Location", location)), found, size)


async def _pixels(
    snapshot: Snapshot, accepted: Sequence[TransferSyntaxChoice], span: RangeRequest, context: Context
) -> Response:
    """The bulk value (7FE0,0010), but of a video.

    Raises NotFound, NotAcceptable, InvalidRequest (FRM-4), BlobNotFound.
    """
    attributes = await snapshot.attributes()
    if not names_value(attributes, PIXEL_DATA):
        raise NotFound(_NO_PIXELS)
    stored, count = snapshot.syntax, frame_count(snapshot, attributes)
    if stored not in NATIVE and count > 1:
        accepted = [each for each in accepted if each.multipart or each.target == EXPLICIT_LITTLE_ENDIAN]
        if not accepted:
            raise several_frames()

    async def check(choice: TransferSyntaxChoice) -> None:
        check_pixels(snapshot, attributes, choice)

    choice, encodings = await settle_pixels(accepted, [stored], check)
    tag = representation_tag(snapshot, choice, encodings[stored], changed=choice.encoding(stored) is None)
    if context.if_none_match.has(tag):
        return response.not_modified(tag)
    location = context.urls.bulk_data(snapshot.identifier, PIXEL_DATA)
    if is_native(snapshot, choice):
        value = await native_value(snapshot)
        return await _send(value, value.size, OCTETS, span, (tag, location), multipart=choice.multipart)
    if choice.multipart:
        parts = await pixel_parts(snapshot, choice, context.urls)
        return response.several_parts(encodings[stored].media_type, parts, tag)
    located, frames = await all_frames_of(snapshot, choice)
    length = frames.length if count == 1 else None
    body = frames.first if count == 1 else joined(frames)
    whole = response.single_part(located.encoding, length, body, tag)
    return response.with_headers(whole, ("Content-Location", location))


# ------------------------------------------------------------------------------------------------------ several values


async def _check(archive: Archive, scope: ResourceIdentifier, choice: TransferSyntaxChoice) -> None:
    """Raises NotAcceptable where pixel data in `scope` cannot be converted for `choice`."""

    async def attempt(snapshot: Snapshot) -> None:
        attributes = await snapshot.attributes()
        if PIXEL_DATA in attributes:
            check_pixels(snapshot, attributes, choice)

    async with aclosing(archive.stream(scope)) as snapshots:
        async for snapshot in snapshots:
            if video_type(snapshot.syntax) is None and choice.encoding(snapshot.syntax) is None:
                await current(snapshot, attempt)


async def _parts(
    archive: Archive, scope: ResourceIdentifier, choice: TransferSyntaxChoice, urls: Urls, *, pixels_only: bool
) -> AsyncGenerator[Part]:
    async def attempt(snapshot: Snapshot) -> tuple[Part | None, AsyncGenerator[Part]]:
        parts = _parts_of(snapshot, choice, urls, pixels_only=pixels_only)
        return await anext(parts, None), parts

    async with aclosing(archive.stream(scope)) as snapshots:
        async for snapshot in snapshots:
            opened = await current(snapshot, attempt)
            if opened is None or opened[0] is None:
                continue
            try:
                async with aclosing(resumed(opened[0], opened[1])) as parts:
                    async for part in parts:
                        yield part
            except BlobNotFound:
                continue  # what is left of it is gone with it (WADO-29)


async def _parts_of(
    snapshot: Snapshot, choice: TransferSyntaxChoice, urls: Urls, *, pixels_only: bool
) -> AsyncGenerator[Part]:
    paths = bulk_paths(await snapshot.attributes())
    others = [] if pixels_only else [path for path in paths if path != PIXEL_DATA]
    pixels: AsyncGenerator[Part] | None = None
    if PIXEL_DATA in paths and must_be_decoded(snapshot, choice):
        # Decoding alone shows some damage, and no other value may have been sent by then (WADO-28).
        pixels = await pixel_parts(snapshot, choice, urls)
    for path, value in (await find_all_values(snapshot, others)).items():
        if value.size:
            yield Part(OCTETS, urls.bulk_data(snapshot.identifier, path), await value.read())
    if PIXEL_DATA in paths:
        async with aclosing(pixels or await pixel_parts(snapshot, choice, urls)) as parts:
            async for part in parts:
                yield part


def _is_negotiated(snapshot: Snapshot) -> bool:
    """Whether the pixel data of an instance, if it has any, decide about the choice: those of a video are octets."""
    instance = snapshot.instance
    known = instance.frames is not None or instance.frames_in_blob > 0
    return (known or snapshot.syntax not in NATIVE) and video_type(snapshot.syntax) is None
