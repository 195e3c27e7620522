"""Every study is marked once, also when the work is interrupted."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from shared.cast.backfill import Backfill
from shared.cast.dirty_studies import StudyKey
from shared.operations.model import OperationFailed
from shared.outgoing.failures import Failure, request_failed
from tests.builders.cast import Cast, instance


class Paused(Exception):
    pass


class Lease:
    """A lease that is lost at a checkpoint, if told so."""

    def __init__(self, checkpoint: dict[str, Any] | None = None, *, pauses: bool = False) -> None:
        self.operation = SimpleNamespace(checkpoint=checkpoint or {})
        self.pauses = pauses

    async def checkpoint(self, state: dict[str, Any], **_more: Any) -> None:
        self.operation.checkpoint = state
        if self.pauses:
            raise Paused


def listing(cast: Cast, names: list[str]):
    async def listed() -> AsyncIterator[StudyKey]:
        for name in names:
            yield cast.key(name)

    return listed


@pytest.mark.spec("CAST-EV-8")
async def test_every_study_is_reconciled_whatever_was_written_before() -> None:
    cast = Cast()
    for number in range(3):
        await cast.cast(f"2.25.{number}", instance(f"2.25.{number}"))
    cast.have("2.25.3", instance("2.25.3"))
    for study in cast.fhir.all("ImagingStudy"):
        del cast.fhir.resources["ImagingStudy", study["id"]]
    backfill = Backfill(listing(cast, [f"2.25.{number}" for number in range(4)]), cast.studies)
    assert await backfill(Lease()) == {"studies": 4}
    cast.clock.time += 61
    assert await cast.worker.retry() == 4
    for number in range(4):
        await cast.worker.study(cast.key(f"2.25.{number}"))
    assert len(cast.fhir.all("ImagingStudy")) == 4
    assert await cast.dirty() == {}


@pytest.mark.spec("CAST-EV-8")
async def test_what_was_marked_before_an_interruption_is_not_marked_again() -> None:
    cast, names = Cast(), [f"2.25.{number}" for number in range(450)]
    backfill = Backfill(listing(cast, names), cast.studies)
    lease = Lease(pauses=True)
    with pytest.raises(Paused):
        await backfill(lease)
    assert len(await cast.dirty()) == 200
    marked: list[int] = []

    async def count(_kind: str, operation: str) -> None:
        if operation == "commit":
            marked.append(1)

    cast.tables.before = count
    assert await backfill(Lease(lease.operation.checkpoint)) == {"studies": 450}
    assert len(marked) == 250
    assert len(await cast.dirty()) == 450


@pytest.mark.spec("CAST-EV-8")
async def test_where_the_study_of_the_checkpoint_was_deleted_all_are_marked() -> None:
    cast = Cast()
    backfill = Backfill(listing(cast, ["2.25.1", "2.25.2"]), cast.studies)
    gone = {"studies": 200, "after": cast.key("2.25.404").name}
    assert await backfill(Lease(gone)) == {"studies": 2}
    assert len(await cast.dirty()) == 2


async def test_a_server_that_lists_nothing_fails_the_operation() -> None:
    cast = Cast()

    async def listed() -> AsyncIterator[StudyKey]:
        raise request_failed(Failure.PERMISSION, "no")
        yield cast.key("")

    with pytest.raises(OperationFailed):
        await Backfill(listed, cast.studies)(Lease())
