"""A container in Azure Blob Storage or Azurite (storage §4).

obstore carries the data: it costs a third of the processor time of azure-storage-blob and does its work outside the
interpreter lock. azure-storage-blob does what obstore lacks or what is rare: blocks with a create-only commit, creation
times, listings, deletes.
"""

import asyncio
import io
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import AzureStore

from shared import telemetry
from shared.errors import DependencyRefused, Unavailable
from shared.storage.azure_blobs_sdk import SdkBlobStore
from shared.storage.blob_ranges import read_merged
from shared.storage.blob_upload import UPLOAD_ID, ComposedStagedUpload, check_metadata, new_upload_id
from shared.storage.connection import STORAGE_SCOPE, Credential, SharedKey
from shared.storage.ports import BlobExists, BlobNotFound, BlobPage, BlobProperties, BlobReader
from shared.storage.retry import DEFAULT_BACKOFF

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from obstore import GetOptions, GetResult
    from obstore.store import AzureCredential, ClientConfig, RetryConfig

_CHUNK_BYTES = 1024**2
_AT_ONE_GO = 8 * 1024**2
"""Bytes that are copied out of obstore at once, which holds up the event loop for some milliseconds."""
_RUNTIME_THREADS = ("TOKIO_WORKER_THREADS", "1")
"""The environment variable of obstore's runtime, read when it first does something, and how many threads do its work.
With one for each core they wake each other for every piece of a body: a sixth of the processor time of a series.
"""
_PUT_SECONDS = 60
_FAILURES = (BaseError, OSError, ValueError)
"""The exceptions of obstore: its own errors, FileNotFoundError, and ValueError for ranges outside the blob."""


@dataclass(frozen=True, slots=True)
class _Reader:
    length: int
    etag: str
    result: "GetResult | None"

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes, about a MiB at a time."""
        if self.result is None:
            return
        left = self.length
        try:
            async for chunk in self.result.stream(min_chunk_size=_CHUNK_BYTES):
                left -= len(chunk)
                telemetry.count_storage(requests=0, received=len(chunk))
                yield bytes(chunk)
        except _FAILURES as error:
            raise _failure(error) from None
        if left:
            raise Unavailable("Blob Storage sent another length than it announced")


class AzureBlobStore:
    """A BlobStore over one container. `requests` counts requests, without those that obstore repeats.

    `created` in what a write returns is this process's time; `properties` and `list` give the service's.
    """

    def __init__(self, endpoint: str, container: str, credential: Credential) -> None:
        self._sdk = SdkBlobStore(endpoint, container, credential)
        self._requests = 0
        self._store = _obstore(endpoint, container, credential)

    @property
    def requests(self) -> int:
        """Calls made so far."""
        return self._requests + self._sdk.requests

    # -------------------------------------------------------------------------------------------------- BlobStore

    @property
    def copies_ranges(self) -> bool:
        """Whether the store copies ranges by itself, as far as is known."""
        return self._sdk.copies_ranges

    def upload(self, name: str) -> ComposedStagedUpload:
        """Start writing a new blob."""
        return ComposedStagedUpload(self, name)

    async def put(self, name: str, data: bytes, metadata: Mapping[str, str]) -> BlobProperties:
        """Write a small blob, create-only. Raises BlobExists."""
        check_metadata(metadata)
        return await self.write_blob(name, data, {**metadata, UPLOAD_ID: new_upload_id()})

    async def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """The bytes of a range; shorter when the blob ends. Raises BlobNotFound."""
        if not _is_plain(name):
            return await self._sdk.read(name, offset, length)
        if length is not None and length > _AT_ONE_GO:
            reader = await self.open(name, offset, length)
            whole = io.BytesIO()  # which gives its bytes away, and is filled while others have their turn (STOW-46)
            async for chunk in reader.chunks():
                whole.write(chunk)
            return whole.getvalue()
        if length is not None and length > 0 and offset >= 0:
            self._count()
            try:
                data = bytes(await obstore.get_range_async(self._store, name, start=offset, length=length))
            except _FAILURES as error:
                return await self._beyond_end(name, offset, _failure(error))
            telemetry.count_storage(requests=0, received=len(data))
            return data
        result, _ = await self._get(name, offset, length)
        if result is None:
            return b""
        try:
            data = bytes(await result.bytes_async())
        except _FAILURES as error:
            raise _failure(error) from None
        telemetry.count_storage(requests=0, received=len(data))
        return data

    async def read_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Several (offset, length) ranges, fetched together. Raises BlobNotFound."""
        # obstore's own get_ranges panics on a range that begins behind the end.
        return await read_merged(lambda offset, length: self.read(name, offset, length), ranges)

    async def open(self, name: str, offset: int = 0, length: int | None = None) -> BlobReader:
        """Open a range for streaming. Raises BlobNotFound."""
        if not _is_plain(name):
            return await self._sdk.open(name, offset, length)
        result, etag = await self._get(name, offset, length)
        if result is None:
            return _Reader(0, etag, None)
        start, end = result.range
        return _Reader(end - start, etag, result)

    async def properties(self, name: str) -> BlobProperties:
        """Raises BlobNotFound."""
        return await self._sdk.properties(name)

    async def delete(self, name: str, *, etag: str = "") -> bool:
        """Remove a blob; False when there was none, or another version than `etag`."""
        return await self._sdk.delete(name, etag=etag)

    def list(self, prefix: str = "") -> AsyncIterator[BlobProperties]:
        """All blobs whose name starts with `prefix`, by name."""
        return self._sdk.list(prefix)

    async def page(self, marker: str = "", *, top: int = 1000) -> BlobPage:
        """At most `top` of all blobs, by name, in one request."""
        return await self._sdk.page(marker, top=top)

    async def remove_staged(self, name: str) -> bool:
        """Remove staged blocks of which no blob was made, or a blob of no bytes."""
        return await self._sdk.remove_staged(name)

    async def copy_to(self, container: str, name: str, *, etag: str, metadata: Mapping[str, str]) -> None:
        """Copy that version of a blob to the same name in another container. Raises BlobNotFound."""
        await self._sdk.copy_to(container, name, etag=etag, metadata=metadata)

    async def ensure_container(self, metadata: Mapping[str, str] | None = None) -> None:
        """Create the container if it is missing; it has `metadata` afterwards."""
        await self._sdk.ensure_container(metadata)

    async def ping(self) -> None:
        """Raise Unavailable or DependencyRefused unless the container answers."""
        await self._sdk.ping()

    async def close(self) -> None:
        """Close the connections. obstore closes its own when they are idle."""
        await self._sdk.close()

    # ------------------------------------------------------------------------------------------------ BlockWriter

    async def write_blob(self, name: str, data: bytes, metadata: Mapping[str, str]) -> BlobProperties:
        """Write a whole blob, create-only."""
        if not _is_plain(name):
            return await self._sdk.write_blob(name, data, metadata)
        attempt = 0
        while True:
            self._count(sent=len(data))
            try:
                async with asyncio.timeout(_PUT_SECONDS):
                    written = await obstore.put_async(
                        self._store, name, data, attributes=dict(metadata), mode="create", use_multipart=False
                    )
            except AlreadyExistsError:
                # By whom? The client may have repeated a request that had been served.
                exists = BlobExists("A blob of that name exists")
                return await self._sdk.own_blob(name, len(data), metadata, exists)
            except _FAILURES as error:
                raised = _failure(error)
                attempt += 1
                if attempt >= DEFAULT_BACKOFF.attempts or not isinstance(raised, Unavailable):
                    raise (Unavailable("No such container") if isinstance(raised, BlobNotFound) else raised) from None
                await asyncio.sleep(DEFAULT_BACKOFF.pause(attempt))
            else:
                shown = {key: value for key, value in metadata.items() if key != UPLOAD_ID}
                return BlobProperties(name, len(data), written["e_tag"] or "", datetime.now(UTC), shown)

    async def stage_block(self, name: str, block: str, data: bytes) -> None:
        """Send one block."""
        await self._sdk.stage_block(name, block, data)

    async def copy_block(self, name: str, block: str, source: str, span: tuple[int, int]) -> bool:
        """Let the store make a block of a range of another blob."""
        return await self._sdk.copy_block(name, block, source, span)

    async def commit_blocks(
        self, name: str, blocks: Sequence[str], length: int, metadata: Mapping[str, str]
    ) -> BlobProperties:
        """Make a blob of the staged blocks, create-only."""
        return await self._sdk.commit_blocks(name, blocks, length, metadata)

    # ----------------------------------------------------------------------------------------------------- inside

    def _count(self, sent: int = 0) -> None:
        self._requests += 1
        telemetry.count_storage(sent=sent)

    async def _get(self, name: str, offset: int, length: int | None) -> "tuple[GetResult | None, str]":
        """The result and the etag of a range; no result when nothing lies in the range."""
        if offset < 0 or (length is not None and length < 0):
            raise ValueError("A range starts at 0 or later and is not negative")
        if length == 0:
            return None, (await self.properties(name)).etag
        options: GetOptions = {}
        if length is not None:
            options["range"] = (offset, offset + length)
        elif offset:
            options["range"] = {"offset": offset}
        self._count()
        try:
            result = await obstore.get_async(self._store, name, options=options)
        except _FAILURES as error:
            await self._beyond_end(name, offset, _failure(error))
            return None, (await self.properties(name)).etag
        return result, result.meta["e_tag"] or ""

    async def _beyond_end(self, name: str, offset: int, error: Exception) -> bytes:
        """Nothing, if the range begins behind the end of the blob; else raise `error`."""
        if isinstance(error, Unavailable) and (await self.properties(name)).length <= offset:
            return b""
        raise error from None


def _obstore(endpoint: str, container: str, credential: Credential) -> AzureStore:
    os.environ.setdefault(*_RUNTIME_THREADS)
    parts = urlsplit(endpoint)
    client: ClientConfig = {
        "allow_http": parts.scheme == "http",
        "connect_timeout": "5s",
        "read_timeout": "30s",
        "timeout": "30m",  # the whole of a download, whose pace the reader sets; writes are bounded where they are made
        "pool_idle_timeout": "3s" if parts.scheme == "http" else "30s",  # an emulator closes idle connections after 5 s
        "user_agent": "serverless-dicom",
    }
    retry: RetryConfig = {
        "max_retries": DEFAULT_BACKOFF.attempts - 1,
        "retry_timeout": timedelta(seconds=30),
        "backoff": {
            "init_backoff": timedelta(seconds=DEFAULT_BACKOFF.first),
            "max_backoff": timedelta(seconds=DEFAULT_BACKOFF.longest),
            "base": 2,
        },
    }
    if isinstance(credential, SharedKey):
        return AzureStore(
            container,
            account_name=credential.account,
            access_key=credential.key,
            endpoint=endpoint,
            client_options=client,
            retry_config=retry,
        )
    return AzureStore(
        container,
        account_name=(parts.hostname or "").partition(".")[0],
        endpoint=endpoint,
        client_options=client,
        retry_config=retry,
        credential_provider=_Tokens(credential),
    )


class _Tokens:
    """Hands obstore the tokens of an azure-core credential; obstore asks again before they expire."""

    def __init__(self, credential: "AsyncTokenCredential") -> None:
        self._credential = credential

    async def __call__(self) -> "AzureCredential":
        token = await self._credential.get_token(STORAGE_SCOPE)
        return {"token": token.token, "expires_at": datetime.fromtimestamp(token.expires_on, UTC)}


def _is_plain(name: str) -> bool:
    """Whether obstore takes the name as it is: it refuses or changes empty, '.' and '..' segments and controls."""
    return name.isprintable() and all(part not in ("", ".", "..") for part in name.split("/"))


def _failure(error: Exception) -> Exception:
    """The meaning of an obstore exception. Its text holds the blob's name: it goes nowhere."""
    if isinstance(error, FileNotFoundError) and "ContainerNotFound" not in str(error):
        return BlobNotFound("No blob of that name")
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return DependencyRefused(f"Blob Storage refused the request ({type(error).__name__})")
    return Unavailable(f"Blob Storage did not serve the request ({type(error).__name__})")
