"""A second FHIR implementation: DICOMcast needs nothing that only the first one does (dicomcast §10).

Its versions are UUIDs, and its transactions are not rolled back.
"""

import uuid

import pytest

from shared.fhir.client import FhirClient
from shared.fhir.resources import token
from shared.fhir.transaction import Entry, create
from shared.outgoing.failures import Failure, RequestFailed
from shared.outgoing.server import Server
from shared.outgoing.settings import Anonymous, ServerSettings
from shared.outgoing.tokens import NoToken
from tests.builders.cast import Cast, instance
from tests.unit.cast.test_dose import event, report

SYSTEM = "urn:oid:2.25.1"
STUDY = "2.25.1"


def server(url: str) -> Server:
    return Server(ServerSettings("FHIR", url, Anonymous()), NoToken())


def patient(value: str) -> dict[str, object]:
    return {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}]}


@pytest.mark.spec("CAST-SR-7")
async def test_resources_are_created_once_updated_by_version_found_and_deleted(second_fhir_server) -> None:
    client = FhirClient(server(second_fhir_server))
    try:
        stored, _ = await client.create(patient("1"))
        assert uuid.UUID(stored["meta"]["versionId"])
        (answer,) = await client.transaction([create(patient("1"), f"identifier={SYSTEM}|1")])
        assert answer.status == 200
        changed = await client.update({**stored, "gender": "other"}, if_match=stored["meta"]["versionId"])
        with pytest.raises(RequestFailed) as raised:
            await client.update({**stored, "gender": "male"}, if_match=stored["meta"]["versionId"])
        assert raised.value.failure is Failure.RACE
        (found,) = await client.search("Patient", [("identifier", token(SYSTEM, "1"))], handling="strict")
        assert (found["gender"], found["meta"]["versionId"]) == ("other", changed["meta"]["versionId"])
        study = create({"resourceType": "Endpoint", "status": "active"}, "")
        entries = [study, Entry("PUT", f"Patient/{stored['id']}", found, if_match=changed["meta"]["versionId"])]
        assert all(each.status in (200, 201) for each in await client.transaction(entries))
        await client.delete("Patient", stored["id"])
        assert await client.search("Patient", []) == []
    finally:
        await client.close()


@pytest.mark.spec("CAST-SR-6", "CAST-SR-7")
async def test_a_study_is_cast_changed_and_removed(second_fhir_server) -> None:
    fhir = server(second_fhir_server)
    cast = Cast(server=fhir)
    client = cast.matching.fhir
    try:
        await cast.cast(STUDY, instance(STUDY), report(1, event("2.25.77")))
        (study,), (person,) = await client.search("ImagingStudy", []), await client.search("Patient", [])
        assert study["subject"]["reference"] == f"Patient/{person['id']}"
        observations = await client.search("Observation", [])
        assert len(observations) == 2
        assert {each["partOf"][0]["reference"] for each in observations} == {f"ImagingStudy/{study['id']}"}
        await cast.studies.mark(cast.key(STUDY), 0, replay=True)
        await cast.worker.study(cast.key(STUDY))
        (again,) = await client.search("ImagingStudy", [])
        assert again["meta"]["versionId"] == study["meta"]["versionId"]
        await cast.cast(STUDY, instance(STUDY), instance(STUDY, 1, 2))
        (changed,) = await client.search("ImagingStudy", [])
        assert (changed["numberOfInstances"], await client.search("Observation", [])) == (2, [])
        await cast.cast(STUDY)
        assert await client.search("ImagingStudy", []) == []
        assert len(await client.search("Patient", [])) == 1
        assert await cast.dirty() == {}
        assert await cast.open_errors("FhirError") == []
    finally:
        await fhir.close()
