"""A container through azure-storage-blob alone (storage §4).

AzureBlobStore uses it for what is rare or what obstore does not offer; it serves the whole port too, so that either
client can carry the data. The client is imported with the first request.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.core.pipeline import PipelineResponse

from shared.errors import DependencyRefused, Unavailable
from shared.storage.blob_ranges import read_merged
from shared.storage.blob_upload import (
    LARGE_BODY_BYTES,
    UPLOAD_ID,
    ComposedStagedUpload,
    check_metadata,
    new_upload_id,
    write_in_blocks,
)
from shared.storage.connection import STORAGE_SCOPE, Credential, SharedKey, count_answer, quiet_sdk_logs
from shared.storage.ports import BlobExists, BlobNotFound, BlobPage, BlobProperties
from shared.storage.retry import DEFAULT_BACKOFF

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient, ContainerClient, StorageStreamDownloader

_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 30
_DOWNLOAD_BYTES = 4 * 1024**2
_COPY_PAUSES = (0.1, 0.2, 0.5, *[1.0] * 60, *[5.0] * 240)
"""Seconds between looks at a copy that the service makes in its own time: within an account it is nearly always made
at once."""
_NOT_IMPLEMENTED = 501
_UNREADABLE_SOURCE = "CannotVerifyCopySource"
_READABLE_FOR = timedelta(minutes=15)
"""For which a signature lets the service read from a blob of its own; it is sent to nobody else."""
_CHANGED = 412
"""The blob has another ETag than the request names."""


@dataclass(frozen=True, slots=True)
class _Reader:
    length: int
    etag: str
    download: "StorageStreamDownloader[bytes] | None"

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes, a few MiB at a time."""
        if self.download is None:
            return
        try:
            async for chunk in self.download.chunks():
                yield chunk
        except AzureError as error:
            raise failure(error) from None


class SdkBlobStore:
    """A BlobStore over one container. `requests` counts requests that were answered."""

    def __init__(self, endpoint: str, container: str, credential: Credential) -> None:
        self.requests = 0
        self.copies_ranges = True
        self._endpoint = endpoint
        self._name = container
        self._credential = credential
        self._client: ContainerClient | None = None

    # -------------------------------------------------------------------------------------------------- BlobStore

    def upload(self, name: str) -> ComposedStagedUpload:
        """Start writing a new blob."""
        return ComposedStagedUpload(self, name)

    async def put(self, name: str, data: bytes, metadata: Mapping[str, str]) -> BlobProperties:
        """Write a small blob, create-only. Raises BlobExists."""
        check_metadata(metadata)
        return await self.write_blob(name, data, {**metadata, UPLOAD_ID: new_upload_id()})

    async def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """The bytes of a range; shorter when the blob ends. Raises BlobNotFound."""
        _, download = await self._download(name, offset, length)
        if download is None:
            return b""
        try:
            return bytes(await download.readall())
        except AzureError as error:
            raise failure(error) from None

    async def read_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Several (offset, length) ranges, fetched together. Raises BlobNotFound."""
        return await read_merged(lambda offset, length: self.read(name, offset, length), ranges)

    async def open(self, name: str, offset: int = 0, length: int | None = None) -> _Reader:
        """Open a range for streaming. Raises BlobNotFound."""
        etag, download = await self._download(name, offset, length)
        return _Reader(download.size if download else 0, etag, download)

    async def properties(self, name: str) -> BlobProperties:
        """Raises BlobNotFound."""
        return (await self.raw_properties(name))[0]

    async def delete(self, name: str, *, etag: str = "") -> bool:
        """Remove a blob; False when there was none, or another version than `etag`."""
        blob = self._blob(name)
        try:
            # An etag of None is not "no etag" to the SDK: it would pass it on to the transport.
            if etag:
                await blob.delete_blob(etag=etag, match_condition=MatchConditions.IfNotModified)
            else:
                await blob.delete_blob()
        except AzureError as error:
            raised = failure(error)
            if isinstance(raised, BlobNotFound) or getattr(error, "status_code", None) == _CHANGED:
                return False
            raise raised from None
        return True

    async def list(self, prefix: str = "") -> AsyncIterator[BlobProperties]:
        """All blobs whose name starts with `prefix`, by name."""
        try:
            async for blob in self._container().list_blobs(name_starts_with=prefix or None, include=["metadata"]):
                yield _properties(blob.name, blob.size, blob.etag, blob.creation_time, blob.metadata)[0]
        except AzureError as error:
            raise failure(error) from None

    async def page(self, marker: str = "", *, top: int = 1000) -> BlobPage:
        """At most `top` of all blobs, by name, in one request."""
        listing = self._container().list_blobs(include=["metadata", "uncommittedblobs"], results_per_page=top)
        pages = listing.by_page(continuation_token=marker or None)
        try:
            found = [blob async for blob in await anext(pages)]
        except StopAsyncIteration:
            return BlobPage((), "")
        except AzureError as error:
            raise failure(error) from None
        blobs = [
            _properties(blob.name, blob.size, blob.etag, blob.creation_time, blob.metadata)[0]
            for blob in found
            if blob.size
        ]
        empty = [blob.name for blob in found if not blob.size]
        return BlobPage(blobs, str(getattr(pages, "continuation_token", None) or ""), empty)

    async def remove_staged(self, name: str) -> bool:
        """Remove staged blocks of which no blob was made, or a blob of no bytes: one of no blocks displaces them."""
        try:
            empty = await self.commit_blocks(name, [], 0, {UPLOAD_ID: new_upload_id()})
        except BlobExists:  # left by somebody who did not come to remove it; or the upload was committed this moment
            empty = await self.properties(name)
        return not empty.length and await self.delete(name, etag=empty.etag)

    async def copy_to(self, container: str, name: str, *, etag: str, metadata: Mapping[str, str]) -> None:
        """Copy that version of a blob to the same name in another container. Raises BlobNotFound."""
        check_metadata(metadata)
        source = self._blob(name)
        async with self._sibling(container) as target:
            copy = target.get_blob_client(name)
            try:
                started = await copy.start_copy_from_url(
                    source.url,
                    metadata=dict(metadata),
                    source_etag=etag,
                    source_match_condition=MatchConditions.IfNotModified,
                )
                status = str(started["copy_status"])
                for pause in _COPY_PAUSES:
                    if status != "pending":
                        break
                    await asyncio.sleep(pause)
                    status = str((await copy.get_blob_properties()).copy.status)
            except AzureError as error:
                raised = failure(error)
                changed = getattr(error, "status_code", None) == _CHANGED
                raise (BlobNotFound("No such version of the blob") if changed else raised) from None
        if status != "success":
            raise Unavailable("Blob Storage did not complete a copy")

    async def ensure_container(self, metadata: Mapping[str, str] | None = None) -> None:
        """Create the container if it is missing; it has `metadata` afterwards."""
        container, wanted = self._container(), dict(metadata or {})
        try:
            try:
                await container.create_container(metadata=wanted)
            except ResourceExistsError as error:
                if getattr(error, "error_code", None) != "ContainerAlreadyExists":
                    raise
                if wanted and (await container.get_container_properties()).metadata != wanted:
                    await container.set_container_metadata(wanted)
        except AzureError as error:
            raise failure(error) from None

    async def ping(self) -> None:
        """Raise Unavailable or DependencyRefused unless the container answers."""
        try:
            await self._container().get_container_properties()
        except AzureError as error:
            raise failure(error) from None

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client:
            await client.close()

    # ------------------------------------------------------------------------------------------------ BlockWriter

    async def write_blob(self, name: str, data: bytes, metadata: Mapping[str, str]) -> BlobProperties:
        """Write a whole blob, create-only."""
        if len(data) > LARGE_BODY_BYTES:
            return await write_in_blocks(self, name, data, metadata)
        try:
            written = await self._blob(name).upload_blob(
                data, length=len(data), overwrite=False, metadata=dict(metadata)
            )
        except AzureError as error:
            return await self.own_blob(name, len(data), metadata, failure(error))
        return _properties(name, len(data), written["etag"], written["last_modified"], metadata)[0]

    async def stage_block(self, name: str, block: str, data: bytes) -> None:
        """Send one block."""
        try:
            await self._blob(name).stage_block(block, BytesIO(data), length=len(data))
        except AzureError as error:
            raise failure(error) from None

    async def copy_block(self, name: str, block: str, source: str, span: tuple[int, int]) -> bool:
        """Let the store make a block of a range of another blob; False if it does not do that."""
        offset, length = span
        url, authorization = await self._readable(source)
        try:
            await self._blob(name).stage_block_from_url(
                block, url, source_offset=offset, source_length=length, source_authorization=authorization
            )
        except HttpResponseError as error:
            if error.status_code == _NOT_IMPLEMENTED:
                self.copies_ranges = False
            # A firewall may keep the service from reading from itself: then the bytes come through this process.
            if error.status_code == _NOT_IMPLEMENTED or str(getattr(error, "error_code", "")) == _UNREADABLE_SOURCE:
                return False
            raise failure(error) from None
        except AzureError as error:
            raise failure(error) from None
        return True

    async def commit_blocks(
        self, name: str, blocks: Sequence[str], length: int, metadata: Mapping[str, str]
    ) -> BlobProperties:
        """Make a blob of the staged blocks, create-only."""
        from azure.storage.blob import BlobBlock

        try:
            written = await self._blob(name).commit_block_list(
                [BlobBlock(block) for block in blocks],
                metadata=dict(metadata),
                match_condition=MatchConditions.IfMissing,
            )
        except AzureError as error:
            return await self.own_blob(name, length, metadata, failure(error))
        etag, created = cast("str", written["etag"]), cast("datetime", written["last_modified"])
        return _properties(name, length, etag, created, metadata)[0]

    # ------------------------------------------------------------------------------------- shared with AzureBlobStore

    async def raw_properties(self, name: str) -> tuple[BlobProperties, str]:
        """The properties and the id of the upload that wrote the blob ('' if another program did)."""
        try:
            found = await self._blob(name).get_blob_properties()
        except AzureError as error:
            raise failure(error) from None
        return _properties(name, found.size, found.etag, found.creation_time, found.metadata)

    async def own_blob(self, name: str, length: int, metadata: Mapping[str, str], error: Exception) -> BlobProperties:
        """After a write that failed: the blob if this upload has written it after all, else raise what happened."""
        if isinstance(error, DependencyRefused):
            raise error from None
        try:
            properties, upload_id = await self.raw_properties(name)
        except BlobNotFound:
            raise (Unavailable("The blob was not written") if isinstance(error, BlobExists) else error) from None
        if upload_id == metadata[UPLOAD_ID] and properties.length == length:
            return properties
        raise BlobExists("A blob of that name exists") from None

    # ----------------------------------------------------------------------------------------------------- inside

    def _container(self) -> "ContainerClient":
        if self._client is None:
            self._client = self._sibling(self._name)
        return self._client

    def _sibling(self, container: str) -> "ContainerClient":
        """A client for a container of the account."""
        from azure.storage.blob.aio import ContainerClient, LinearRetry

        quiet_sdk_logs()
        credential = self._credential
        return ContainerClient(
            self._endpoint,
            container,
            credential={"account_name": credential.account, "account_key": credential.key}
            if isinstance(credential, SharedKey)
            else credential,
            # Pauses of up to 2 s; the client's default begins at 15.
            retry_policy=LinearRetry(backoff=1, random_jitter_range=1, retry_total=DEFAULT_BACKOFF.attempts - 1),
            connection_timeout=_CONNECT_SECONDS,
            read_timeout=_ANSWER_SECONDS,
            use_env_settings=False,
            raw_response_hook=self._count,
            max_single_get_size=_DOWNLOAD_BYTES,
            max_chunk_get_size=_DOWNLOAD_BYTES,
        )

    def _count(self, answer: PipelineResponse[Any, Any]) -> None:
        self.requests += 1
        count_answer(answer)

    async def _readable(self, name: str) -> tuple[str, str | None]:
        """The URL from which the service itself may read a blob, and what proves that it may."""
        url = self._blob(name).url
        if not isinstance(self._credential, SharedKey):
            token = await self._credential.get_token(STORAGE_SCOPE)
            return url, f"Bearer {token.token}"
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas

        signature = generate_blob_sas(
            self._credential.account,
            self._name,
            name,
            account_key=self._credential.key,
            permission=BlobSasPermissions(read=True),
            expiry=datetime.now(UTC) + _READABLE_FOR,
        )
        return f"{url}?{signature}", None

    def _blob(self, name: str) -> "BlobClient":
        return self._container().get_blob_client(name)

    async def _download(
        self, name: str, offset: int, length: int | None
    ) -> tuple[str, "StorageStreamDownloader[bytes] | None"]:
        """The etag and the download of a range; no download when nothing lies in the range."""
        if offset < 0 or (length is not None and length < 0):
            raise ValueError("A range starts at 0 or later and is not negative")
        if length == 0:
            return (await self.properties(name)).etag, None
        whole = offset == 0 and length is None
        try:
            download = await self._blob(name).download_blob(offset=None if whole else offset, length=length)
        except AzureError as error:
            if isinstance(error, HttpResponseError) and error.status_code == 416:
                return (await self.properties(name)).etag, None
            raise failure(error) from None
        return download.properties.etag, download


def _properties(
    name: str, length: int, etag: str, created: datetime | None, metadata: Mapping[str, str] | None
) -> tuple[BlobProperties, str]:
    shown = dict(metadata or {})
    upload_id = shown.pop(UPLOAD_ID, "")
    quoted = etag if etag.startswith('"') else f'"{etag}"'  # listings give it without quotes
    return BlobProperties(name, length, quoted, created or datetime.now(UTC), shown), upload_id


def failure(error: AzureError) -> Exception:
    """The meaning of an SDK exception. Texts hold the service's code, never a name."""
    code = str(getattr(error, "error_code", None) or "")
    code = code if code.isalnum() else type(error).__name__
    status = getattr(error, "status_code", None)
    if status == 404 and not code.startswith("Container"):
        return BlobNotFound("No blob of that name")
    if status in (409, 412) and code in ("BlobAlreadyExists", "ConditionNotMet", "UploadConditionNotMet"):
        return BlobExists("A blob of that name exists")
    if status in (401, 403):
        return DependencyRefused(f"Blob Storage refused the request ({status} {code})")
    return Unavailable(f"Blob Storage did not serve the request ({status or 'no answer'} {code})")
