"""Blob triggers with the Event Grid source: `/runtime/webhooks/blobs` takes the events, this runs the functions.

A blob is handled up to five times (host.json `extensions.blobs.poisonBlobThreshold`); then a message about it goes to
the queue `webjobs-blobtrigger-poison`.
"""

import asyncio
import base64
import json
import logging
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from devhost.azurite.storage_account import StorageAccount
from devhost.event_grid.blob_events import BLOB_CREATED, blob_of
from devhost.event_grid.topics import Event
from devhost.functions import Function
from devhost.settings import Unusable
from devhost.worker.channel import Value
from devhost.worker.invoker import FunctionFailed, Invoker

log = logging.getLogger("devhost.blobs")

POISON_QUEUE: Final = "webjobs-blobtrigger-poison"
_REST: Final = 1.0
"""Seconds after which a blob is looked at again that could not be read."""


class _Work(NamedTuple):
    blob: str
    etag: str
    values: dict[str, str]


def path_pattern(path: str) -> tuple[str, re.Pattern[str]]:
    """The container of a trigger's path, and a pattern for blob names with its parameters as groups.

    Raises Unusable.
    """
    container, _, blob = path.partition("/")
    if not container or "{" in container:
        raise Unusable(f"the path {path!r} of a blob trigger must begin with the name of a container")
    pattern = ""
    for literal, parameter in re.findall(r"([^{}]+)|\{(\w+)\}", blob or "{name}"):
        pattern += re.escape(literal) if literal else f"(?P<{parameter}>.*)"
    return container, re.compile(pattern, re.DOTALL)


class BlobTrigger:
    """Handles the new blobs of one function."""

    def __init__(
        self,
        function: Function,
        account: StorageAccount,
        path: str,
        invoker: Invoker,
        *,
        parallelism: int,
        tries: int,
        settled: Callable[[str, str, str], None] = lambda *_: None,
    ) -> None:
        """`settled` hears the function, the blob and its ETag when the blob has been handled or given up."""
        self.function = function
        self.account = account
        self.container, self._pattern = path_pattern(path)
        self._invoker = invoker
        self._parallelism = parallelism
        self._tries = tries
        self.settled = settled
        self._queue: asyncio.Queue[_Work] = asyncio.Queue()
        self._deferred = str(function.trigger.get("properties", {}).get("SupportsDeferredBinding", "")) == "True"

    def receive(self, event: Event) -> None:
        """Take an event of Event Grid; what is not about a new blob of the path is passed over."""
        if event.get("eventType") != BLOB_CREATED:
            return
        try:
            container, blob, etag = blob_of(event, self.account)
        except (KeyError, ValueError):
            return
        match = self._pattern.fullmatch(blob)
        if container != self.container or match is None:
            self.settled(self.function.name, blob, etag)
            return
        self._queue.put_nowait(_Work(blob, etag, match.groupdict()))

    async def run(self) -> None:
        """Handle blobs until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._parallelism):
                group.create_task(self._consume())

    async def _consume(self) -> None:
        while True:
            work = await self._queue.get()
            try:
                await self._handle(work)
            except Exception as error:  # noqa: BLE001 - storage is away; a blob is never forgotten
                log.warning("A blob of %s is handled again: %r", self.container, error)
                await asyncio.sleep(_REST)
                self._queue.put_nowait(work)

    async def _handle(self, work: _Work) -> None:
        for _ in range(self._tries):
            inputs = await self._inputs(work)
            if inputs is None:
                break
            try:
                await self._invoker.run(self.function, *inputs, reason="New blob detected(EventGrid)")
            except FunctionFailed:
                continue
            break
        else:
            await self._poison(work)
        self.settled(self.function.name, work.blob, work.etag)

    async def _inputs(self, work: _Work) -> tuple[dict[str, Value], dict[str, Value]] | None:
        """The binding data of the function; None when this version of the blob is gone."""
        from obstore.exceptions import NotFoundError

        store = self.account.container(self.container)
        try:
            found = await store.get_async(work.blob, options={"head": True} if self._deferred else None)
        except (NotFoundError, FileNotFoundError):
            return None
        etag = str(found.meta["e_tag"]).strip('"')
        if work.etag and etag != work.etag:
            return None
        metadata: dict[str, Value] = {
            "BlobTrigger": ("string", f"{self.container}/{work.blob}"),
            "Uri": ("string", f"{self.account.blob_endpoint}/{self.container}/{work.blob}"),
            "Properties": ("json", json.dumps(_properties(found, etag))),
            "Metadata": ("json", "{}"),
            **{name: ("string", value) for name, value in work.values.items()},
        }
        content: Value
        if self._deferred:
            reference = {
                "Connection": self.function.trigger.get("connection", ""),
                "ContainerName": self.container,
                "BlobName": work.blob,
            }
            content = (
                "model_binding_data",
                {
                    "version": "1.0",
                    "source": "AzureStorageBlobs",
                    "content_type": "application/json",
                    "content": reference,
                },
            )
        else:
            content = ("bytes", bytes(await found.bytes_async()))
        return {self.function.trigger["name"]: content}, metadata

    async def _poison(self, work: _Work) -> None:
        message = {
            "Type": "BlobTrigger",
            "FunctionId": f"Host.Functions.{self.function.name}",
            "BlobType": "BlockBlob",
            "ContainerName": self.container,
            "BlobName": work.blob,
            "ETag": f'"{work.etag}"',
        }
        log.error("Functions.%s failed %d times for a blob; see %s", self.function.name, self._tries, POISON_QUEUE)
        await self.account.send(POISON_QUEUE, base64.b64encode(json.dumps(message).encode()).decode())


def _properties(found: Any, etag: str) -> dict[str, object]:
    return {
        "ContentLength": found.meta["size"],
        "ETag": etag,
        "LastModified": found.meta["last_modified"].isoformat(),
        "ContentType": str(found.attributes.get("Content-Type", "application/octet-stream")),
        "BlobType": "BlockBlob",
    }
