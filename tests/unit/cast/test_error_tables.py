"""The error tables, as installations of the archived DICOMcast know them, and messages that the host has given up."""

from typing import get_args

import pytest

from shared.cast import functions
from shared.outgoing.server import Answer
from shared.storage.ports import CastTable
from tests.builders.cast import PARTITION, Cast, instance
from tests.builders.functions import handler_of
from tests.fakes.fhir import outcome

STUDY = "2.25.1"


@pytest.mark.spec("CAST-ER-1")
async def test_tables_and_columns_have_the_names_that_are_known() -> None:
    assert set(get_args(CastTable.__value__)) - {"DicomCast"} == {
        "SyncStateTable",
        "InvalidDicomTagExceptionTable",
        "DicomFailToStoreExceptionTable",
        "FhirFailToStoreExceptionTable",
        "TransientRetryExceptionTable",
        "TransientFailureExceptionTable",
    }
    cast = Cast()
    cast.fhir.fault = lambda method, target: Answer(422, {}, outcome("x")) if method == "POST" and not target else None
    for number in (1, 2):
        await cast.cast(STUDY, *(instance(STUDY, 1, each) for each in range(1, number + 1)))
    (row,) = await cast.tables.range("FhirFailToStoreExceptionTable", "FhirErrorException", "", "~")
    assert row.properties["Attempts"] == 2
    assert {
        name: row.properties[name]
        for name in ("StudyUid", "SeriesUid", "InstanceUid", "ChangeFeedSequence", "Partition", "HttpStatus")
    } == {
        "StudyUid": STUDY,
        "SeriesUid": "",
        "InstanceUid": "",
        "ChangeFeedSequence": 2,
        "Partition": PARTITION,
        "HttpStatus": 422,
    }
    assert (row.properties["SequenceFrom"], row.properties["SequenceTo"]) == (1, 2)
    assert "told why" in str(row.properties["Outcome"])
    assert row.properties["Exception"]
    assert not row.properties.get("ResolvedAt")
    cast.fhir.fault = None
    await cast.cast(STUDY, *(instance(STUDY, 1, each) for each in range(1, 4)))
    (row,) = await cast.tables.range("FhirFailToStoreExceptionTable", "FhirErrorException", "", "~")
    assert row.properties["ResolvedAt"]


class Message:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def get_body(self) -> bytes:
        return self._body


@pytest.mark.spec("CAST-EV-10")
@pytest.mark.parametrize("body", [b'{"kind":"study","partition":"p","study":"2.25.1","sequence":1}', b"\xff", b"null"])
async def test_a_message_that_was_given_up_is_told_and_the_study_stays_dirty(body: bytes) -> None:
    cast = Cast()
    await cast.change(STUDY, instance(STUDY))
    handled: list[object] = []

    async def handle(message: object) -> None:
        handled.append(message)

    blueprint = functions.blueprint(handle, "DicomStorage")
    await handler_of(blueprint, "cast_message_given_up")._call(Message(body))
    assert handled == []
    assert await cast.dirty() == {STUDY: ""}
    cast.clock.time += 61
    assert await cast.worker.retry() == 1
