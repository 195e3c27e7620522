"""Twenty thousand instances exported while workers are killed, and while others store and delete."""

import asyncio
import itertools
import json
import random
from contextlib import suppress
from functools import partial

import pytest
from azure.storage.blob import BlobServiceClient

from shared.storage.azure_blobs import AzureBlobStore
from shared.storage.connection import StorageConnection
from tests.builders.files import file
from tests.builders.images import new_uid
from tests.integration.crashes.archive import Archive
from tests.integration.devhost.waiting import eventually

STUDIES, IN_A_STUDY = 200, 100
KILLS = 4
DELETED = 300
CONTAINER = "exported"
BURST, QUIET = 10, 30
"""Requests to store and delete come so many at a time, with seconds in between: an export makes way for clients."""


def path_of(one):
    uids = one.identifier
    return f"{uids.study_instance_uid}/{uids.series_instance_uid}/{uids.sop_instance_uid}"


async def stored(archive, studies, in_a_study):
    """Studies that are stored now, some at a time: their files by path."""
    found = {}
    uids = iter([new_uid() for _ in range(studies)])

    async def work():
        for uid in uids:
            series = new_uid()
            files = [file(study=uid, series=series) for _ in range(in_a_study)]
            reply = await archive.store(files)
            assert reply.status == 200, reply
            found.update({path_of(one): one for one in files})

    await asyncio.gather(*(work() for _ in range(4)))
    return found


async def beside(archive, victims, until):
    """Store and delete one after the other until told to stop: the files that were stored, those that may have been as
    their answers were lost, the paths of the deleted.
    """
    added, doubtful, deleted = {}, {}, set()
    requests = itertools.count(1)
    while not until.is_set():
        one = file()
        found = added if (await archive.store([one])).status == 200 else doubtful
        found[path_of(one)] = one
        if victims:
            victim = victims.pop()
            deleted.add(path_of(victim))
            await archive.delete(victim.path)
        if next(requests) % BURST == 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(until.wait(), QUIET)
    return added, doubtful, deleted


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.spec("OP-9", "XPT-20", "XPT-21", "XPT-24", "XPT-26", "XPT-27")
async def test_an_export_of_20000_instances_is_complete_whatever_dies(fresh_service, azurite):
    connection = StorageConnection.from_connection_string(azurite.connection_string)
    BlobServiceClient.from_connection_string(azurite.connection_string).create_container(CONTAINER)
    settings = {
        "AzureWebJobsStorage": azurite.connection_string,
        "EXPORT_DESTINATIONS": f"{connection.blob_endpoint}/{CONTAINER}",
    }
    service = await fresh_service(settings)
    async with Archive(service.url) as archive:
        first = await stored(archive, STUDIES, IN_A_STUDY)
        victims = random.sample(list(first.values()), DELETED)
        body = {
            "type": "azureBlob",
            "settings": {"connectionString": azurite.connection_string, "blobContainerName": CONTAINER},
        }
        asked = json.dumps({"destination": body}).encode()
        started = await archive.send("POST", "export", asked, Content_Type="application/json")
        assert started.status == 202, started
        operation = started.json()["id"]
        until = asyncio.Event()
        busy = asyncio.create_task(beside(archive, victims, until))

        async def state():
            reply = await archive.send("GET", f"operations/{operation}")
            return reply.json() if reply.status in {200, 202} else {}

        async def has_exported(count):
            found = await state()
            return found.get("status") != "running" or found["results"]["exported"] >= count

        for kill in range(1, KILLS + 1):
            await archive.run("housekeeping")
            await eventually(partial(has_exported, kill * len(first) // (2 * KILLS)), 600)
            dead = await service.kill_worker()
            await service.await_workers(other_than=dead)

        async def has_ended():
            await archive.run("housekeeping")
            await asyncio.sleep(5)
            return (await state()).get("status") in {"succeeded", "failed"}

        await eventually(has_ended, 1200)
        until.set()
        added, doubtful, deleted = await busy
        results = (await state())["results"]

    destination = AzureBlobStore(connection.blob_endpoint, CONTAINER, connection.credential)
    prefix = f"{operation}/results/"
    names = [blob.name async for blob in destination.list(prefix)]
    found = {name.removeprefix(prefix).removesuffix(".dcm") for name in names}
    known = first | added | doubtful
    assert first.keys() - found <= deleted, "nothing is missing but what was deleted meanwhile"
    assert found <= known.keys()
    assert len(names) == len(found)
    assert 0 <= len(found) - results["exported"] <= len(deleted)
    assert results["skipped"] <= len(deleted)
    slots = asyncio.Semaphore(32)

    async def is_equal(path):
        async with slots:
            return await destination.read(f"{prefix}{path}.dcm") == known[path].data

    assert all(await asyncio.gather(*map(is_equal, found)))
    await destination.close()
