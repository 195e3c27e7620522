"""Writes of workitems: one transaction, one winner, nothing in between (storage §11)."""

import asyncio
import random

import pytest

from shared.errors import Unavailable
from shared.housekeeping import chores
from shared.storage.ports import Ambiguous
from shared.workitems import rows
from shared.workitems.outbox import Outbox
from shared.workitems.store import WorkitemChanged, WorkitemExists
from shared.workitems.workitem import created, without_transaction_uid
from tests.builders.http import KnownPartitions
from tests.builders.worklist import CLAIM, Worklist, codes, element, new_workitem, performed, state_change
from tests.fakes.tables import MemoryTableStore

UID = "1.2.3"


class Died(BaseException):
    """The process is gone."""


def attributes(**more):
    return without_transaction_uid(created(new_workitem(**more), UID, 1e9))


@pytest.mark.spec("WS-6", "WK-1")
@pytest.mark.parametrize("seed", range(5))
async def test_of_sixteen_claimants_one_wins(seed):
    order = random.Random(seed)

    async def pause(_kind, _operation):
        for _ in range(order.randrange(4)):
            await asyncio.sleep(0)

    worklist = Worklist(MemoryTableStore(before=pause, after=pause))
    await worklist.create()
    keys = [f"1.9.{number}" for number in range(16)]

    replies = await asyncio.gather(*(worklist.change(UID, "IN PROGRESS", key) for key in keys))

    assert sorted(reply.status for reply in replies) == [200] + [400] * 15
    winner = keys[[reply.status for reply in replies].index(200)]
    assert rows.workitem_of(worklist.row(UID)).claim == winner
    assert all("C301" in reply.text for reply in replies if reply.status == 400)
    assert [event.number for event in worklist.events(UID)] == [1, 2]
    worklist.check()


@pytest.mark.spec("WU-9", "WX-11", "WK-1", "WK-2")
async def test_who_was_slower_changes_nothing():
    worklist = Worklist()
    await worklist.create()
    read = await worklist.workitems.get("0", UID)

    async def meanwhile(kind, operation):
        if operation == "commit":
            worklist.tables.before = None
            assert (await worklist.update(UID, {"00400400": element("LT", "first")})).status == 200

    worklist.tables.before = meanwhile
    updated = await worklist.update(UID, {"00400400": element("LT", "second")})
    worklist.tables.before = meanwhile
    canceled = await worklist.cancel(UID)
    worklist.tables.before = meanwhile
    claimed = await worklist.change(UID, "IN PROGRESS")

    assert (updated.status, updated.warning) == (409, "The workitem was changed by another request.")
    assert (canceled.status, canceled.warning) == (409, "The workitem was changed by another request.")
    assert (claimed.status, claimed.warning) == (409, "The workitem was changed by another request.")
    assert (await worklist.retrieve(UID))["00400400"] == element("LT", "first")
    with pytest.raises(WorkitemChanged):
        await worklist.workitems.write(read, read.workitem)
    worklist.check()


async def test_two_creations_have_one_winner():
    worklist = Worklist()

    async def make():
        await worklist.workitems.create("0", UID, attributes())

    results = await asyncio.gather(*(make() for _ in range(8)), return_exceptions=True)

    assert [result for result in results if not isinstance(result, WorkitemExists)] == [None]
    worklist.check()


@pytest.mark.spec("WK-1")
@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("step", ["create", "claim", "update", "complete"])
async def test_a_lost_answer_is_made_up_for(step, applied):
    worklist = Worklist()
    lost = [1 if applied else 2]

    async def lose(_kind, operation):
        if operation == "commit" and lost[0]:
            lost[0] -= 1
            raise Ambiguous

    async def fail_at(name, request):
        if name == step:
            setattr(worklist.tables, "after" if applied else "before", lose)
        return await request

    assert (await fail_at("create", worklist.send("POST", f"workitems?{UID}", new_workitem()))).status == 201
    assert (await fail_at("claim", worklist.change(UID, "IN PROGRESS"))).status == 200
    assert (await fail_at("update", worklist.update(UID, performed(), CLAIM))).status == 200
    assert (await fail_at("complete", worklist.change(UID, "COMPLETED"))).status == 200

    assert lost == [0]
    assert [event.number for event in worklist.events(UID)] == [1, 2, 3, 4]
    worklist.check()


async def test_a_late_attempt_that_was_applied_after_all_is_recognised():
    worklist = Worklist()
    await worklist.create()
    held = []
    commit = worklist.tables.commit

    async def late(kind, operations):
        if not held:
            held.append(operations)
            raise Ambiguous
        if len(held) == 1:
            held.append(operations)
            await commit(kind, held[0])  # what was thought to be lost arrives just before its repetition
        return await commit(kind, operations)

    worklist.tables.commit = late
    assert (await worklist.change(UID, "IN PROGRESS")).status == 200
    assert [event.number for event in worklist.events(UID)] == [1, 2]
    worklist.check()


async def test_others_may_write_before_a_lost_answer_is_looked_into():
    worklist = Worklist()
    await worklist.create()

    async def others(_kind, operation):
        if operation == "commit":
            worklist.tables.after = None
            assert (await worklist.update(UID, {"00400400": element("LT", "x")}, CLAIM)).status == 200
            raise Ambiguous

    worklist.tables.after = others

    assert (await worklist.change(UID, "IN PROGRESS")).status == 200
    worklist.check()


@pytest.mark.spec("WK-2")
async def test_a_store_that_is_away_leaves_everything_as_it_was():
    worklist = Worklist()
    await worklist.create()
    before = worklist.tables.rows("worklist")

    async def away(_kind, operation):
        if operation == "commit":
            raise Unavailable

    worklist.tables.before = away

    assert (await worklist.change(UID, "IN PROGRESS")).status == 503
    assert (await worklist.send("POST", "workitems?1.4", new_workitem())).status == 503
    assert worklist.tables.rows("worklist") == before


WRITES = {
    "create": ("POST", "workitems?1.4", new_workitem()),
    "claim": ("PUT", f"workitems/{UID}/state", state_change("IN PROGRESS")),
    "update": ("POST", f"workitems/{UID}", {"00404025": codes("A", "B")}),
    "cancel": ("POST", f"workitems/{UID}/cancelrequest", None),
}


@pytest.mark.spec("WK-2", "WK-5")
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", WRITES)
async def test_a_process_that_dies_leaves_a_write_whole_or_undone(name, moment):
    method, path, data_set = WRITES[name]
    whole = Worklist()
    await whole.create()
    whole.tables.requests = 0
    assert (await whole.send(method, path, data_set)).status < 300

    for dying in range(1, whole.tables.requests + 1):
        worklist = Worklist()
        await worklist.create()
        before = worklist.tables.rows("worklist")
        left = dying

        async def die(_kind, _operation):
            nonlocal left
            left -= 1
            if not left:
                raise Died

        setattr(worklist.tables, moment, die)
        with pytest.raises(Died):
            await worklist.send(method, path, data_set)
        worklist.tables.before = worklist.tables.after = None

        done = dying == whole.tables.requests and moment == "after"
        assert (worklist.tables.rows("worklist") != before) == done
        worklist.check()


async def test_a_removed_workitem_leaves_its_event_alone():
    worklist = Worklist()
    await worklist.in_state("COMPLETED")
    stored = await worklist.workitems.get("0", UID)

    await worklist.workitems.remove(stored)

    assert worklist.row(UID) is None
    assert {row.row_key[:2] for row in worklist.tables.rows("worklist")} == {"e!"}
    last = worklist.events(UID)[-1]
    assert (last.number, last.removed, last.reports) == (5, True, ())
    assert await worklist.find() == []


async def test_a_workitem_that_has_changed_is_not_removed():
    worklist = Worklist()
    await worklist.create()
    stored = await worklist.workitems.get("0", UID)
    await worklist.update(UID, {"00400400": element("LT", "x")})

    with pytest.raises(WorkitemChanged):
        await worklist.workitems.remove(stored)
    worklist.check()


@pytest.mark.parametrize("applied", [False, True])
async def test_a_removal_without_an_answer_is_looked_into(applied):
    worklist = Worklist()
    await worklist.create()
    stored = await worklist.workitems.get("0", UID)

    async def lose(_kind, operation):
        if operation == "commit":
            worklist.tables.before = worklist.tables.after = None
            raise Ambiguous

    setattr(worklist.tables, "after" if applied else "before", lose)
    await worklist.workitems.remove(stored)

    assert worklist.row(UID) is None
    assert [event.number for event in worklist.events(UID)] == [1, 2]


# -------------------------------------------------------------------------------------------------------------- outbox


async def pending(outbox):
    return [each for key in rows.partition_keys("0") for each in await outbox.pending(key)]


@pytest.mark.spec("WK-5")
@pytest.mark.parametrize("options", [{}, {"page_limit": 2, "empty_page_every": 2}])
async def test_events_wait_until_they_are_removed(options):
    worklist = Worklist(MemoryTableStore(**options))
    uids = [f"1.{number}" for number in range(20)]
    for uid in uids:
        await worklist.create(uid)
    for uid in uids:
        worklist.time.seconds -= 10  # clocks of processes differ
        assert (await worklist.change(uid, "IN PROGRESS")).status == 200
    outbox = Outbox(worklist.tables)

    first = await pending(outbox)
    assert await pending(outbox) == first
    for uid in uids:
        assert [each.event.number for each in first if each.event.uid == uid] == [1, 2]
    for key in rows.partition_keys("0"):
        told = await outbox.pending(key, most=3)
        await outbox.remove(told)
        await outbox.remove(told)  # told twice, after a crash
        assert not {each.row_key for each in told} & {each.row_key for each in await outbox.pending(key)}
    assert len(await pending(outbox)) == len(first) - 12


async def test_events_that_nobody_tells_of_are_forgotten():
    worklist = Worklist()
    await worklist.create("1.1")
    worklist.time.seconds += 100
    await worklist.create("1.2")
    outbox = Outbox(worklist.tables)

    assert await outbox.forget("0", int((worklist.time() - 50) * 1000)) == 1
    assert await outbox.forget("0", int((worklist.time() - 50) * 1000)) == 0
    assert [each.event.uid for each in await pending(outbox)] == ["1.2"]


async def test_the_chore_forgets_events_of_every_partition_after_a_day():
    worklist = Worklist(data_partitions=True)
    for uid, partition in (("1.1", "ward"), ("1.2", "ward"), ("1.3", "new")):
        assert (await worklist.send("POST", f"partitions/{partition}/workitems?{uid}", new_workitem())).status == 201
        worklist.time.seconds += 100
    directory = KnownPartitions("ward", "new")
    chore = chores.forget_workitem_events(Outbox(worklist.tables), directory, worklist.time)
    worklist.time.seconds += 86_400 - 150

    await chore.run()

    left = [row for row in worklist.tables.rows("worklist") if row.row_key.startswith("e!")]
    assert [rows.event_in(row).uid for row in left] == ["1.3"]
