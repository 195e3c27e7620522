"""Five thousand instances updated while workers are killed, and while others store and delete."""

import asyncio
import itertools
import json
import random
from collections import Counter
from contextlib import suppress
from functools import partial

import pytest

from tests.builders.files import PATIENT_NAME, file
from tests.builders.images import new_uid
from tests.integration.crashes.archive import Archive
from tests.integration.devhost.waiting import eventually

STUDIES, IN_A_STUDY = 50, 100
KILLS = 4
DELETED = 100
PAGE = 200
BURST, QUIET = 10, 30
"""Requests to store and delete come so many at a time, with seconds in between: an update makes way for clients."""
NAME = "00100010"
OLD, NEW = "Old^Name", "New^Name"


async def stored(archive):
    """The instances that are to be updated, by study."""
    found = {}
    uids = iter([new_uid() for _ in range(STUDIES)])

    async def work():
        for uid in uids:
            series = new_uid()
            files = [file({PATIENT_NAME: OLD}, study=uid, series=series) for _ in range(IN_A_STUDY)]
            reply = await archive.store(files)
            assert reply.status == 200, reply
            found[uid] = files

    await asyncio.gather(*(work() for _ in range(4)))
    return found


async def beside(archive, studies, victims, until):
    """Store into the studies and delete from them until told to stop: what was stored, what may have been as its answer
    was lost, and what was deleted, or may have been.
    """
    added, doubtful, deleted = [], [], set()
    requests = itertools.count(1)
    while not until.is_set():
        one = file({PATIENT_NAME: OLD}, study=random.choice(studies))
        (added if (await archive.store([one])).status == 200 else doubtful).append(one)
        if victims:
            victim = victims.pop()
            deleted.add(victim.identifier.sop_instance_uid)
            await archive.delete(victim.path)
        if next(requests) % BURST == 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(until.wait(), QUIET)
    return added, doubtful, deleted


async def updates(archive):
    """How often the feed says that an instance was updated, by SOP Instance UID."""
    found, offset = Counter(), 0
    while page := (await archive.send("GET", f"changefeed?limit={PAGE}&offset={offset}&includemetadata=false")).json():
        found.update(each["sopInstanceUid"] for each in page if each["action"] == "Update")
        offset += len(page)
    return found


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.spec("OP-9", "UPD-28", "UPD-32", "UPD-34")
async def test_an_update_of_5000_instances_misses_nothing_whatever_dies(fresh_service, azurite):
    service = await fresh_service({"AzureWebJobsStorage": azurite.connection_string})
    async with Archive(service.url) as archive:
        studies = await stored(archive)
        first = [one for files in studies.values() for one in files]
        victims = random.sample(first, DELETED)
        change = {NAME: {"vr": "PN", "Value": [{"Alphabetic": NEW}]}}
        asked = json.dumps({"studyInstanceUids": list(studies), "changeDataset": change}).encode()
        started = await archive.send("POST", "studies/$bulkUpdate", asked, Content_Type="application/json")
        assert started.status == 202, started
        operation = started.json()["id"]
        until = asyncio.Event()
        busy = asyncio.create_task(beside(archive, list(studies), victims, until))

        async def state():
            reply = await archive.send("GET", f"operations/{operation}")
            return reply.json() if reply.status in {200, 202} else {}

        async def is_at(percent):
            found = await state()
            return found.get("status") not in {"running", "notStarted"} or (found["percentComplete"] or 0) >= percent

        for kill in range(1, KILLS + 1):
            await archive.run("housekeeping")
            await eventually(partial(is_at, 20 * kill - 10), 600)
            dead = await service.kill_worker()
            await service.await_workers(other_than=dead)

        async def has_ended():
            await archive.run("housekeeping")
            await asyncio.sleep(5)
            return (await state()).get("status") in {"succeeded", "failed"}

        await eventually(has_ended, 1800)
        until.set()
        added, doubtful, deleted = await busy
        ended = await state()
        assert ended["status"] == "succeeded", ended

        listed = {}
        for study in studies:
            reply = await archive.send("GET", f"studies/{study}/metadata", Accept="application/dicom+json")
            listed |= {each["00080018"]["Value"][0]: each[NAME]["Value"][0]["Alphabetic"] for each in reply.json()}
        kept, late, perhaps = ({one.identifier.sop_instance_uid for one in some} for some in (first, added, doubtful))
        kept -= deleted
        assert kept | late <= listed.keys() <= kept | late | perhaps | deleted
        assert {listed[uid] for uid in kept} == {NEW}
        told = await updates(archive)
        assert set(told.values()) == {1}, "nothing is changed twice"
        assert kept <= told.keys()
        assert {uid for uid in late if listed[uid] == NEW} == late & told.keys()
        for one in random.sample([one for one in first if one.identifier.sop_instance_uid in kept], 20):
            headers = {"Accept": "application/dicom; transfer-syntax=*", "msdicom_request_original": "true"}
            assert (await archive.send("GET", one.path, **headers)).content == one.data
