"""BlobCreated events for an emulator that sends none: new blobs are noticed by listing.

Beyond a thousand blobs the price is bounded instead of the delay: after a listing the watcher rests fifty times as long
as the listing took, five minutes at most, so that it costs the emulator two percent of its time. What it has seen it
knows by a hash of name and ETag.

A host that dies must not lose an event, so each container has a mark in the storage of the host: every blob that was
last modified before the mark has been handled by its function, or given up. Blobs from then on are announced again
when the host starts.
"""

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, unquote

from devhost.azurite.storage_account import HOST_CONTAINER, StorageAccount
from devhost.event_grid.topics import Event

log = logging.getLogger("devhost.blobs")

BLOB_CREATED: Final = "Microsoft.Storage.BlobCreated"
_SHORTEST_REST: Final = 0.5
_LONGEST_REST: Final = 300.0
_REST_PER_LISTING: Final = 50.0
_PAGE: Final = 1000
_CLOCK_MARGIN: Final = timedelta(seconds=2)
"""Last-Modified has whole seconds, and a blob may appear behind the point that a listing has reached."""


def subject_of(container: str, blob: str) -> str:
    """The subject of a blob's events."""
    return f"/blobServices/default/containers/{container}/blobs/{blob}"


def blob_created(account: StorageAccount, container: str, blob: str, etag: str, length: int) -> Event:
    """The event that Azure would send for a new blob. `etag` without quotes, `length` in bytes."""
    return {
        "topic": f"/storageAccounts/{account.name}",
        "subject": subject_of(container, blob),
        "eventType": BLOB_CREATED,
        "id": str(uuid.uuid4()),
        "data": {
            "api": "PutBlob",
            "requestId": str(uuid.uuid4()),
            "eTag": etag,
            "contentType": "application/octet-stream",
            "contentLength": length,
            "blobType": "BlockBlob",
            "url": f"{account.blob_endpoint}/{container}/{quote(blob)}",
            "sequencer": "0" * 32,
        },
        "dataVersion": "",
        "metadataVersion": "1",
        "eventTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }


def blob_of(event: Event, account: StorageAccount) -> tuple[str, str, str]:
    """Container, name and ETag of the blob that an event is about. Raises KeyError or ValueError when it is of none."""
    url, prefix = str(event["data"]["url"]), f"{account.blob_endpoint}/"
    container, slash, blob = url.removeprefix(prefix).partition("/")
    if not url.startswith(prefix) or not slash or not blob:
        raise ValueError("the event is about another account, or about no blob")
    return container, unquote(blob), str(event["data"].get("eTag", "")).strip('"')


def rest_after(listing: float, blobs: int) -> float:
    """Seconds to rest after a listing of so many blobs that took `listing` seconds."""
    if blobs <= _PAGE:
        return _SHORTEST_REST
    return min(max(_SHORTEST_REST, _REST_PER_LISTING * listing), _LONGEST_REST)


class BlobWatcher:
    """Announces the new blobs of one container and knows which of them are still to be handled."""

    def __init__(
        self,
        account: StorageAccount,
        container: str,
        functions: Iterable[str],
        publish: Callable[[list[Event]], None],
    ) -> None:
        """`functions` are those that handle each new blob; `publish` takes the events."""
        self._account = account
        self._container = container
        self._functions = tuple(functions)
        self._publish = publish
        self._seen: set[int] = set()
        self._open: dict[tuple[str, str, str], datetime] = {}
        self._mark = datetime.fromtimestamp(0, UTC)
        self._saved_mark = self._mark
        self._changed = False

    async def run(self) -> None:
        """Watch until cancelled."""
        self._mark = self._saved_mark = await self._read_mark()
        while True:
            began = time.monotonic()
            try:
                await self._scan()
            except Exception as error:  # noqa: BLE001 - the emulator may be away for a moment; watching goes on
                log.warning("Listing %s failed: %r", self._container, error)
            await asyncio.sleep(rest_after(time.monotonic() - began, len(self._seen)))

    def settled(self, function: str, blob: str, etag: str) -> None:
        """`function` has handled this version of `blob`, or never will."""
        if self._open.pop((function, blob, etag), None) is not None:
            self._changed = True

    async def _scan(self) -> None:
        from obstore.exceptions import BaseError

        began = datetime.now(UTC)
        present: set[int] = set()
        try:
            async for page in self._account.container(self._container).list(chunk_size=_PAGE):
                self._announce(page, present)
        except (BaseError, FileNotFoundError) as error:
            if "ContainerNotFound" not in str(error):
                raise
            present.clear()
        self._seen = present
        if self._changed:
            self._changed = False
            self._mark = min([began - _CLOCK_MARGIN, *self._open.values()])
            await self._write_mark()

    def _announce(self, page: Iterable[Any], present: set[int]) -> None:
        events: list[Event] = []
        for blob in page:
            name, etag = blob["path"], str(blob["e_tag"]).strip('"')
            key = hash((name, etag))
            present.add(key)
            if key in self._seen or blob["last_modified"] < self._mark:
                continue
            for function in self._functions:
                self._open[function, name, etag] = blob["last_modified"]
            events.append(blob_created(self._account, self._container, name, etag, blob["size"]))
        if events:
            self._publish(events)

    @property
    def _mark_blob(self) -> str:
        return f"devhost/blob-events/{self._account.name}/{self._container}.json"

    async def _read_mark(self) -> datetime:
        try:
            result = await self._account.container(HOST_CONTAINER).get_async(self._mark_blob)
            return datetime.fromisoformat(json.loads(bytes(await result.bytes_async()))["handledBefore"])
        except Exception:  # noqa: BLE001 - without a mark every blob is announced, which is always right
            return self._mark

    async def _write_mark(self) -> None:
        if self._mark == self._saved_mark:
            return
        content = json.dumps({"handledBefore": self._mark.isoformat()}).encode()
        await self._account.container(HOST_CONTAINER).put_async(self._mark_blob, content)
        self._saved_mark = self._mark
