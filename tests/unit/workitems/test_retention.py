"""Workitems whose retention is over are removed, and stay known as such (WK-7)."""

import pytest

from shared.errors import Unavailable
from shared.housekeeping import chores
from shared.storage.ports import Ambiguous
from shared.workitems import retention
from shared.workitems.retention import Retention
from tests.builders.http import KnownPartitions
from tests.builders.worklist import CLAIM, Worklist, element, new_workitem
from tests.fakes.tables import MemoryTableStore

pytestmark = pytest.mark.spec("WK-7")
DAY = 86_400


def kept_for(worklist: Worklist, days: float = 30) -> Retention:
    return Retention(worklist.tables, worklist.workitems, days)


async def test_what_has_ended_long_ago_is_removed():
    worklist = Worklist()
    for number, state in enumerate(("SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED"), 1):
        await worklist.in_state(state, f"1.2.{number}")
    worklist.time.seconds += 29 * DAY
    await worklist.in_state("COMPLETED", "1.2.5")
    assert await kept_for(worklist).remove("0") == 0
    worklist.time.seconds += 1 * DAY + 1
    assert await kept_for(worklist).remove("0") == 2
    assert sorted(await worklist.find()) == ["1.2.1", "1.2.2", "1.2.5"]
    assert await worklist.find("ProcedureStepState=CANCELED") == []
    assert await kept_for(worklist).remove("0") == 0


async def test_what_is_written_meanwhile_stays():
    worklist = Worklist()
    await worklist.in_state("IN PROGRESS")
    worklist.time.seconds += 40 * DAY
    assert (await worklist.update("1.2.3", {"00400400": element("LT", "x")}, CLAIM)).status == 200
    assert await kept_for(worklist).remove("0") == 0


async def test_every_transaction_says_that_it_is_gone():
    worklist = Worklist()
    await worklist.in_state("COMPLETED")
    worklist.time.seconds += 40 * DAY
    assert await kept_for(worklist).remove("0") == 1
    gone = "The workitem instance has been removed."
    for reply in (await worklist.send("GET", "workitems/1.2.3"), await worklist.cancel("1.2.3")):
        assert (reply.status, reply.json) == (410, gone)
    for reply in (await worklist.change("1.2.3", "COMPLETED"), await worklist.update("1.2.3", {}, CLAIM)):
        assert (reply.status, reply.text, reply.warning) == (410, gone, gone)
    assert (await worklist.send("POST", "workitems?1.2.3", [new_workitem()])).status == 409


async def test_nothing_is_left_of_it_but_that_it_was_there():
    worklist = Worklist()
    await worklist.in_state("COMPLETED")
    worklist.time.seconds += 40 * DAY
    await kept_for(worklist).remove("0")
    rows = [row for row in worklist.tables.rows("worklist") if not row.row_key.startswith("e!")]
    assert [(row.row_key, set(row.properties)) for row in rows] == [("w!1.2.3", {"removed"})]
    assert [event.removed for event in worklist.events("1.2.3")] == [False, False, False, False, True]


@pytest.mark.parametrize("applied", [False, True])
async def test_a_lost_answer_does_no_harm(*, applied: bool):
    worklist = Worklist()
    await worklist.in_state("COMPLETED")
    worklist.time.seconds += 40 * DAY

    async def lose(_kind, operation):
        if operation == "commit":
            worklist.tables.before = worklist.tables.after = None
            raise Ambiguous

    setattr(worklist.tables, "after" if applied else "before", lose)
    assert await kept_for(worklist).remove("0") == 1
    assert len(worklist.events("1.2.3")) == 5
    assert await worklist.find() == []


async def test_a_run_has_its_bounds(monkeypatch):
    monkeypatch.setattr(retention, "_MOST", 1)
    worklist = Worklist(MemoryTableStore(page_limit=1))
    for number in range(8):
        await worklist.in_state("CANCELED", f"1.2.{number}")
    worklist.time.seconds += 40 * DAY
    runs = [await kept_for(worklist).remove("0") for _ in range(9)]
    assert sum(runs) == 8
    assert max(runs) <= 4


async def test_the_chore_is_done_in_every_data_partition():
    worklist = Worklist()
    await worklist.in_state("COMPLETED")
    worklist.time.seconds += 40 * DAY
    chore = chores.remove_workitems(kept_for(worklist), KnownPartitions())
    await chore.run()
    assert await worklist.find() == []

    async def refuse(_kind, _operation):
        raise Unavailable("busy")

    worklist.tables.before = refuse
    with pytest.raises(Unavailable):
        await chore.run()
