"""Twenty thousand instances re-indexed while workers are killed, and while others store and delete."""

import asyncio
import json
import random
from collections import Counter
from contextlib import suppress
from functools import partial

import pytest

from tests.builders.files import file
from tests.builders.images import new_uid
from tests.integration.crashes.archive import Archive, sops
from tests.integration.devhost.waiting import eventually

STUDIES, IN_A_STUDY = 200, 100
KILLS = 4
DELETED = 200
BAD_EACH = 1000
"""One of so many instances has a value that cannot be indexed."""
NUMBERS = 100
ACQUISITION_NUMBER, AGE = 0x00200012, 0x00101010
PAGE = 200
BURST, QUIET = 10, 30
"""Requests to store and delete come so many at a time, with seconds in between: a re-index makes way for clients."""


def new_file(study, series, number):
    value = "seven" if number % BAD_EACH == 0 else str(number % NUMBERS)
    return file({ACQUISITION_NUMBER: ("IS", value), AGE: ("AS", "042Y")}, study=study, series=series)


async def stored(archive):
    """The instances that are to be re-indexed, with the number of each."""
    found = {}
    numbers = iter(range(STUDIES))

    async def work():
        for number in numbers:
            study, series = new_uid(), new_uid()
            files = {at: new_file(study, series, at) for at in range(number * IN_A_STUDY, (number + 1) * IN_A_STUDY)}
            reply = await archive.store(list(files.values()))
            assert reply.status == 200, reply
            found.update(files)

    await asyncio.gather(*(work() for _ in range(4)))
    return found


async def beside(archive, studies, victims, until):
    """Store and delete in bursts until told to stop: the number of each that was stored, or may have been."""
    added, doubtful = {}, {}
    while not until.is_set():
        for _ in range(BURST):
            number = random.randrange(1, BAD_EACH)
            one = new_file(random.choice(studies), None, number)
            found = added if (await archive.store([one])).status == 200 else doubtful
            found[one.identifier.sop_instance_uid] = number
            if victims:
                await archive.delete(victims.pop().path)
        with suppress(TimeoutError):
            await asyncio.wait_for(until.wait(), QUIET)
    return added, doubtful


async def feed(archive):
    """How often the feed has which action of which instance."""
    found, offset = Counter(), 0
    while page := (await archive.send("GET", f"changefeed?limit={PAGE}&offset={offset}&includemetadata=false")).json():
        found.update((each["action"], each["sopInstanceUid"]) for each in page)
        offset += len(page)
    return found


async def listed(archive, path):
    """The SOP Instance UIDs of the errors of a tag."""
    errors = []
    while page := (await archive.send("GET", f"{path}/errors?limit={PAGE}&offset={len(errors)}")).json():
        errors += [each["sopInstanceUid"] for each in page]
    return errors


async def postings(archive):
    """How often a search by each number finds which instance."""
    found = Counter()
    for number in range(NUMBERS):
        results = await archive.search(f"instances?AcquisitionNumber={number}")
        found.update((each["00080018"]["Value"][0], number) for each in results)
    return found


async def add(archive, *entries):
    body = json.dumps([{"path": path, "level": level} for path, level in entries]).encode()
    return await archive.send("POST", "extendedquerytags", body, Content_Type="application/json")


async def reindexed(service, archive, operation):
    """The state of the re-index when it has ended, workers having been killed on its way."""

    async def state():
        reply = await archive.send("GET", f"operations/{operation}")
        return reply.json() if reply.status in {200, 202} else {}

    async def is_at(percent):
        found = await state()
        return found.get("status") not in {"running", "notStarted"} or (found["percentComplete"] or 0) >= percent

    async def has_ended():
        await archive.run("housekeeping")
        await asyncio.sleep(5)
        return (await state()).get("status") in {"succeeded", "failed"}

    for kill in range(1, KILLS + 1):
        await archive.run("housekeeping")
        await eventually(partial(is_at, 20 * kill - 10), 1800)
        dead = await service.kill_worker()
        await service.await_workers(other_than=dead)
    await eventually(has_ended, 2400)
    return await state()


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.spec("OP-9", "EQT-6", "EQT-30", "EQT-40", "EQT-43")
async def test_a_reindex_of_20000_instances_misses_nothing_whatever_dies(fresh_service, azurite):
    service = await fresh_service({"AzureWebJobsStorage": azurite.connection_string})
    async with Archive(service.url) as archive, Archive(service.url, "v1") as v1:
        # The first version keeps values that are not valid where no tag is about them yet.
        numbers = await stored(v1)
        first = list(numbers.values())
        bad = sops(one for number, one in numbers.items() if number % BAD_EACH == 0)
        victims = random.sample(first, DELETED)
        deleted = sops(victims)
        started = await add(archive, ("AcquisitionNumber", "Instance"), ("PatientAge", "Study"))
        assert started.status == 202, started
        again = await add(archive, ("PatientSex", "Study"))
        assert (again.status, started.json()["id"] in again.content.decode()) == (409, True)

        until = asyncio.Event()
        studies = sorted({one.identifier.study_instance_uid for one in first})
        busy = asyncio.create_task(beside(archive, studies, list(victims), until))
        ended = await reindexed(service, archive, started.json()["id"])
        until.set()
        added, doubtful = await busy
        assert (ended["status"], ended["percentComplete"]) == ("succeeded", 100), ended
        for one in victims:  # those whose turn did not come, or whose request died with its worker
            await archive.delete(one.path)

        path = "extendedquerytags/AcquisitionNumber"
        errors = await listed(archive, path)
        assert sorted(errors) == sorted(bad - deleted)
        tag = (await archive.send("GET", path)).json()
        assert (tag["status"], tag["queryStatus"], tag["errors"]["count"]) == ("ready", "disabled", len(errors))
        enabled = json.dumps({"queryStatus": "Enabled"}).encode()
        assert (await archive.send("PATCH", path, enabled, Content_Type="application/json")).status == 200

        there = {one.identifier.sop_instance_uid: number % NUMBERS for number, one in numbers.items()}
        there = {uid: number for uid, number in there.items() if uid not in bad | deleted}
        there |= {uid: number % NUMBERS for uid, number in added.items()}
        found = await postings(archive)
        assert set(found.values()) == {1}, "nothing is there twice"
        assert there.items() <= found.keys()
        assert {uid for uid, _ in found} - there.keys() <= doubtful.keys()
        assert len(await archive.search("studies?PatientAge=042Y")) == STUDIES

        entries = await feed(archive)
        assert set(entries.values()) == {1}
        created = {uid for action, uid in entries if action == "Create"}
        assert sops(first) | added.keys() <= created <= sops(first) | added.keys() | doubtful.keys()
        assert {uid for action, uid in entries if action == "Delete"} == deleted
        assert {action for action, _ in entries} == {"Create", "Delete"}
