"""DICOMcast as a user has it: the service on its runtime, the emulator, and a FHIR server of another project."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientSession

from shared.fhir.client import FhirClient
from shared.outgoing.server import Server
from shared.outgoing.settings import Anonymous, ServerSettings
from shared.outgoing.tokens import NoToken
from tests.builders.datasets import ct, part10

BASE = "http://imaging.test/v2"
STUDY = "2.25.7000.2"


def settings(fhir: str, **more: str) -> dict[str, str]:
    return {
        "DicomCast__Enabled": "true",
        "DicomCast__SettleSeconds": "1",
        "DicomWeb__Endpoint": BASE,
        "Fhir__Endpoint": fhir,
        "Fhir__Authentication__Enabled": "false",
        "Patient__PatientSystemId": "urn:oid:2.25.100.1",
        **more,
    }


async def eventually[T](ask: Callable[[], Awaitable[T]], fits: Callable[[T], bool], seconds: float = 150) -> T:
    async with asyncio.timeout(seconds):
        while not fits(found := await ask()):
            await asyncio.sleep(0.5)
    return found


def files(study: str, count: int) -> list[bytes]:
    return [
        part10(
            ct(
                StudyInstanceUID=study,
                SeriesInstanceUID=f"{study}.1",
                SOPInstanceUID=f"{study}.1.{number}",
                InstanceNumber=number,
                PatientID="COH-001",
                PatientName="Family1^G",
            )
        )
        for number in range(1, count + 1)
    ]


async def store(session: ClientSession, url: str, found: list[bytes]) -> None:
    for each in found:
        async with session.post(
            f"{url}/v2/studies",
            data=each,
            headers={"Content-Type": "application/dicom", "Accept": "application/dicom+json"},
        ) as response:
            assert response.status == 200


async def test_a_study_is_stored_changed_and_deleted_and_fhir_follows(fresh_service, fhir_server):
    service = await fresh_service(settings(fhir_server.url))
    client = FhirClient(Server(ServerSettings("FHIR", fhir_server.url, Anonymous()), NoToken()))

    async def studies() -> list[Any]:
        return await client.search("ImagingStudy", [])

    try:
        async with ClientSession() as session:
            await store(session, service.url, files(STUDY, 3))
            (study,) = await eventually(studies, lambda found: bool(found) and found[0]["numberOfInstances"] == 3)
            assert study["identifier"][0]["value"] == f"urn:oid:{STUDY}"
            (patient,) = await client.search("Patient", [])
            assert study["subject"]["reference"].endswith(f"Patient/{patient['id']}")
            assert len(await client.search("Endpoint", [])) == 1
            path = f"{service.url}/v2/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.2"
            async with session.delete(path) as response:
                assert response.status == 204
            await eventually(studies, lambda found: found[0]["numberOfInstances"] == 2)
            async with session.delete(f"{service.url}/v2/studies/{STUDY}") as response:
                assert response.status == 204
            await eventually(studies, lambda found: not found)
            assert len(await client.search("Patient", [])) == 1
    finally:
        await client.close()


@pytest.mark.spec("CAST-ER-4", "CAST-OK-4")
async def test_studies_arrive_after_the_fhir_server_was_killed_and_the_log_names_nobody(fresh_service, fhir_server):
    service = await fresh_service(settings(fhir_server.url, DicomCast__MessageTimeToLiveSeconds="5"))
    client = FhirClient(Server(ServerSettings("FHIR", fhir_server.url, Anonymous()), NoToken()))

    async def ask(path: str) -> Any:
        async with session.get(f"{service.url}/v2/cast/{path}") as response:
            assert response.status == 200
            return await response.json()

    try:
        async with ClientSession() as session:
            await store(session, service.url, files("2.25.1", 1))
            await eventually(lambda: ask("status"), lambda found: found["lastSuccess"] is not None)
            await fhir_server.kill()
            for number in range(2, 6):
                await store(session, service.url, files(f"2.25.{number}", 2))
            status = await eventually(lambda: ask("status"), lambda found: found["circuit"]["open"])
            assert status["studiesParked"] == 0
            await fhir_server.start()
            found = await eventually(lambda: client.search("ImagingStudy", []), lambda found: len(found) == 5, 240)
            assert len({each["identifier"][0]["value"] for each in found}) == 5
            assert await ask("errors") == []
            assert (await ask("check"))["well"]
            async with session.post(f"{service.url}/v2/cast/verify", json={}) as response:
                assert response.status == 202
                operation = (await response.json())["id"]

            async def result() -> Any:
                async with session.get(f"{service.url}/v2/cast/verify/{operation}") as response:
                    return await response.json() if response.status == 200 else None

            assert await eventually(result, lambda told: told is not None, 240) == {"differences": []}
    finally:
        await client.close()
    assert "COH-001" not in service.kept_log_text
    assert "Family1" not in service.kept_log_text
