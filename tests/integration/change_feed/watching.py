"""A reader of the feed and a webhook for events, which check what they see while others store."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from tests.builders.files import file
from tests.builders.images import new_uid

MULTIPART = 'multipart/related; type="application/dicom"; boundary=B'
TIMEOUT = ClientTimeout(total=60)


@dataclass
class Writers:
    """Clients that store and delete until they are told to stop; `stored` and `deleted` are what was acknowledged."""

    url: str
    number: int
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    stored: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    doubtful: int = 0
    """Requests without an answer, or with one that leaves open what was done."""

    async def run(self) -> None:
        """All of them, side by side."""
        async with ClientSession(timeout=TIMEOUT) as session:
            await asyncio.gather(*(self._write(session) for _ in range(self.number)))

    async def _write(self, session: ClientSession) -> None:
        while not self.stopped.is_set():
            study = new_uid()
            files = [file(study=study) for _ in range(3)]
            body = b"".join(b"--B\r\nContent-Type: application/dicom\r\n\r\n" + one.data + b"\r\n" for one in files)
            names = {one.identifier.sop_instance_uid for one in files}
            if await self._send(session, "POST", "studies", body + b"--B--\r\n") == 200:
                self.stored |= names
                if len(self.stored) % 4 == 0 and await self._send(session, "DELETE", f"studies/{study}") == 204:
                    self.deleted |= names

    async def _send(self, session: ClientSession, method: str, path: str, body: bytes | None = None) -> int:
        try:
            async with session.request(
                method, f"{self.url}/v2/{path}", data=body, headers={"Content-Type": MULTIPART} if body else {}
            ) as response:
                await response.read()
                self.doubtful += response.status >= 500
                return response.status
        except (ClientError, OSError, TimeoutError):
            self.doubtful += 1
            await asyncio.sleep(0.05)
            return 0


@dataclass
class Follower:
    """Follows the feed by sequence, and notes what must never be."""

    url: str
    seen: list[dict] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    async def run(self, stopped: asyncio.Event) -> None:
        """Poll without a pause."""
        async with ClientSession(timeout=TIMEOUT) as session:
            while not stopped.is_set():
                await self.poll(session)

    async def catch_up(self, writers: Writers | None = None) -> None:
        """Read until everything is there that was acknowledged, and then until nothing more comes.

        After kills a change may wait for the timer that looks after those whose worker has died.
        """
        async with ClientSession(timeout=TIMEOUT) as session:
            while await self.poll(session) != 0 or (writers and not self._has_all_of(writers)):
                pass

    async def poll(self, session: ClientSession) -> int | None:
        """Read the next page, and now and then one from before; how many entries were new, None without an answer."""
        after = self.seen[-1]["sequence"] if self.seen else 0
        entries = await self._page(session, after)
        if entries is None:
            return None
        for entry in entries:
            if entry["sequence"] != after + 1:
                self.faults.append(f"{entry['sequence']} follows {after}")
            after = entry["sequence"]
        self.seen += entries
        if len(self.seen) > 50:
            start = len(self.seen) - 50
            before = await self._page(session, start)
            for old, new in zip(self.seen[start:], before or [], strict=False):
                if {**old, "state": ""} != {**new, "state": ""}:
                    self.faults.append(f"entry {old['sequence']} has become another")
        return len(entries)

    async def _page(self, session: ClientSession, after: int) -> list[dict] | None:
        query = f"offset={after}&limit=100&includeMetadata=false"
        with contextlib.suppress(ClientError, OSError, TimeoutError):
            async with session.get(f"{self.url}/v1/changefeed?{query}") as response:
                if response.status == 200:
                    return await response.json()
        await asyncio.sleep(0.05)
        return None

    def _has_all_of(self, writers: Writers) -> bool:
        seen = {(entry["action"], entry["sopInstanceUid"]) for entry in self.seen}
        acknowledged = {("Create", uid) for uid in writers.stored} | {("Delete", uid) for uid in writers.deleted}
        return acknowledged <= seen

    def check(self, writers: Writers) -> None:
        """Fail unless the feed tells everything that was acknowledged, once and in order."""
        assert self.faults == []
        created = [entry["sopInstanceUid"] for entry in self.seen if entry["action"] == "Create"]
        deleted = [entry["sopInstanceUid"] for entry in self.seen if entry["action"] == "Delete"]
        assert len(set(created)) == len(created)
        assert len(set(deleted)) == len(deleted)
        assert writers.stored <= set(created)
        assert writers.deleted <= set(deleted)
        place = {uid: number for number, uid in enumerate(created)}
        assert all(uid in place for uid in deleted)
        assert all(before["timestamp"] <= after["timestamp"] for before, after in pairwise(self.seen)), (
            "timestamps go back"
        )
        if not writers.doubtful:
            assert set(created) == writers.stored
            assert set(deleted) == writers.deleted


class Webhook:
    """Takes events; every `refuse_every`-th delivery is refused after it was noted, so that it comes again."""

    def __init__(self, refuse_every: int = 0) -> None:
        self.events: list[dict] = []
        self.url = ""
        self._refuse_every = refuse_every
        self._deliveries = 0

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """One request of Event Grid, in either schema."""
        if request.method == "OPTIONS":
            return web.Response(headers={"WebHook-Allowed-Origin": request.headers["WebHook-Request-Origin"]})
        content = json.loads(await request.read())
        events = content if isinstance(content, list) else [content]
        if request.headers.get("aeg-event-type") == "SubscriptionValidation":
            return web.json_response({"validationResponse": events[0]["data"]["validationCode"]})
        self._deliveries += 1
        self.events += events
        refused = self._refuse_every and self._deliveries % self._refuse_every == 0
        return web.Response(status=503 if refused else 200)

    def sequences(self) -> set[int]:
        """Of the events that came."""
        return {event["data"]["sequenceNumber"] for event in self.events}

    async def wait_for(self, sequences: set[int], seconds: float = 60.0) -> None:
        """Until the events of all of them have come. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not sequences <= self.sequences():
                await asyncio.sleep(0.05)


@asynccontextmanager
async def webhook(folder: Path, **options: int) -> AsyncIterator[tuple[Webhook, list[str]]]:
    """A webhook that gets all DICOM events, and the options with which the devhost knows it."""
    hook = Webhook(**options)
    runner = web.ServerRunner(web.Server(hook.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hook.url = "http://{}:{}/events".format(*runner.addresses[0][:2])
    subscriptions = folder / "webhooks.json"
    kinds = [f"Microsoft.HealthcareApis.DicomImage{word}" for word in ("Created", "Updated", "Deleted")]
    subscriptions.write_text(json.dumps([{"name": "test", "endpoint": hook.url, "eventTypes": kinds}]))
    try:
        yield hook, ["--webhooks", str(subscriptions), "--event-retry-scale", "0.01"]
    finally:
        await runner.cleanup()
