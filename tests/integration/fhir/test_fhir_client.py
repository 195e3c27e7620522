"""The FHIR client on a server of another project: what it is taken for there."""

import asyncio

import pytest

from shared.errors import Unavailable
from shared.fhir.client import FhirClient
from shared.fhir.resources import token
from shared.fhir.transaction import Entry, create
from shared.outgoing.failures import Failure, RequestFailed
from shared.outgoing.server import Server
from shared.outgoing.settings import Anonymous, ServerSettings
from shared.outgoing.tokens import NoToken

SYSTEM = "urn:oid:2.25.1"


def patient(value: str) -> dict[str, object]:
    return {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}]}


def client_of(server) -> FhirClient:
    return FhirClient(Server(ServerSettings("FHIR", server.url, Anonymous()), NoToken()))


@pytest.mark.spec("CAST-SR-1", "CAST-SR-2")
async def test_every_special_character_is_found_again_over_all_pages(fhir_server):
    client = client_of(fhir_server)
    try:
        values = ["a,b|c$d\\e", "a", "b", "ü ö&=+%", *(f"n{number}" for number in range(45))]
        await client.transaction([create(patient(value), "") for value in values])
        for value in values[:4]:
            found = await client.search("Patient", [("identifier", token(SYSTEM, value))], handling="strict")
            assert [each["identifier"][0]["value"] for each in found] == [value]
        assert len(await client.search("Patient", [])) == len(values)
    finally:
        await client.close()


@pytest.mark.spec("CAST-SR-3")
async def test_an_unknown_parameter_is_refused_or_ignored_as_asked(fhir_server):
    client = client_of(fhir_server)
    try:
        with pytest.raises(RequestFailed) as raised:
            await client.search("Patient", [("no-such", "1")], handling="strict")
        assert (raised.value.failure, raised.value.outcome is not None) == (Failure.REFUSED, True)
        pages = [page async for page in client.pages("Patient", [("no-such", "1")])]
        assert [page.strict for page in pages] == [False]
    finally:
        await client.close()


async def test_ten_transactions_at_once_create_one_resource(fhir_server):
    """Only in transactions: a lone conditional create of this server can be overtaken by another one."""
    client = client_of(fhir_server)
    try:
        condition = f"identifier={SYSTEM}|1"
        answers = await asyncio.gather(*(client.transaction([create(patient("1"), condition)]) for _ in range(10)))
        assert sorted(answer.status for (answer,) in answers) == [200] * 9 + [201]
        assert len(await client.search("Patient", [])) == 1
    finally:
        await client.close()


async def test_a_stale_version_rolls_the_whole_transaction_back(fhir_server):
    client = client_of(fhir_server)
    try:
        stored, _ = await client.create(patient("1"))
        await client.update(dict(stored), if_match="1")
        with pytest.raises(RequestFailed) as raised:
            await client.transaction(
                [create(patient("2"), ""), Entry("PUT", f"Patient/{stored['id']}", stored, if_match="1")]
            )
        assert raised.value.failure is Failure.RACE
        assert len(await client.search("Patient", [])) == 1
    finally:
        await client.close()


async def test_a_server_that_has_gone_is_unavailable(fhir_server):
    client = client_of(fhir_server)
    try:
        assert (await client.capabilities())["fhirVersion"] == "4.0.1"
        await fhir_server.kill()
        with pytest.raises(Unavailable):
            await client.capabilities()
        await fhir_server.start()
        assert await client.search("Patient", []) == []
    finally:
        await client.close()
