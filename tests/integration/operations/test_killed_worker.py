"""The worker of an operation is killed (SIGKILL); the resource shows how far it was, another one goes on from there."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest
import requests

from shared.operations.model import OperationActive, OperationType
from shared.operations.store import LEASE_SECONDS, Operations
from tests.integration.devhost.waiting import eventually
from tests.integration.operations.counting import STEPS, store

ROOT = Path(__file__).parents[3]


async def worker(connection_string, *, ahead=0.0):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.operations.counting",
        cwd=ROOT,
        env={**os.environ, "STORAGE": connection_string, "AHEAD": str(ahead)},
    )


@pytest.mark.spec("OP-1", "OP-3", "OP-8", "OP-9")
async def test_an_operation_goes_on_where_its_killed_worker_was(fresh_service):
    # Its timer would take the operation for one of its own.
    service = await fresh_service(options=("--http-only",))
    tables = store(service.connection_string)
    operations = Operations(tables, time.time)
    operation = await operations.create(OperationType.UPDATE, {"count": STEPS})
    url = f"{service.url}/v2/operations/{operation.id}"

    async def state():
        return await asyncio.to_thread(requests.get, url, timeout=30)

    first = await state()
    assert (first.status_code, first.json()["status"], first.json()["percentComplete"]) == (202, "notStarted", 0)

    process = await worker(service.connection_string)

    async def is_under_way():
        return (await state()).json()["percentComplete"] >= 20

    try:
        await eventually(is_under_way, 120)
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    left = await state()
    assert (left.status_code, left.json()["status"]) == (202, "running")
    assert left.headers["Location"] == url
    assert 20 <= left.json()["percentComplete"] < 100
    with pytest.raises(OperationActive):
        await operations.create(OperationType.UPDATE, {})

    early = await worker(service.connection_string)
    assert await early.wait() == 0
    assert (await state()).json()["percentComplete"] == left.json()["percentComplete"], "the lease has not run out"
    other = await worker(service.connection_string, ahead=LEASE_SECONDS + 1)
    assert await other.wait() == 0

    done = await state()
    assert (done.status_code, done.json()["status"], done.json()["percentComplete"]) == (200, "succeeded", 100)
    assert done.json()["results"] == {"steps": STEPS}
    rows = await tables.range("conf", f"counted-{operation.id}", "", "\uffff")
    steps = [row.row_key[:2] for row in rows]
    assert set(steps) == {f"{step:02}" for step in range(STEPS)}
    assert len(steps) <= STEPS + 1, "only the step in which the worker died is done twice"
    assert {row.row_key[3:] for row in rows} == {str(process.pid), str(other.pid)}
    await tables.close()
