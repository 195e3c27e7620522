"""Subscribers that have nothing left are removed, and no others (WE-16)."""

import pytest

from shared.subscriptions.store import MOST
from shared.workitems.rows import TABLE
from tests.builders.subscriptions import ALL, NAMESPACE, PART, Watched, value
from tests.fakes.tables import MemoryTableStore

HOUR = 3_600
PATH = f"workitems/{ALL}/subscribers/AE"


def as_(name):
    return ("Authorization", f"Bearer {name}")


def rows_of_subscribers(worklist):
    return [row.row_key for row in worklist.tables.rows(TABLE) if row.partition_key == f"s!{NAMESPACE}"]


async def clear_later(worklist, seconds=HOUR + 1):
    """The chore runs twice: what is left of subscriptions goes first."""
    worklist.time.seconds += seconds
    await worklist.clear()
    await worklist.clear()


@pytest.fixture
async def worklist():
    """A worklist with two workitems."""
    made = Watched()
    for uid in ("1.2.3", "1.2.4"):
        await made.create(uid)
    await made.tell()
    made.time.seconds += 1
    return made


async def never_subscribed(worklist):
    assert (await worklist.send("GET", "subscribers/AE")).status == 307


async def ended_all(worklist):
    await worklist.subscribe("1.2.3")
    await worklist.subscribe(ALL)
    assert (await worklist.unsubscribe(ALL)).status == 200


async def ended_a_filter(worklist):
    await worklist.subscribe(PART, query="filter=ProcedureStepState=SCHEDULED")
    await worklist.create("1.2.5")
    await worklist.tell()
    assert (await worklist.unsubscribe(PART)).status == 200


async def ended_each(worklist):
    for uid in ("1.2.3", "1.2.4"):
        await worklist.subscribe(uid)
    for uid in ("1.2.3", "1.2.4"):
        assert (await worklist.unsubscribe(uid)).status == 200


async def lost_its_workitem(worklist):
    await worklist.subscribe("1.2.3")
    await worklist.workitems.retire(await worklist.workitems.get(NAMESPACE, "1.2.3"))
    await worklist.tell()


@pytest.mark.spec("WE-16")
@pytest.mark.parametrize("ending", [never_subscribed, ended_all, ended_a_filter, ended_each, lost_its_workitem])
async def test_who_has_nothing_left_goes_after_an_hour(worklist, ending):
    await ending(worklist)
    await clear_later(worklist, HOUR - 60)
    assert "ae!AE" in rows_of_subscribers(worklist)

    await clear_later(worklist, 61)

    assert rows_of_subscribers(worklist) == []


@pytest.mark.spec("WE-8", "WE-16")
async def test_who_has_gone_makes_room(worklist, monkeypatch):
    assert MOST == 500
    monkeypatch.setattr("shared.subscriptions.store.MOST", 2)
    for aetitle in ("ONE", "TWO"):
        await worklist.subscribe(ALL, aetitle)
        await worklist.unsubscribe(ALL, aetitle)
    assert (await worklist.subscribe(ALL, "THREE")).status == 409

    await clear_later(worklist)

    assert (await worklist.subscribe(ALL, "THREE")).status == 201


@pytest.mark.spec("WE-15", "WE-16")
async def test_the_ae_title_of_who_has_gone_is_free(worklist):
    path = "workitems/1.2.3/subscribers/AE"
    for method in ("POST", "DELETE"):
        assert (await worklist.send(method, path, None, as_("read"))).status < 300
    assert (await worklist.send("POST", PATH, None, as_("read+write"))).status == 403

    await clear_later(worklist)

    assert (await worklist.send("POST", PATH, None, as_("read+write"))).status == 201
    assert (await worklist.send("POST", PATH, None, as_("read"))).status == 403


async def all_workitems(worklist):
    await worklist.subscribe(ALL)


async def a_suspended_subscription(worklist):
    await worklist.subscribe(ALL)
    assert (await worklist.suspend(ALL)).status == 200


async def a_filter(worklist):
    await worklist.subscribe(PART, query="filter=PatientID=nobody")


async def one_workitem(worklist):
    for uid in ("1.2.3", "1.2.4"):
        await worklist.subscribe(uid)
    assert (await worklist.unsubscribe("1.2.4")).status == 200


async def a_connection(worklist):
    await worklist.connect()


@pytest.mark.spec("WE-16")
@pytest.mark.parametrize("what", [all_workitems, a_suspended_subscription, a_filter, one_workitem, a_connection])
async def test_who_has_something_stays(worklist, what):
    await what(worklist)
    (before,) = await worklist.subscriptions.all(NAMESPACE)

    await clear_later(worklist, 1000 * HOUR)

    assert await worklist.subscriptions.all(NAMESPACE) == [before]


@pytest.mark.spec("WE-6", "WE-16")
async def test_who_has_reports_stays_until_they_are_an_hour_old(worklist):
    await worklist.subscribe(ALL)
    worklist.time.seconds += HOUR - 60
    await worklist.create("1.2.5")
    await worklist.tell()
    assert (await worklist.unsubscribe(ALL)).status == 200

    await clear_later(worklist, 120)
    await worklist.connect(after=0)
    (report,) = worklist.got()
    assert value(report, "00001000") == "1.2.5"
    worklist.disconnect()

    await clear_later(worklist)
    assert rows_of_subscribers(worklist) == []


@pytest.mark.spec("WE-16")
async def test_a_request_in_the_last_moment_keeps_its_subscriber(worklist, monkeypatch):
    await never_subscribed(worklist)

    async def is_connected(_user):
        assert (await worklist.subscribe(ALL)).status == 201
        return False

    monkeypatch.setattr(worklist.channel, "is_connected", is_connected)
    worklist.time.seconds += HOUR + 1
    await worklist.clear()

    (subscriber,) = await worklist.subscriptions.all(NAMESPACE)
    assert subscriber.exists


@pytest.mark.spec("WE-1", "WE-16")
async def test_what_is_asked_for_while_subscriptions_are_looked_at_counts(worklist, monkeypatch):
    await ended_each(worklist)
    read = worklist.subscriptions.stored

    async def then_asks(namespace):
        found = await read(namespace)
        monkeypatch.undo()
        assert (await worklist.subscribe(ALL)).status == 201
        assert (await worklist.unsubscribe("1.2.3")).status == 200
        assert (await worklist.subscribe("1.2.4")).status == 201
        return found

    monkeypatch.setattr(worklist.subscriptions, "stored", then_asks)
    await clear_later(worklist)
    await worklist.connect()
    worklist.got()

    for uid in ("1.2.3", "1.2.4"):
        await worklist.change(uid, "IN PROGRESS")

    assert await worklist.reported() == [("1.2.4", 1, "IN PROGRESS")]


@pytest.mark.spec("WE-1", "WE-16")
async def test_a_subscription_that_is_made_anew_in_the_last_moment_stays(worklist, monkeypatch):
    await ended_all(worklist)
    remove = worklist.subscriptions.remove

    async def asks_before(found, **options):
        if any(row.row_key.startswith("wi!") for row in found):
            monkeypatch.undo()
            assert (await worklist.subscribe("1.2.3")).status == 201
        await remove(found, **options)

    monkeypatch.setattr(worklist.subscriptions, "remove", asks_before)
    await clear_later(worklist)
    await worklist.connect()
    worklist.got()

    await worklist.change("1.2.3", "IN PROGRESS")

    assert await worklist.reported() == [("1.2.3", 1, "IN PROGRESS")]


@pytest.mark.spec("WE-16")
async def test_subscriptions_of_who_has_gone_do_not_come_back(worklist):
    await ended_all(worklist)
    await clear_later(worklist)

    await worklist.connect()
    await worklist.subscribe("1.2.4")
    for uid in ("1.2.3", "1.2.4"):
        await worklist.change(uid, "IN PROGRESS")

    assert await worklist.reported() == [("1.2.4", 1, "SCHEDULED"), ("1.2.4", 1, "IN PROGRESS")]


@pytest.mark.spec("WE-7", "WE-16")
async def test_who_comes_back_with_a_report_of_before_is_told_that_some_are_missing(worklist):
    await ended_all(worklist)
    await clear_later(worklist)

    await worklist.connect(after=41)

    (report,) = worklist.got()
    assert (value(report, "00001002"), value(report, "00741242")) == (4, "RESTARTED")


class Died(BaseException):
    """The process is gone."""


@pytest.mark.spec("WE-16")
async def test_it_is_done_again_wherever_a_process_dies():
    left = 0

    async def before(_kind, _operation):
        nonlocal left
        left -= 1
        if left == 0:
            raise Died

    worklist = Watched(MemoryTableStore(before=before))
    await worklist.create("1.2.3")
    for step in range(1, 30):
        await ended_all(worklist)
        worklist.time.seconds += HOUR + 1
        left = step
        try:
            for _ in range(2):
                await worklist.clear()
        except Died:
            died = True
        else:
            died = False
        left = 0
        await worklist.clear()
        await worklist.clear()
        assert rows_of_subscribers(worklist) == []
        if not died:
            assert step > 8
            return
    raise AssertionError("it never came to an end")
