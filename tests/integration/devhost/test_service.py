"""The service itself on the devhost: the fixtures that other tests build on, and the functions behind events."""

from aiohttp import ClientSession
from pydicom.data import get_testdata_file

from devhost.testing import RunningService, process_exists
from tests.conftest import FreshService, OutsideService
from tests.integration.devhost.waiting import eventually

IMAGE = "CT_small.dcm"


async def _store(client: ClientSession, url: str) -> int:
    with open(str(get_testdata_file(IMAGE)), "rb") as file:  # noqa: ASYNC230, PTH123 - a small file of pydicom's
        content = file.read()
    async with client.post(
        f"{url}/v2/studies", data=content, headers={"Content-Type": "application/dicom"}
    ) as response:
        return response.status


async def _found(client: ClientSession, url: str) -> int:
    async with client.get(f"{url}/v2/instances?PatientID=1CT1") as response:
        return len(await response.json()) if response.status == 200 else 0


async def test_the_service_of_the_session_is_healthy(service: RunningService | OutsideService) -> None:
    async with ClientSession() as client, client.get(f"{service.url}/health/check") as response:
        assert response.status == 200


async def test_what_is_stored_survives_the_death_of_every_process(fresh_service: FreshService) -> None:
    service = await fresh_service()
    async with ClientSession() as client:
        assert await _store(client, service.url) == 200
        before = service.processes
        await service.kill()
        assert not [pid for pid in before if process_exists(pid)]
        await service.start()
        assert await _found(client, service.url) == 1


async def test_a_stored_instance_reaches_the_blob_trigger_and_the_change_feed(fresh_service: FreshService) -> None:
    service = await fresh_service({"DEVHOST_LOG_LEVEL": "INFO"}, options=["--event-retry-scale", "0.02"])
    async with ClientSession() as client:
        assert await _store(client, service.url) == 200

    async def ran() -> bool:
        return all(
            f"Executed 'Functions.{name}' (Succeeded" in service.log_text
            for name in ("index_instance", "append_changes")
        )

    await eventually(ran)
