"""PS3.18 §10.5 Store of metadata and bulk data: instances come as data sets in JSON or XML, and their bulk values as
further parts (STOW-16, W-15). The service composes their files, which then go the way of all files.

A BulkDataURI only ever names a part of the request: nothing is fetched from anywhere.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Final

from shared.dicom.attributes import Attributes
from shared.dicom.elements import first_text
from shared.dicom.identifiers import trim_uid
from shared.dicom.media_types import DICOM, DICOM_JSON, DICOM_XML
from shared.dicom.part10.composer import CannotCompose, Piece, Reference, compose
from shared.dicomweb import xml_model
from shared.dicomweb.content_negotiation import MediaType, parse_content_type
from shared.dicomweb.json_input import read_data_sets
from shared.dicomweb.multipart import Event as PartEvent
from shared.dicomweb.multipart import PartData, PartEnd, PartHeaders
from shared.errors import InvalidRequest, TooLarge, UnsupportedMedia
from shared.ingest import parsing
from shared.ingest.store_batch import StoreBatch
from shared.ingest.store_outcome import StoreOutcome
from shared.memory_budget import Lease
from shared.store.bulk_spool import BulkSpool
from shared.store.parts import PartLimits, read_parts
from shared.store.pixel_parts import with_transfer_syntax
from shared.store.request import MetadataAndBulkData

_MAX_METADATA: Final = 32 * 1024**2
"""Bytes of metadata in one request: they are held, and need more in memory than in the request."""


async def receive_composed(content: MetadataAndBulkData, body: AsyncIterator[bytes], batch: StoreBatch) -> None:
    """Receive what `body` holds, and add the instances that it describes to `batch`, in the order of the metadata.

    Raises UnsupportedMedia, InvalidRequest, TooLarge, Unavailable.
    """
    with BulkSpool(batch.max_file_bytes) as spool:
        parts = _ComposedParts(content, spool)
        await read_parts(content.boundary, body, parts.take)
        lease = Lease(parsing.DOCUMENTS)
        try:
            for document in parts.documents:
                read = partial(_data_sets, content.media_type)
                for dataset in await parsing.read_document(read, document, lease):
                    await _add(dataset, document, spool, batch)
                lease.shrink()
        finally:
            lease.shrink()


def _data_sets(media_type: str, document: bytes) -> list[Attributes]:
    return [xml_model.loads(document)] if media_type == DICOM_XML else read_data_sets(document)


async def _add(dataset: Attributes, document: Sequence[bytes], spool: BulkSpool, batch: StoreBatch) -> None:
    """The values of a data set are let go when its file is composed: there the reader finds them once more."""
    try:
        pieces = await asyncio.to_thread(_composed, dataset, spool)
    except CannotCompose as error:
        uids = (first_text(dataset, "00080016"), first_text(dataset, "00080018"))
        text = str(error)
        batch.refuse(StoreOutcome(*uids, failure=error.reason, comments=(text,), explanation=text))
        return
    finally:
        await parsing.free_document(dataset, document)
    receiver = batch.receiver()
    async for chunk in _bytes(pieces, spool):
        await receiver.write(chunk)
    await batch.add(receiver)


def _composed(dataset: Attributes, spool: BulkSpool) -> list[Piece]:
    pieces = compose(with_transfer_syntax(dataset, spool), spool.find)
    spool.claim(piece for piece in pieces if isinstance(piece, Reference))
    return pieces


async def _bytes(pieces: list[Piece], spool: BulkSpool) -> AsyncIterator[bytes]:
    for piece in pieces:
        if isinstance(piece, Reference):
            async for chunk in spool.read(piece):
                yield chunk
        elif piece:
            yield piece


class _ComposedParts:
    """The parts of one request: metadata are held, bulk values spooled."""

    def __init__(self, content: MetadataAndBulkData, spool: BulkSpool) -> None:
        self.documents: list[list[bytes]] = []
        """Each as it arrived, in pieces."""
        self._media_type = content.media_type
        self._spool = spool
        self._limits = PartLimits()
        self._held = 0
        self._document: list[bytes] | None = None

    async def take(self, event: PartEvent) -> None:
        """Take the next event of the reader. Raises UnsupportedMedia, TooLarge, Unavailable."""
        match event:
            case PartHeaders():
                self._begin(event)
            case PartData() if self._document is not None:
                self._held += len(event.data)
                if self._held > _MAX_METADATA:
                    raise TooLarge(
                        f"The metadata of the request are larger than {_MAX_METADATA} bytes.", where="request body"
                    )
                self._document.append(event.data)
            case PartData():
                await self._spool.write(event.data)
            case PartEnd():
                self._end()

    def _begin(self, headers: PartHeaders) -> None:
        self._limits.begin(headers)
        first = self._limits.first
        value = headers.get("content-type")
        content_type = MediaType(self._media_type) if value is None and first else parse_content_type(value)
        media_type = content_type.type
        if media_type == self._media_type:
            self._document = []
            return
        if first or media_type in {DICOM, DICOM_JSON, DICOM_XML}:
            raise UnsupportedMedia(
                f"The metadata of this store must have the Content-Type {self._media_type}.",
                where="part of the request body, header Content-Type",
                remedy="Send the metadata first and name its media type in the Content-Type of its part.",
            )
        location = headers.get("content-location")
        if not location:
            raise InvalidRequest("A bulk value of the request has no Content-Location.", where="request body")
        self._spool.begin(location, media_type, trim_uid(content_type.get("transfer-syntax") or ""))

    def _end(self) -> None:
        if self._document is None:
            self._spool.end()
            return
        document, self._document = self._document, None
        if document or not self._limits.bare:  # W-5
            self.documents.append(document)
