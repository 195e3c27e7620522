"""The worker process is killed (SIGKILL) at each request to storage of a worklist transaction (WK-2).

What was acknowledged is there; what was not is there as a whole or not at all: the workitem and every list of it say
the same at once, without anything that would have to mend it first.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import orjson
import pytest

from tests.builders.images import new_uid
from tests.builders.worklist import codes, element, new_workitem, state_change
from tests.integration.crashes.archive import JSON, Archive, Reply
from tests.integration.crashes.proxy import Fault
from tests.integration.crashes.service import Watched, watched

_MOST_STEPS: Final = 20
_WORKERS: Final = 3
"""While one is started anew the others go on."""

type Write = Callable[[Archive, str, str], Awaitable[Reply]]
"""A request about a workitem, whose key is that claim."""


async def send(archive: Archive, method: str, path: str, data_set: object) -> Reply:
    return await archive.send(method, path, orjson.dumps(data_set), Content_Type=JSON, Accept=JSON)


async def create(archive: Archive, uid: str, _key: str) -> Reply:
    patient = element("LO", uid[-20:])
    return await send(archive, "POST", f"workitems?{uid}", [new_workitem(t00100020=patient, t00404025=codes("OLD"))])


async def claim(archive: Archive, uid: str, key: str) -> Reply:
    return await send(archive, "PUT", f"workitems/{uid}/state", state_change("IN PROGRESS", key))


async def update(archive: Archive, uid: str, _key: str) -> Reply:
    return await send(archive, "POST", f"workitems/{uid}", {"00404025": codes("NEW")})


async def cancel(archive: Archive, uid: str, _key: str) -> Reply:
    return await send(archive, "POST", f"workitems/{uid}/cancelrequest", [{}])


async def look(archive: Archive, uid: str) -> tuple[str, str] | None:
    """State and station of a workitem, None if there is none. Fails unless every list says the same."""
    reply = await archive.send("GET", f"workitems/{uid}", Accept=JSON)
    assert reply.status in {200, 404}, reply
    found = [each["00080018"]["Value"] for each in await archive.search(f"workitems?PatientID={uid[-20:]}")]
    if reply.status == 404:
        assert found == []
        return None
    assert found == [[uid]]
    stored = orjson.loads(reply.content)
    state, station = stored["00741000"]["Value"][0], stored["00404025"]["Value"][0]["00080100"]["Value"][0]
    for key, values, own in (
        ("ProcedureStepState", ("SCHEDULED", "IN PROGRESS", "CANCELED"), state),
        ("ScheduledStationNameCodeSequence.CodeValue", ("OLD", "NEW"), station),
    ):
        for value in values:
            results = await archive.search(f"workitems?PatientID={uid[-20:]}&{key}={value.replace(' ', '%20')}")
            assert len(results) == (value == own), (key, value)
    return state, station


async def kill_at_each_step(scene: Watched, write: Write, after: tuple[str, str], fault: Fault) -> int:
    """Try a write until it comes through; in how many requests."""
    step = 1
    while step < _MOST_STEPS:
        uid, key = new_uid(), new_uid()
        before = None
        if write is not create:
            assert (await create(scene.archive, uid, key)).status == 201
            before = "SCHEDULED", "OLD"
        point = scene.proxy.arm(fault, step, await scene.workers(), kill=True)
        reply = await write(scene.archive, uid, key)
        scene.proxy.disarm()
        await scene.forget(point)
        assert await look(scene.archive, uid) in ({after} if 200 <= reply.status < 300 else {before, after})
        if not point.requests:
            continue  # a worker served it that has come up since
        if not point.hit:
            assert 200 <= reply.status < 300
            return point.requests
        step += 1
    raise AssertionError("the write never came to an end")


WRITES: Final = {
    create: ("SCHEDULED", "OLD"),
    claim: ("IN PROGRESS", "OLD"),
    update: ("SCHEDULED", "NEW"),
    cancel: ("CANCELED", "OLD"),
}


@pytest.mark.spec("WK-2", "P-2")
@pytest.mark.parametrize("fault", [pytest.param(Fault.LOSE_REQUEST, marks=pytest.mark.nightly), Fault.LOSE_ANSWER])
async def test_a_worker_that_dies_at_any_request_leaves_a_workitem_whole(fault):
    async with watched(workers=_WORKERS) as scene:
        for write, after in WRITES.items():
            assert await kill_at_each_step(scene, write, after, fault) >= 1
