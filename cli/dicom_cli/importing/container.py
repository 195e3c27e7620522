"""Sending files through the import container: uploads, and the results that the service puts into a queue of ours.

Each file carries the name of that queue, so the service says what became of it. Where no result comes, the containers
tell: a file that is in neither has been stored, one in the error container was refused.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

from azure.core.exceptions import AzureError, ClientAuthenticationError, ResourceExistsError, ResourceNotFoundError
from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob.aio import BlobServiceClient, ContainerClient
from azure.storage.queue import TextBase64DecodePolicy
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from dicom_cli.importing.folder import Fatal, LocalFile, Verdict

_PIECE: Final = 4 * 1024**2
_PAGE: Final = 32
_LONGEST_NAME: Final = 1024
_LOOK_SECONDS: Final = 20.0
"""Without a result for so long, the containers are asked."""


type Acknowledge = Callable[[], Awaitable[None]]
"""Says that a report has been taken note of."""


async def store_id_of(blobs: BlobServiceClient, container: str) -> str:
    """The identity of the store that takes in the files of `container`; empty where it does not say.

    Raises Fatal when the account cannot be used.
    """
    try:
        found = await blobs.get_container_client(container).get_container_properties()
    except ResourceNotFoundError:
        raise Fatal(f"There is no container {container}: is bulk import switched on?") from None
    except AzureError as error:
        raise Fatal(f"The storage account cannot be used: {_said(error)}") from None
    return str(found.metadata.get("storeid", ""))


class ContainerSender:
    """Uploads files and waits for what becomes of them. Made and closed on the running loop."""

    def __init__(
        self,
        blobs: BlobServiceClient,
        queues: QueueServiceClient,
        *,
        container: str,
        error_container: str,
        import_id: str,
        partition: str,
    ) -> None:
        self._services = (blobs, queues)
        self._files: ContainerClient = blobs.get_container_client(container)
        self._errors: ContainerClient = blobs.get_container_client(error_container)
        self._queue_name = f"import-results-{import_id}"
        self._queue: QueueClient = queues.get_queue_client(
            self._queue_name, message_decode_policy=TextBase64DecodePolicy()
        )
        self._prefix = f"{partition}/{import_id}/" if partition else f"{import_id}/"

    @staticmethod
    def clients(connection: str = "", *, account: str = "") -> tuple[BlobServiceClient, QueueServiceClient]:
        """The clients of an account: by connection string, or by its name or blob endpoint as whoever is signed in."""
        options: Mapping[str, Any] = {"max_single_put_size": _PIECE, "max_block_size": _PIECE}
        if connection:
            return (
                BlobServiceClient.from_connection_string(connection, **options),
                QueueServiceClient.from_connection_string(connection),
            )
        credential = DefaultAzureCredential()
        url = account if "://" in account else f"https://{account}.blob.core.windows.net"
        return (
            BlobServiceClient(url, credential=credential, **options),
            QueueServiceClient(url.replace(".blob.", ".queue.", 1), credential=credential),
        )

    async def open(self) -> None:
        """Make the queue of results. Raises Fatal when the account cannot be used."""
        try:
            await self._queue.create_queue()
        except ResourceExistsError:
            return
        except AzureError as error:
            raise Fatal(f"The storage account cannot be used: {_said(error)}") from None

    async def close(self, *, finished: bool) -> None:
        """Close the connections; when everything is `finished`, the queue is removed."""
        if finished:
            with contextlib.suppress(AzureError):  # an empty queue costs nothing
                await self._queue.delete_queue()
        for client in (self._queue, *self._services):
            await client.close()

    async def upload(self, file: LocalFile) -> Verdict | None:
        """Upload a file; a Verdict if that cannot be done. Raises Fatal."""
        name = self._prefix + file.name
        if len(name) > _LONGEST_NAME:
            return Verdict("refused", "its name is too long for a blob")
        try:
            with file.open() as source:
                await self._files.upload_blob(
                    name, source, length=file.length, overwrite=True, metadata={"results": self._queue_name}
                )
        except OSError as error:
            return Verdict("refused", f"the file cannot be read: {error.strerror}")
        except ClientAuthenticationError as error:
            raise Fatal(f"The storage account refuses the upload: {_said(error)}") from None
        except AzureError as error:
            return Verdict("refused", f"it could not be uploaded: {_said(error)}")
        return None

    async def results(self) -> list[tuple[str, Verdict, Acknowledge]]:
        """The reports since the last call: name, verdict, and the receipt that acknowledges the report."""
        found: list[tuple[str, Verdict, Acknowledge]] = []
        try:
            pages = self._queue.receive_messages(messages_per_page=_PAGE, visibility_timeout=60).by_page()
            messages = [message async for message in await anext(pages)]
        except (StopAsyncIteration, ResourceNotFoundError):
            return found
        except AzureError:
            return found  # it comes again
        for message in messages:

            async def acknowledge(message: Any = message) -> None:
                with contextlib.suppress(AzureError):  # the report comes again, and says the same
                    await self._queue.delete_message(message)

            try:
                record = json.loads(message.content)
                name, state = str(record["blobName"]), record["result"]
            except (ValueError, KeyError, TypeError):
                await acknowledge()
                continue
            reason = f"{record.get('error', '')} ({record.get('failureReason')})" if state == "refused" else ""
            verdict = Verdict(state, reason, str(record.get("added", "")))
            found.append((name.removeprefix(self._prefix), verdict, acknowledge))
        return found

    async def look(self) -> tuple[set[str], dict[str, str]]:
        """The files of this import that are still in the import container, and those in the error container with the
        reason. Raises AzureError.
        """
        waiting = {name async for name, _ in self._names(self._files)}
        refused = {name: metadata.get("importerror", "refused") async for name, metadata in self._names(self._errors)}
        return waiting, refused

    async def _names(self, container: ContainerClient) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
        async for blob in container.list_blobs(name_starts_with=self._prefix, include=["metadata"]):
            yield str(blob.name).removeprefix(self._prefix), dict(blob.metadata or {})


class Waiting:
    """The files that were uploaded and of which nothing is known yet."""

    def __init__(self, sender: ContainerSender, settle: Callable[[LocalFile, Verdict], None]) -> None:
        """`settle` is told what became of a file, once."""
        self._sender = sender
        self._settle = settle
        self._files: dict[str, LocalFile] = {}
        self._early: dict[str, Verdict] = {}
        self._quiet = 0.0

    def __len__(self) -> int:
        return len(self._files)

    def add(self, file: LocalFile) -> None:
        """A file has been uploaded."""
        early = self._early.pop(file.name, None)
        if early is not None:
            self._settle(file, early)
        else:
            self._files[file.name] = file

    async def step(self, pause: float = 0.5) -> bool:
        """Take what is known by now; False if that is nothing."""
        results = await self._sender.results()
        for name, verdict, _ in results:
            file = self._files.pop(name, None)
            if file is not None:
                self._settle(file, verdict)
            else:
                self._early[name] = verdict
        await asyncio.gather(*(acknowledge() for *_, acknowledge in results))
        if results:
            self._quiet = 0.0
            return True
        await asyncio.sleep(pause)
        self._quiet += pause
        if self._quiet < _LOOK_SECONDS or not self._files:
            return False
        self._quiet = 0.0
        return await self._look()

    async def _look(self) -> bool:
        known = dict(self._files)
        try:
            waiting, refused = await self._sender.look()
        except AzureError:
            return False
        settled = {name: file for name, file in known.items() if name not in waiting and name in self._files}
        for name, file in settled.items():
            del self._files[name]
            self._settle(file, Verdict("refused", refused[name]) if name in refused else Verdict("stored"))
        return bool(settled)


def _said(error: AzureError) -> str:
    return str(getattr(error, "error_code", None) or type(error).__name__)
