"""An upgrade under load: the release before serves requests while processes of the later one, killed, re-index."""

import asyncio
import os
import signal
import sys
from functools import partial
from pathlib import Path

import orjson
import pytest
import requests

from devhost.testing import running_azurite, running_service
from shared.storage.azure_tables import AzureTableStore
from shared.storage.connection import StorageConnection
from tests.builders.files import file
from tests.integration.devhost.waiting import eventually
from tests.integration.index.reindexing import SPREAD

ROOT = Path(__file__).parents[3]
DEPARTMENT, BODY_PART, ACQUISITION = 0x00081040, 0x00180015, 0x00200012
_STUDIES = 60
_KILLS = 3
_LEASES = 70.0
"""Seconds by which a process is ahead of the one before, so that its lease has run out."""


def one():
    return file({DEPARTMENT: ("LO", "Radiology"), BODY_PART: ("CS", "CHEST"), ACQUISITION: ("IS", "7")})


class Client:
    def __init__(self, url):
        self.url = f"{url}/v2"

    async def ask(self, method, path, **options):
        return await asyncio.to_thread(requests.request, method, f"{self.url}/{path}", timeout=60, **options)

    async def store(self, *files):
        for each in files:
            answer = await self.ask("POST", "studies", data=each.data, headers={"Content-Type": "application/dicom"})
            assert answer.status_code == 200, answer.text

    async def found(self, query):
        answer = await self.ask("GET", query)
        assert answer.status_code in (200, 204), (query, answer.status_code, answer.text)
        return answer.json() if answer.status_code == 200 else []

    async def answers(self):
        """UIDs that are found by the new attributes, by level; and what the series that there are return of one."""
        return {
            "study": {each["0020000D"]["Value"][0] for each in await self.found(_BY_DEPARTMENT)},
            "series": {each["0020000E"]["Value"][0] for each in await self.found(_BY_BODY_PART)},
            "instance": {each["00080018"]["Value"][0] for each in await self.found(_BY_ACQUISITION)},
            "returned": [each["00180015"]["Value"] for each in await self.found(_RETURNED)],
        }


_BY_DEPARTMENT = "studies?InstitutionalDepartmentName=RADIOLOGY&limit=200"
_BY_BODY_PART = "series?BodyPartExamined=chest&limit=200"
_BY_ACQUISITION = "instances?AcquisitionNumber=7&limit=200"
_RETURNED = "series?includefield=BodyPartExamined&limit=200"


def expected(files):
    return {
        "study": {each.identifier.study_instance_uid for each in files},
        "series": {each.identifier.series_instance_uid for each in files},
        "instance": {each.identifier.sop_instance_uid for each in files},
        "returned": [["CHEST"]] * len(files),
    }


async def worker(storage, ahead):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.index.reindexing",
        cwd=ROOT,
        env={**os.environ, "STORAGE": storage, "AHEAD": str(ahead)},
    )


@pytest.mark.timeout(600)
async def test_a_store_is_searched_and_stored_to_while_it_is_brought_to_a_later_schema():
    async with running_azurite() as azurite:
        storage = azurite.connection_string
        settings = {"AzureWebJobsStorage": storage, "DicomStorage": storage}
        options = ("--http-only", "--no-blob-events")
        async with running_service(ROOT, settings, 2, options) as service:
            await _upgrade(Client(service.url), storage)


async def _upgrade(client, storage):
    connection = StorageConnection.from_connection_string(storage)
    tables = AzureTableStore(connection.table_endpoint, connection.credential, spread=SPREAD)
    files = [one() for _ in range(_STUDIES)]
    await client.store(*files)
    assert (await client.ask("GET", _BY_BODY_PART)).status_code == 400

    async def state():
        [schema] = await tables.range("conf", "schema", "", "9")
        return schema.properties["state"]

    async def stage():
        [operation] = await tables.range("ops", "operations", "o!", 'o"')
        checkpoint = orjson.loads(operation.properties["d0"])["checkpoint"]
        return checkpoint.get("stage"), checkpoint.get("row")

    async def goes_on(seen):
        return (await stage()) != seen

    process = await worker(storage, 0.0)

    async def is_known():
        return (await client.ask("GET", _BY_BODY_PART)).status_code == 200

    try:
        await eventually(is_known, 60)
        assert await client.answers() == expected(files)
        for kill in range(1, _KILLS + 1):
            await client.store(new := one())
            files.append(new)

            await eventually(partial(goes_on, await stage()), 120)
            process.send_signal(signal.SIGKILL)
            await process.wait()
            assert await client.answers() == expected(files)
            process = await worker(storage, kill * _LEASES)
        removed = files.pop(0)
        assert (await client.ask("DELETE", f"studies/{removed.identifier.study_instance_uid}")).status_code == 204
        while process.returncode is None:
            await client.store(new := one())
            files.append(new)
            assert await client.answers() == expected(files)
            await asyncio.sleep(1)
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert await state() == 3
    assert await client.answers() == expected(files)
    await tables.close()
