"""A container of another account, through azure-storage-blob (azure-apis §7.2).

The service writes there and never reads. Redirects are not followed and no proxy of the environment is asked: a request
goes to the host that was checked, or nowhere.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Final

from azure.core.credentials import AzureSasCredential
from azure.core.exceptions import AzureError

from shared.errors import Unavailable
from shared.storage.blob_upload import LARGE_BODY_BYTES, StagedUpload, write_in_blocks
from shared.storage.connection import Credential, SharedKey, count_answer, quiet_sdk_logs
from shared.storage.ports import BlobProperties, ContainerRefused
from shared.storage.retry import DEFAULT_BACKOFF

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient, ContainerClient

_CONNECT_SECONDS: Final = 5
_ANSWER_SECONDS: Final = 30
_COPY_SECONDS: Final = 180
"""The service answers a copy when it is made."""
_MOST_APPENDED: Final = 4 * 1024**2
"""Bytes of one block of a blob that grows."""
_BUSY: Final = frozenset({408, 429})


class AzureForeignContainer:
    """A ForeignContainer. Belongs to the event loop on which it is first used."""

    def __init__(self, url: str, credential: Credential | AzureSasCredential | None) -> None:
        """`url`: of the container, without query."""
        self._url = url
        self._credential = credential
        self._client: ContainerClient | None = None

    # ------------------------------------------------------------------------------------------ ForeignContainer

    async def create_log(self, name: str) -> None:
        """Make an empty append blob."""
        try:
            await self._blob(name).create_append_blob()
        except AzureError as error:
            raise _failure(error) from None

    async def append(self, name: str, data: bytes) -> None:
        """Append to it."""
        for start in range(0, len(data), _MOST_APPENDED):
            piece = data[start : start + _MOST_APPENDED]
            try:
                await self._blob(name).append_block(BytesIO(piece), length=len(piece))
            except AzureError as error:
                raise _failure(error) from None

    async def copy(self, name: str, source_url: str) -> bool:
        """Let the service copy a blob at once (Copy Blob From URL); False where it refuses, for whatever reason.

        It may not reach the source, or not offer the request. If it is the destination that refuses, writing the blob
        will tell. Metadata are given, so that those of the source stay where they are.
        """
        try:
            copied = await self._blob(name).start_copy_from_url(
                source_url, metadata={"content": "dicom"}, requires_sync=True, read_timeout=_COPY_SECONDS
            )
        except AzureError as error:
            failure = _failure(error)
            if isinstance(failure, ContainerRefused):
                return False
            raise failure from None
        return str(copied["copy_status"]) == "success"

    async def write(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Write a block blob."""
        upload = StagedUpload(self, name)
        try:
            async for chunk in chunks:
                await upload.write(chunk)
            await upload.commit({})
        finally:
            await upload.abort()

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client:
            await client.close()

    # ------------------------------------------------------------------------------------------------ BlockWriter

    async def write_blob(self, name: str, data: bytes, metadata: Mapping[str, str]) -> BlobProperties:
        """Write a whole blob."""
        if len(data) > LARGE_BODY_BYTES:
            return await write_in_blocks(self, name, data, metadata)
        try:
            await self._blob(name).upload_blob(data, length=len(data), overwrite=True)
        except AzureError as error:
            raise _failure(error) from None
        return _written(name, len(data))

    async def stage_block(self, name: str, block: str, data: bytes) -> None:
        """Send one block."""
        try:
            await self._blob(name).stage_block(block, BytesIO(data), length=len(data))
        except AzureError as error:
            raise _failure(error) from None

    async def commit_blocks(
        self,
        name: str,
        blocks: Sequence[str],
        length: int,
        metadata: Mapping[str, str],  # noqa: ARG002 - the port's: an upload id serves blobs that must not be overwritten
    ) -> BlobProperties:
        """Make a blob of the staged blocks."""
        from azure.storage.blob import BlobBlock

        try:
            await self._blob(name).commit_block_list([BlobBlock(block) for block in blocks])
        except AzureError as error:
            raise _failure(error) from None
        return _written(name, length)

    # ----------------------------------------------------------------------------------------------------- inside

    def _blob(self, name: str) -> "BlobClient":
        if self._client is None:
            from azure.storage.blob.aio import ContainerClient, LinearRetry

            quiet_sdk_logs()
            credential = self._credential
            self._client = ContainerClient.from_container_url(
                self._url,
                credential={"account_name": credential.account, "account_key": credential.key}
                if isinstance(credential, SharedKey)
                else credential,
                retry_policy=LinearRetry(backoff=1, random_jitter_range=1, retry_total=DEFAULT_BACKOFF.attempts - 1),
                connection_timeout=_CONNECT_SECONDS,
                read_timeout=_ANSWER_SECONDS,
                use_env_settings=False,
                permit_redirects=False,
                raw_response_hook=count_answer,
            )
        return self._client.get_blob_client(name)


def _written(name: str, length: int) -> BlobProperties:
    """The properties of a blob that was uploaded; nobody asks for more of a foreign one."""
    return BlobProperties(name, length, "", datetime.now(UTC), {})


def _failure(error: AzureError) -> Exception:
    """The meaning of an SDK exception. Texts hold the service's status and code, never a name or a signature."""
    status = getattr(error, "status_code", None)
    code = str(getattr(error, "error_code", None) or "")
    code = code if code.isalnum() else type(error).__name__
    if isinstance(status, int) and 300 <= status < 500 and status not in _BUSY:
        return ContainerRefused(f"{status} {code}")
    return Unavailable(f"The container did not serve the request ({status or 'no answer'} {code})")
