"""The rebuild that the service does itself, on the runtime and the emulator (DAT-5)."""

import asyncio

import pytest
from aiohttp import ClientSession
from azure.data.tables.aio import TableServiceClient

from tests.builders.images import image, new_uid

DICOM = {"Content-Type": "application/dicom", "Accept": "application/dicom+json"}
JSON = {"Accept": "application/dicom+json"}


async def stored(service, session, count):
    """Instances of one study."""
    study, series = new_uid(), new_uid()
    for _ in range(count):
        data = image(study, series, new_uid()).data
        async with session.post(f"{service.url}/v2/studies", data=data, headers=DICOM) as response:
            assert response.status == 200, await response.text()
    return study


async def found(service, session, study):
    """The number of instances of a study that a search finds."""
    async with session.get(f"{service.url}/v2/studies/{study}/instances", headers=JSON) as response:
        return len(await response.json(content_type=None)) if response.status == 200 else 0


async def rebuilt(service, session):
    """The results of a rebuild, from request to end; another operation that is still at work is waited for."""
    async with asyncio.timeout(120):
        while True:
            async with session.post(f"{service.url}/v2/admin/rebuild") as response:
                told = await response.json(content_type=None) if response.status == 202 else {}
                assert response.status in (202, 409), await response.text()
            if told:
                break
            await asyncio.sleep(0.5)
        while True:
            async with session.post(f"{service.url}/admin/functions/housekeeping", json={}) as response:
                assert response.status == 202
            async with session.get(f"{service.url}/v2/operations/{told['id']}") as response:
                state = await response.json(content_type=None)
            if state["status"] in ("succeeded", "failed"):
                break
            await asyncio.sleep(0.5)
    assert state["status"] == "succeeded", state
    return state["results"]


@pytest.mark.spec("DAT-5")
async def test_a_rebuild_beside_requests_loses_and_doubles_nothing(own_service):
    async with ClientSession() as session:
        study = await stored(own_service, session, 3)
        results = await rebuilt(own_service, session)
        assert results["known"] >= 3
        assert results["files"] == sum(value for name, value in results.items() if name not in ("files", "studies"))
        assert await found(own_service, session, study) == 3
        async with session.get(f"{own_service.url}/health/check") as response:
            report = await response.json()
        assert {each["status"] for each in report["details"] if each["name"] == "index"} == {"Healthy"}


@pytest.mark.nightly
@pytest.mark.spec("DAT-5")
async def test_tables_that_are_gone_come_back_with_all_that_was_in_them(fresh_service):
    service = await fresh_service()
    async with ClientSession() as session:
        studies = [await stored(service, session, count) for count in (1, 5, 2)]
        await service.kill()
        async with TableServiceClient.from_connection_string(service.connection_string) as client:
            for name in [table.name async for table in client.list_tables()]:
                await client.delete_table(name)
        await service.start()
        assert [await found(service, session, each) for each in studies] == [0, 0, 0]
        results = await rebuilt(service, session)
        # What looks for files without rows has perhaps been faster.
        assert (results["indexed"] + results["known"], results["studies"]) == (8, 3)
        assert [await found(service, session, each) for each in studies] == [1, 5, 2]
