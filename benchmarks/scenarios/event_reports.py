"""Event reports: what it costs to tell subscribers of a workitem, and how long it takes.

The second part runs in this process, over tables and connections in memory: it counts the requests to storage and to
the channel that one write costs, by how many are subscribed, and what of that remains when writes come fast.
"""

import asyncio
import json
import time
import uuid
from typing import Final

import aiohttp

from benchmarks.client import Client
from benchmarks.measure import Bench, Result
from benchmarks.service import LocalService
from shared.dicomweb.worklist_resources import NEW_WORKITEM
from shared.index_schema import keys
from shared.subscriptions.channel import user_of
from shared.subscriptions.dispatch import Dispatch
from shared.subscriptions.reports import GLOBAL_SUBSCRIPTION
from shared.subscriptions.store import Subscriptions
from shared.workitems.outbox import Outbox
from shared.workitems.rows import partition_key
from shared.workitems.store import Workitems
from shared.workitems.workitem import created, without_transaction_uid
from shared.worklist.subscribe.request import is_match
from tests.fakes.channel import MemoryChannel
from tests.fakes.tables import MemoryTableStore

_SECONDS: Final = 120
_WRITES: Final = 200


async def run(bench: Bench, client: Client, service: LocalService | None) -> None:
    """A workitem is created without and with a subscriber; with one, the time is that until its report is there."""
    count = bench.times(300)

    async def create(_number: int) -> str:
        uid = _uid()
        await client.send_data_set("POST", f"workitems?{uid}", NEW_WORKITEM.example, expect=201)
        return uid

    async def alone(number: int) -> None:
        await create(number)

    await bench.run("create a workitem that nobody is told of", alone, count)
    if service is not None:
        async with aiohttp.ClientSession() as session:
            path = f"{service.url}/v2/workitems/{GLOBAL_SUBSCRIPTION}/subscribers/BENCH"
            async with session.post(path) as answer:
                assert answer.status == 201
                url = answer.headers["Content-Location"]
            async with session.ws_connect(url) as socket:

                async def told(number: int) -> None:
                    uid = await create(number)
                    async with asyncio.timeout(_SECONDS):
                        while json.loads(await socket.receive_str())["00001000"]["Value"] != [uid]:
                            continue

                await bench.run("create one and get its report", told, count)
            await (await session.delete(path)).read()
    for subscribers in (0, 1, 10):
        for at_once in (1, 20):
            bench.results.append(await _costs(subscribers, at_once))


def _uid() -> str:
    return f"2.25.{uuid.uuid4().int}"


async def _costs(subscribers: int, at_once: int) -> Result:
    """What telling of writes costs, `at_once` of them at a time; for each of the writes."""
    tables, channel = MemoryTableStore(), MemoryChannel()
    workitems, subscriptions = Workitems(tables, time.time), Subscriptions(tables, time.time)
    dispatch = Dispatch(subscriptions, Outbox(tables), channel, is_match)
    for number in range(subscribers):
        await subscriptions.subscribe(keys.DEFAULT_NAMESPACE, f"AE{number}")
        channel.connected[user_of(keys.DEFAULT_NAMESPACE, f"AE{number}")].add("ticket")
    asked = sent = 0
    cpu = elapsed = 0.0
    for _ in range(_WRITES // at_once):
        written: set[str] = set()
        for _ in range(at_once):
            uid = _uid()
            written.add(partition_key(keys.DEFAULT_NAMESPACE, uid))
            attributes = without_transaction_uid(created(NEW_WORKITEM.example, uid, time.time()))
            await workitems.create(keys.DEFAULT_NAMESPACE, uid, attributes)
        tables.requests = channel.requests = 0
        begin, begun = time.perf_counter(), time.process_time()
        for partition in written:
            await dispatch.run(partition)
        elapsed, cpu = elapsed + time.perf_counter() - begin, cpu + time.process_time() - begun
        asked, sent = asked + tables.requests, sent + channel.requests
    assert all(len(found) == _WRITES for found in channel.sent.values())
    return Result.of(
        f"in memory: {subscribers} subscribers, {at_once} writes at once",
        [elapsed / _WRITES * 1000] * _WRITES,
        elapsed,
        cpu_rounds_ms=(cpu / _WRITES * 1000,),
        memory=None,
        entries=[{"storageRequests": asked, "storageBytesSent": 0, "storageBytesReceived": 0}],
        note=f"requests to the channel for each: {sent / _WRITES:.2f}",
    )
