"""DICOMcast as a user has it: the service on its runtime, the emulator, and a FHIR server of another project."""

from typing import Any

import pytest
from aiohttp import ClientSession

from tests.builders.datasets import ct, part10
from tests.integration.cast.casting import Caster, Fhir, eventually, settings

STUDY = "2.25.7000.2"


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


async def test_a_study_is_stored_changed_and_deleted_and_fhir_follows(fresh_service, fhir_server):
    async with Fhir(fhir_server.url) as fhir, ClientSession() as session:
        caster = Caster(await fresh_service(settings(fhir_server.url)), session)

        async def studies() -> list[Any]:
            return await fhir.all("ImagingStudy")

        await caster.store(files(STUDY, 3))
        (study,) = await eventually(studies, lambda found: bool(found) and found[0]["numberOfInstances"] == 3)
        assert study["identifier"][0]["value"] == f"urn:oid:{STUDY}"
        (patient,) = await fhir.all("Patient")
        assert study["subject"]["reference"].endswith(f"Patient/{patient['id']}")
        assert len(await fhir.all("Endpoint")) == 1
        await caster.delete(f"{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.2")
        await eventually(studies, lambda found: found[0]["numberOfInstances"] == 2)
        await caster.delete(STUDY)
        await eventually(studies, lambda found: not found)
        assert len(await fhir.all("Patient")) == 1


@pytest.mark.spec("CAST-ER-4", "CAST-OK-4")
async def test_studies_arrive_after_the_fhir_server_was_killed_and_the_log_names_nobody(fresh_service, fhir_server):
    service = await fresh_service(settings(fhir_server.url, DicomCast__MessageTimeToLiveSeconds="5"))
    async with Fhir(fhir_server.url) as fhir, ClientSession() as session:
        caster = Caster(service, session)
        await caster.store(files("2.25.1", 1))
        await eventually(lambda: caster.ask("cast/status"), lambda found: found["lastSuccess"] is not None)
        await fhir_server.kill()
        for number in range(2, 6):
            await caster.store(files(f"2.25.{number}", 2))
        status = await eventually(lambda: caster.ask("cast/status"), lambda found: found["circuit"]["open"])
        assert status["studiesParked"] == 0
        await fhir_server.start()
        found = await eventually(lambda: fhir.all("ImagingStudy"), lambda found: len(found) == 5)
        assert len({each["identifier"][0]["value"] for each in found}) == 5
        assert await caster.ask("cast/errors") == []
        assert (await caster.ask("cast/check"))["well"]
        assert await caster.differences() == []
    assert "COH-001" not in service.kept_log_text
    assert "Family1" not in service.kept_log_text
