"""The transactions of studies, series and instances (PS3.18 §10.4.1.1)."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from shared import metrics
from shared.dicom.identifiers import InstanceIdentifier
from shared.dicomweb.content_negotiation import Accept
from shared.dicomweb.urls import Urls
from shared.http.messages import Response
from shared.http.transaction import Context
from shared.retrieve import response
from shared.retrieve.byte_ranges import RangeRequest
from shared.retrieve.instances.transaction import (
    Agreement,
    OpenedFile,
    agree,
    open_instance,
    retrieve_instances,
)
from shared.retrieve.instances.zip_answer import ZipNames, ZipTransaction
from shared.retrieve.instances.zip_request import Asked, zip_choices
from shared.retrieve.negotiation import RetrievedResource, TransferSyntaxChoice, choices, nothing_found
from shared.retrieve.response import Part, representation_tag
from shared.retrieve.snapshot import Backend, Snapshot, current, find_instance


@dataclass(frozen=True, slots=True)
class InstanceTransactions:
    """Retrieve Study, Retrieve Series and Retrieve Instance."""

    backend: Backend
    zip_names: ZipNames = "attributes"

    async def several(self, asked: Asked[None], accept: Accept, context: Context) -> Response:
        """All instances of a study or series."""
        if wanted := zip_choices(accept):
            return await self._zip(asked, wanted, context)
        asked.check_no_archive()
        accepted = choices(RetrievedResource.INSTANCES, accept.types())
        found = await retrieve_instances(
            self.backend.archive(context.partition, original=context.original, within=context.confinement),
            context.scope,
            accepted,
        )
        answer = response.several_parts(found.media_type, _parts(found.files, context.urls))
        return _warned(answer, found.kept, len(found.snapshots), context)

    async def one(self, asked: Asked[RangeRequest], accept: Accept, context: Context) -> Response:
        """One instance."""
        if wanted := zip_choices(accept):
            return await self._zip(asked, wanted, context)
        asked.check_no_archive()
        return await self.instance(
            context.instance, asked.other, choices(RetrievedResource.INSTANCE, accept.types()), context
        )

    async def _zip[P](self, asked: Asked[P], wanted: Sequence[TransferSyntaxChoice], context: Context) -> Response:
        answer, found = await ZipTransaction(self.backend, self.zip_names).archive(
            wanted, context, head_only=asked.head_only, dicomdir=asked.dicomdir
        )
        return _warned(answer, found.kept, len(found.snapshots), context)

    async def instance(
        self,
        identifier: InstanceIdentifier,
        span: RangeRequest,
        accepted: Sequence[TransferSyntaxChoice],
        context: Context,
    ) -> Response:
        """An instance in the best accepted representation. Raises NotFound, NotAcceptable, LostFile."""

        async def attempt(snapshot: Snapshot) -> Response:
            agreement = await agree(snapshot, accepted)
            return await _of(snapshot, agreement, span, context)

        found = await find_instance(
            self.backend.archive(context.partition, original=context.original, within=context.confinement),
            identifier,
            accepted,
        )
        answer = await current(found, attempt)
        if answer is None:
            raise nothing_found(accepted, "instance")
        return answer


async def _of(snapshot: Snapshot, agreement: Agreement, span: RangeRequest, context: Context) -> Response:
    """Raises NotAcceptable, RangeUnsatisfiable, BlobNotFound."""
    choice = agreement.choice
    changed = agreement.encoding(snapshot) is None
    tag = representation_tag(snapshot, choice, agreement.expected(snapshot), changed=changed)
    if context.if_none_match.has(tag):
        return response.not_modified(tag)
    part: tuple[int, int] | None = None
    hides = await snapshot.substitution() is not None
    if not (changed or hides or choice.multipart):
        part = span.of(snapshot.length, tag)
    opened = await open_instance(snapshot, agreement, *(part or ()))
    tag = representation_tag(snapshot, choice, opened.encoding, changed=opened.converted)
    if choice.multipart:
        answer = response.one_part(_part(opened, context.urls), tag)
    else:
        metrics.add(metrics.INSTANCES_RETRIEVED, transcoded=opened.converted)
        answer = response.single_part(opened.encoding, opened.length, opened.content(), tag)
        answer = response.in_ranges(answer, part, None if opened.converted or hides else snapshot.length)
    kept = len(agreement.as_stored) or int(changed and not opened.converted)
    return _warned(answer, kept, 1, context)


def _warned(answer: Response, kept: int, count: int, context: Context) -> Response:
    """With a warning of what is not in the default transfer syntax (WADO-34)."""
    if not kept:
        return answer
    text = f"{kept} of {count} instances are sent in their stored transfer syntax."
    return response.with_headers(answer, context.warning(text))


async def _parts(files: AsyncGenerator[OpenedFile], urls: Urls) -> AsyncGenerator[Part]:
    async with aclosing(files):
        async for opened in files:
            yield _part(opened, urls)


def _part(opened: OpenedFile, urls: Urls) -> Part:
    metrics.add(metrics.INSTANCES_RETRIEVED, transcoded=opened.converted)
    return Part(opened.encoding, urls.instance(opened.snapshot.identifier), opened.content())
