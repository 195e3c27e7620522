"""What a transaction asked of the data stores."""

import asyncio
import json
import logging

import pytest

from shared import telemetry
from shared.events.publisher import Announcer
from shared.http.messages import Response
from tests.builders.http import ask, lines


@pytest.fixture(autouse=True)
def _log_everything(caplog):
    caplog.set_level(logging.INFO)


def used(caplog, name: str = "transaction") -> tuple[int, int, int]:
    (entry,) = [line for line in lines(caplog, telemetry.TELEMETRY_LOGGER) if line["event"] == name]
    return entry["storageRequests"], entry["storageBytesSent"], entry["storageBytesReceived"]


async def test_what_a_handler_and_its_tasks_ask_counts_to_the_transaction(caplog):
    async def write() -> None:
        telemetry.count_storage(sent=10)

    async def handler(request, context):
        telemetry.count_storage(received=5)
        await asyncio.gather(write(), asyncio.create_task(write()))
        return Response(200)

    await ask("GET", "/v2/studies", handler=handler)

    assert used(caplog) == (3, 20, 5)


async def test_what_a_streamed_body_reads_in_the_task_that_sends_it_counts_as_well(caplog):
    async def read() -> bytes:
        telemetry.count_storage(received=7)
        return b"1234567"

    async def body():
        try:
            for _ in range(3):
                yield await asyncio.create_task(read())
        finally:
            telemetry.count_storage()

    async def handler(request, context):
        telemetry.count_storage(received=100)
        return Response(200, (), body())

    response = await ask("GET", "/v2/studies/1.2", handler=handler)

    async def send() -> int:
        return sum([len(chunk) async for chunk in response.body])

    assert await asyncio.create_task(send()) == 21
    telemetry.take_along()
    assert used(caplog, "response-sent") == (5, 0, 121)


async def test_an_abandoned_body_is_counted_up_to_its_end(caplog):
    async def body():
        try:
            while True:
                telemetry.count_storage(received=1)
                yield b"x"
        finally:
            telemetry.count_storage(sent=1)

    async def handler(request, context):
        return Response(200, (), body())

    response = await ask("GET", "/v2/studies/1.2", handler=handler)
    await asyncio.create_task(response.body.aclose())

    telemetry.take_along()
    assert used(caplog, "response-sent") == (2, 1, 1)


async def test_transactions_side_by_side_are_counted_apart(caplog):
    meet = asyncio.Barrier(2)

    async def handler(request, context):
        telemetry.count_storage(sent=len(request.query))
        await meet.wait()
        telemetry.count_storage()
        return Response(200)

    await asyncio.gather(*(ask("GET", f"/v2/studies?{query}", handler=handler) for query in ("a", "bcd")))

    found = [line for line in lines(caplog, telemetry.TELEMETRY_LOGGER) if line["event"] == "transaction"]
    assert sorted((line["storageRequests"], line["storageBytesSent"]) for line in found) == [(2, 1), (2, 3)]


async def test_announcing_changes_is_not_done_for_the_transaction_that_happens_to_start_it(caplog):
    class Publisher:
        async def publish(self, events) -> None:
            telemetry.count_storage(sent=1000)

    announcer = Announcer(Publisher(), lambda places: None)

    async def handler(request, context):
        telemetry.count_storage()
        announcer.announce(["place"])
        await announcer.close()
        return Response(200)

    await ask("GET", "/v2/studies", handler=handler)

    assert used(caplog) == (1, 0, 0)


def test_nothing_is_counted_outside_of_a_transaction():
    use = telemetry.StorageUse()
    with telemetry.counting(use):
        telemetry.count_storage(requests=0, received=3)
    telemetry.count_storage(received=4)

    assert use == telemetry.StorageUse(0, 0, 3)


def test_a_trigger_reports_what_it_took(caplog):
    with telemetry.trigger("sweep"):
        telemetry.count_storage(sent=2)

    assert used(caplog, "trigger") == (1, 2, 0)
    assert "failed" not in json.loads(caplog.records[0].getMessage())


def test_a_trigger_that_fails_reports_that_too(caplog):
    with pytest.raises(ValueError, match="broken"), telemetry.trigger("sweep"):
        raise ValueError("broken")

    line = json.loads(caplog.records[0].getMessage())
    assert (line["function"], line["failed"]) == ("sweep", True)


@pytest.mark.parametrize(("everything", "level", "written"), [("WARNING", "INFO", True), ("INFO", "WARNING", False)])
def test_telemetry_has_a_level_of_its_own(caplog, everything, level, written):
    caplog.set_level(everything)
    try:
        telemetry.set_level(level)
        assert logging.getLogger(telemetry.TELEMETRY_LOGGER).isEnabledFor(logging.INFO) is written
        assert logging.getLogger("other").isEnabledFor(logging.INFO) is not written
    finally:
        telemetry.set_level("")

    assert (
        logging.getLogger(telemetry.TELEMETRY_LOGGER).getEffectiveLevel() == logging.getLevelNamesMapping()[everything]
    )
