"""The functions of WADO-RS (PS3.18 §10.4): studies, series, instances, frames and metadata, as stored."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import azure.functions as func

from shared.dicomweb import multipart
from shared.dicomweb.media_types import DICOM_JSON, DICOM_XML, MediaType, accept_of, negotiate_data_sets
from shared.dicomweb.urls import Urls
from shared.dicomweb.versions import ApiVersion
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.messages import Request, Response
from shared.http.transaction import NO_CHECKS, Checks, Context, Handler, of_handler
from shared.index.lookup import InstanceLookup
from shared.retrieve import response
from shared.retrieve.bulk_data import BulkData
from shared.retrieve.bulk_handlers import BulkHandlers
from shared.retrieve.frames import FrameBody, FrameRequest, LocatedFrames, RetrievedFrames, retrieve_frames
from shared.retrieve.instances import OpenedFile, Sources, find_instance, open_file, retrieve_instances, settle
from shared.retrieve.metadata import MetadataRules, retrieve_metadata
from shared.retrieve.rendered_handlers import (
    CHECK_RENDERED,
    CHECK_THUMBNAIL,
    RenderedHandlers,
    rendered_handlers,
    thumbnail_handlers,
)
from shared.retrieve.request import (
    Resource,
    allow_frames,
    check_frame_numbers,
    choices,
    frame_numbers,
    instance_of,
    nothing_found,
    resource_of,
    wants_original,
)
from shared.retrieve.response import Part, is_current, representation_tag
from shared.retrieve.unmapped_frames import UnmappedFrames
from shared.retrieve.wado_uri import CHECK_URI, UriHandler
from shared.retrieve.workshop import Workshop
from shared.storage.ports import BlobStore

_LEVELS: Final = ("study", "series", "instance")

type Handlers = Mapping[str, tuple[Handler, Checks]]
"""By name of the resource: what answers it, and its own checks."""


def blueprint(
    boundary: Boundary,
    lookup: InstanceLookup,
    blobs: BlobStore,
    workshop: Workshop | None = None,
    *,
    bulk_data_uris: bool,
    character_set_as_stored: bool,
) -> func.Blueprint:
    """The functions of this room. The two flags are the settings BULK_DATA_URIS and CHARACTER_SET_AS_STORED."""
    functions = func.Blueprint()
    found = handlers(
        lookup, blobs, workshop, bulk_data_uris=bulk_data_uris, character_set_as_stored=character_set_as_stored
    )
    for name, (handler, checks) in found.items():
        mount(functions, boundary, name, of_handler(handler, checks))
    return functions


def handlers(
    lookup: InstanceLookup,
    blobs: BlobStore,
    workshop: Workshop | None = None,
    *,
    bulk_data_uris: bool,
    character_set_as_stored: bool,
) -> Handlers:
    """The same without a host."""
    room = _Retrieve(
        Sources(lookup, blobs, workshop or Workshop()),
        UnmappedFrames(blobs),
        bulk_data_uris=bulk_data_uris,
        as_stored=character_set_as_stored,
    )
    metadata = (room.metadata, Checks(accept=_check_data_sets))
    bulk = BulkHandlers(room.sources, BulkData(room.sources), room.unmapped)
    rendered = rendered_handlers(room.sources, room.unmapped)
    thumbnails = thumbnail_handlers(room.sources, room.unmapped)
    return {
        "retrieve_study": (room.instances, NO_CHECKS),
        "retrieve_series": (room.instances, NO_CHECKS),
        "retrieve_instance": (room.instance, NO_CHECKS),
        "retrieve_frames": (room.frames, Checks(early=_check_frame_list)),
        "retrieve_study_metadata": metadata,
        "retrieve_series_metadata": metadata,
        "retrieve_instance_metadata": metadata,
        "retrieve_instance_bulk_value": (bulk.value, NO_CHECKS),
        **{f"retrieve_{level}_bulk_data": (bulk.bulk_data, NO_CHECKS) for level in _LEVELS},
        **{f"retrieve_{level}_pixel_data": (bulk.pixel_data, NO_CHECKS) for level in _LEVELS},
        "retrieve_by_query": (UriHandler(room.sources, bulk.bulk, room.instance, rendered).answer, CHECK_URI),
        **_of_pictures("rendered", rendered, CHECK_RENDERED),
        **_of_pictures("thumbnail", thumbnails, CHECK_THUMBNAIL),
    }


def _of_pictures(kind: str, pictures: RenderedHandlers, checks: Checks) -> Handlers:
    return {
        f"retrieve_study_{kind}": (pictures.several, checks),
        f"retrieve_series_{kind}": (pictures.several, checks),
        f"retrieve_instance_{kind}": (pictures.instance, checks),
        f"retrieve_frames_{kind}": (pictures.frames, checks),
    }


def _accepted(request: Request) -> list[MediaType]:
    return accept_of(request.headers.all("accept"), request.query)


def _check_frame_list(request: Request, _: ApiVersion) -> None:
    frame_numbers(request.route["frames"])


def _check_data_sets(request: Request, _: ApiVersion) -> None:
    negotiate_data_sets(_accepted(request))


@dataclass(frozen=True, slots=True)
class _Retrieve:
    """The handlers. What follows the boundary's checks is in the order of dicomweb §4.2."""

    sources: Sources
    unmapped: UnmappedFrames
    bulk_data_uris: bool
    as_stored: bool

    async def instances(self, request: Request, context: Context) -> Response:
        """Retrieve Study, Retrieve Series."""
        accepted = choices(Resource.INSTANCES, _accepted(request))
        found = await retrieve_instances(self.sources, context.partition, resource_of(request.route), accepted)
        return response.several_parts(found.media_type, _instance_parts(found.files, context.urls))

    async def instance(self, request: Request, context: Context) -> Response:
        """Retrieve Instance."""
        accepted = choices(Resource.INSTANCE, _accepted(request))
        identifier = instance_of(request.route)
        instance = await find_instance(self.sources, context.partition, identifier, accepted)
        stored = [instance.transfer_syntax_uid]
        choice, encodings = await settle(self.sources, context.partition, resource_of(request.route), accepted, stored)
        tag = representation_tag(instance, choice, encodings[instance.transfer_syntax_uid])
        if is_current(request.headers.all("if-none-match"), tag):
            return response.not_modified(tag)
        opened = await open_file(self.sources, context.partition, instance, choice)
        if opened is None:
            raise nothing_found(accepted, "instance")
        tag = representation_tag(opened.instance, choice, opened.encoding)
        if choice.multipart:
            parts = _instance_parts(_only(opened), context.urls)
            return response.several_parts(opened.encoding.media_type, parts, tag)
        return response.single_part(opened.encoding, opened.length, opened.content(), tag)

    async def frames(self, request: Request, context: Context) -> Response:
        """Retrieve Frames."""
        numbers = frame_numbers(request.route["frames"])
        check_frame_numbers(numbers)
        accepted = allow_frames(choices(Resource.FRAMES, _accepted(request)), len(numbers))
        wanted = FrameRequest(instance_of(request.route), numbers, accepted)
        held = request.headers.all("if-none-match")

        def tag_of(located: LocatedFrames) -> str:
            return representation_tag(located.instance, located.choice, located.encoding)

        located, frames = await retrieve_frames(
            self.sources, self.unmapped, context.partition, wanted, lambda located: is_current(held, tag_of(located))
        )
        tag = tag_of(located)
        if frames is None:
            return response.not_modified(tag)
        if not located.choice.multipart:
            return response.single_part(located.encoding, frames.length, frames.first, tag)
        parts = _frame_parts(wanted, located, frames, context.urls)
        return response.several_parts(located.encoding.media_type, parts, tag)

    async def metadata(self, request: Request, context: Context) -> Response:
        """Retrieve Metadata of a study, a series or an instance."""
        xml = negotiate_data_sets(_accepted(request)) == DICOM_XML
        rules = MetadataRules(
            bulk_data_uris=self.bulk_data_uris and context.version.emits_bulk_data_uri,
            character_set_as_stored=self.as_stored,
            urls=context.urls,
            boundary=multipart.new_boundary() if xml else "",
        )
        scope = resource_of(request.route)
        original = wants_original(request.headers.get("msdicom-request-original"))
        held = request.headers.all("if-none-match")
        found = await retrieve_metadata(
            self.sources,
            context.partition,
            scope,
            rules,
            lambda versions: is_current(held, response.resource_tag(scope, versions, original=original, xml=xml)),
        )
        tag = response.resource_tag(scope, found.versions, original=original, xml=xml)
        if found.body is None:
            return response.not_modified(tag, response.DATA_SET_CACHING)
        content_type = multipart.content_type(rules.boundary, DICOM_XML) if xml else DICOM_JSON
        return response.metadata(found.body, tag, content_type)


async def _only(opened: OpenedFile) -> AsyncGenerator[OpenedFile]:
    yield opened


async def _instance_parts(files: AsyncGenerator[OpenedFile], urls: Urls) -> AsyncGenerator[Part]:
    async with aclosing(files):
        async for opened in files:
            yield Part(opened.encoding, urls.instance(opened.instance.identifier), opened.content())


async def _frame_parts(
    wanted: FrameRequest, located: LocatedFrames, frames: RetrievedFrames, urls: Urls
) -> AsyncGenerator[Part]:
    def part(number: int, body: FrameBody) -> Part:
        return Part(located.encoding, urls.frame(located.instance.identifier, number), body)

    numbers = iter(wanted.numbers)
    async with aclosing(frames.rest):
        yield part(next(numbers), frames.first)
        async for body in frames.rest:
            yield part(next(numbers), body)
