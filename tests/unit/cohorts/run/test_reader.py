"""Searches of the engine on servers that mean harm."""

import itertools

import orjson
import pytest

from shared.cohorts.gathering import reader
from shared.cohorts.gathering.reader import Reader
from shared.fhir.client import FhirClient
from shared.outgoing.failures import Failure, RequestFailed
from shared.outgoing.server import Answer
from tests.fakes.fhir import FakeFhirServer


@pytest.mark.spec("COH-5")
async def test_resources_of_a_group_of_patients_that_do_not_end_are_refused(monkeypatch):
    monkeypatch.setattr(reader, "_MOST_KEPT", 5)
    server, numbers = FakeFhirServer(), itertools.count()

    def page(_method, _target):
        number = next(numbers)
        condition = {"resourceType": "Condition", "id": f"c{number}", "subject": {"reference": "Patient/ann"}}
        following = {"relation": "next", "url": f"Condition?page={number}"}
        return Answer(
            200, {}, orjson.dumps({"resourceType": "Bundle", "link": [following], "entry": [{"resource": condition}]})
        )

    server.fault = page
    with pytest.raises(RequestFailed) as raised:
        await Reader(FhirClient(server)).of_patients("Condition", ["ann"], "http://fhir.test")
    assert raised.value.failure is Failure.UNUSABLE
    assert next(numbers) == 6
