"""Changes become dirty studies: few writes, whatever their number and order."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from shared.cast.functions import QUEUE
from shared.cast.queueing import Message, read_message
from shared.cast.sweeping import Marking, SweepRequests
from shared.change_log.follower import FollowedChange
from shared.dicom.identifiers import InstanceIdentifier
from shared.index_schema.changes import LoggedChange
from tests.builders.cast import PARTITION, Cast, instance

STUDY = "2.25.1"


@dataclass
class Partitions:
    async def by_namespace(self, namespace: str):
        return SimpleNamespace(name=PARTITION if namespace == "0" else "Other")


def changes(study: str, numbers: range, namespace: str = "0") -> list[FollowedChange]:
    def change(number: int) -> LoggedChange:
        return LoggedChange("0" * 16, "create", namespace, InstanceIdentifier(study, "2.25.1.1", f"2.25.{number}"))

    return [FollowedChange(number, number * 1_000_000, change(number)) for number in numbers]


def marking(cast: Cast) -> Marking:
    return Marking(cast.studies, cast.hints, Partitions(), cast.settings)


@pytest.mark.spec("CAST-EV-3")
async def test_a_thousand_instances_are_few_writes_and_one_transaction() -> None:
    cast = Cast()
    writes = []

    async def count(_kind: str, operation: str) -> None:
        if operation == "commit":
            writes.append(1)

    cast.tables.before = count
    for page in range(5):
        await marking(cast).handle(changes(STUDY, range(page * 200 + 1, page * 200 + 201)))
    assert len(writes) == 5
    cast.have(STUDY, *(instance(STUDY, 1, number) for number in range(1, 1001)))
    for message, _ in cast.queue.sent:
        asked = read_message(message.encode())
        assert asked is not None
        await cast.worker.study(asked.key, asked.sequence)
    assert cast.fhir.transactions == 1
    assert cast.fhir.all("ImagingStudy")[0]["numberOfInstances"] == 1000


@pytest.mark.spec("CAST-EV-6")
async def test_a_page_that_is_handled_twice_or_late_changes_nothing() -> None:
    cast = Cast()
    await marking(cast).handle(changes(STUDY, range(1, 11)))
    cast.have(STUDY, instance(STUDY))
    await cast.worker.study(cast.key(STUDY))
    for _ in range(3):
        await marking(cast).handle(changes(STUDY, range(1, 11)))
    assert await cast.dirty() == {}


async def test_other_partitions_are_cast_by_setting() -> None:
    cast = Cast()
    await marking(cast).handle(changes(STUDY, range(1, 2), "other"))
    assert await cast.dirty() == {}
    cast = Cast(all_partitions=True)
    await marking(cast).handle(changes(STUDY, range(1, 2), "other"))
    assert await cast.dirty() == {STUDY: ""}


@pytest.mark.spec("CAST-EV-3")
async def test_a_sweep_is_asked_for_once_until_changes_have_settled() -> None:
    cast = Cast()
    processes = [SweepRequests(cast.tables, cast.hints, 5.0, cast.clock) for _ in range(3)]
    for _ in range(4):
        for process in processes:
            await process.ask()
        cast.clock.time += 1
    assert cast.queue.sent == [('{"kind":"sweep"}', 5)]
    cast.clock.time += 2
    await processes[0].ask()
    assert len(cast.queue.sent) == 2


def test_messages_are_read_or_not() -> None:
    assert QUEUE == "dicom-cast"
    assert read_message(b'{"kind":"probe"}') == Message("probe")
    for body in (b"", b"x", b"[]", b'{"kind":"study"}', b'{"kind":"other"}', b"null"):
        assert read_message(body) is None


@pytest.mark.spec("CAST-OK-1")
async def test_the_lag_is_counted_from_the_commit_of_the_oldest_change(collected) -> None:
    cast = Cast()
    committed = int(cast.clock.time) - 40
    for number in (5, 0, 9):
        await marking(cast).handle(changes(STUDY, range(committed + number, committed + number + 1)))
    cast.have(STUDY, instance(STUDY))
    await cast.worker.study(cast.key(STUDY))
    assert collected.values("dicom.cast.seconds") == [35.0]


@pytest.mark.spec("CAST-OK-1")
async def test_what_changes_during_an_attempt_is_counted_from_its_own_commit(collected) -> None:
    cast = Cast()
    now = int(cast.clock.time)
    await marking(cast).handle(changes(STUDY, range(now - 40, now - 39)))
    cast.have(STUDY, instance(STUDY))

    async def change() -> None:
        for committed in (now - 20, now - 10):
            await marking(cast).handle(changes(STUDY, range(committed, committed + 1)))

    cast.source.during = change
    await cast.worker.study(cast.key(STUDY))
    cast.have(STUDY, instance(STUDY), instance(STUDY, 1, 2))
    await cast.worker.study(cast.key(STUDY))
    assert collected.values("dicom.cast.seconds") == [40.0, 20.0]
