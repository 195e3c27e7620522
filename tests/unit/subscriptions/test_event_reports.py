"""Event reports: what is in them (PS3.4 Table CC.2.4-1), and that none is lost, told out of order or told unseen."""

import asyncio
from dataclasses import replace

import orjson
import pytest

from shared.errors import Unavailable
from shared.subscriptions import reports, rows
from shared.subscriptions.channel import user_of
from shared.subscriptions.delivery import LEASE_MS
from shared.subscriptions.dispatch import Dispatch
from shared.subscriptions.subscriber import MESSAGE_IDS, MOST_REPORTS, message_id
from shared.workitems.outbox import Outbox
from shared.workitems.rows import TABLE
from shared.worklist.subscribe.request import is_match
from tests.builders.subscriptions import ALL, NAMESPACE, Watched, channel_user, value
from tests.builders.worklist import CLAIM, codes, element, performed, performer

UPS_PUSH = "1.2.840.10008.5.1.4.34.6.1"


@pytest.fixture
async def worklist():
    """A worklist to all of which AE is subscribed and connected."""
    made = Watched()
    await made.connect()
    await made.subscribe(ALL)
    return made


def numbers(found):
    """The Message IDs of reports."""
    return [value(each, "00000110") for each in found]


@pytest.mark.spec("WE-2")
async def test_the_reports_of_a_whole_life(worklist):
    await worklist.create(
        "1.2.3", t00404025=codes("CT1"), t00404034=element("SQ", performer("H1"), performer("H2", "Roe^Jo", "Home"))
    )
    await worklist.change("1.2.3", "IN PROGRESS")
    item = {"00741004": element("DS", 50), "00741006": element("ST", "half"), "00404052": element("DT", "20260101")}
    await worklist.update("1.2.3", {"00741002": element("SQ", item)}, CLAIM)
    await worklist.update("1.2.3", {"00404041": element("CS", "INCOMPLETE")}, CLAIM)
    await worklist.update("1.2.3", performed(), CLAIM)
    await worklist.change("1.2.3", "COMPLETED")

    await worklist.tell()
    found = worklist.got()

    base = {"00000002": element("UI", UPS_PUSH), "00001000": element("UI", "1.2.3")}
    ready, incomplete = element("CS", "READY"), element("CS", "INCOMPLETE")

    def report(number, event_type, **attributes):
        command = {"00000110": element("US", number), "00001002": element("US", event_type)}
        return {**base, **command, **{name[1:]: each for name, each in attributes.items()}}

    def state(text):
        return element("CS", text)

    assert found == [
        report(1, 1, t00404041=ready, t00741000=state("SCHEDULED")),
        report(
            2,
            5,
            t00404025=codes("CT1"),
            t00404034=element("SQ", performer("H1"), performer("H2", "Roe^Jo", "Home")),
            t00404009=codes("H1", "H2"),
            t00404036=element("LO", "Ward"),
        ),
        report(3, 1, t00404041=ready, t00741000=state("IN PROGRESS")),
        report(4, 3, t00741002=element("SQ", {"00741004": element("DS", 50), "00741006": element("ST", "half")})),
        report(5, 1, t00404041=incomplete, t00741000=state("IN PROGRESS")),
        report(6, 1, t00404041=incomplete, t00741000=state("COMPLETED")),
    ]
    assert CLAIM not in str(found)


@pytest.mark.spec("WE-2")
async def test_the_report_of_a_cancellation_has_its_reasons(worklist):
    await worklist.in_state("CANCELED")
    await worklist.create("1.2.4")
    await worklist.cancel("1.2.4", [{"00741238": element("LT", "gone")}])

    await worklist.tell()
    found = worklist.got()

    by_performer = [each for each in found if value(each, "00001000") == "1.2.3"][-1]
    assert by_performer["0074100E"] == codes("110501")
    requested, canceled = [each for each in found if value(each, "00001000") == "1.2.4"][1:]
    assert value(requested, "00001002") == 2
    assert requested["00741236"] == element("AE", "UNKNOWN")
    assert value(canceled, "00001002") == 1
    assert canceled["00741238"] == element("LT", "gone")


@pytest.mark.spec("WE-2")
async def test_a_long_report_is_sent_without_what_may_be_absent(worklist):
    await worklist.in_state("IN PROGRESS")
    parameter = {"0040A040": element("CS", "TEXT"), "0040A043": codes("1"), "0040A160": element("UT", "x" * 1000)}
    item = {"00741004": element("DS", 50), "00741007": element("SQ", *[parameter] * 500)}
    reply = await worklist.update("1.2.3", {"00741002": element("SQ", item)}, CLAIM)
    assert reply.status == 200, reply.body

    await worklist.tell()

    assert worklist.got()[-1]["00741002"] == element("SQ", {"00741004": element("DS", 50)})


@pytest.mark.spec("WE-5")
async def test_message_ids_count_the_reports_of_each_subscriber(worklist):
    await worklist.subscribe(ALL, "LATE")
    await worklist.connect("LATE")
    for number in range(5):
        await worklist.create(f"1.2.{number + 1}")
    await worklist.tell()

    assert numbers(worklist.got()) == [1, 2, 3, 4, 5]
    assert numbers(worklist.got("LATE")) == [1, 2, 3, 4, 5]
    assert [message_id(n) for n in (1, MESSAGE_IDS, MESSAGE_IDS + 1)] == [1, MESSAGE_IDS, 1]


@pytest.mark.spec("WE-6")
async def test_what_happens_without_a_connection_is_sent_when_there_is_one(worklist):
    await worklist.create("1.2.3")
    await worklist.tell()
    worklist.disconnect()
    await worklist.change("1.2.3", "IN PROGRESS")
    await worklist.tell()
    assert numbers(worklist.got()) == [1]

    await worklist.connect(after=1)

    assert numbers(worklist.got()) == [2]


@pytest.mark.spec("WE-6")
async def test_who_does_not_say_what_it_has_got_gets_the_last_minutes_again(worklist):
    for number in range(4):
        await worklist.create(f"1.2.{number + 1}")
        await worklist.tell()
        worklist.time.seconds += 120
    worklist.got()
    worklist.disconnect()

    await worklist.connect()

    assert numbers(worklist.got()) == [3, 4]


@pytest.mark.spec("WE-6")
@pytest.mark.parametrize(("after", "expected"), [(0, [1, 2, 3]), (2, [3]), (3, [])])
async def test_a_connection_begins_behind_the_report_that_is_named(worklist, after, expected):
    for number in range(3):
        await worklist.create(f"1.2.{number + 1}")
    await worklist.tell()
    worklist.got()
    worklist.disconnect()

    await worklist.connect(after=after)

    assert numbers(worklist.got()) == expected


@pytest.mark.spec("WE-7")
async def test_what_is_no_longer_kept_shows_as_a_gap_and_is_said(worklist):
    await worklist.create("1.2.3")
    await worklist.tell()
    worklist.got()
    worklist.disconnect()
    await worklist.create("1.2.4")
    await worklist.tell()
    worklist.time.seconds += 3601
    await worklist.clear()

    await worklist.connect(after=1)

    (report,) = worklist.got()
    assert numbers([report]) == [3]
    assert report["00001000"] == element("UI", ALL)
    assert report["00001002"] == element("US", 4)
    assert report["00741242"] == element("CS", "RESTARTED")
    assert report["00741244"] == report["00741246"] == element("CS", "WARM START")


@pytest.mark.spec("WE-8")
async def test_who_has_been_away_for_long_costs_nothing_and_is_told_so(worklist):
    worklist.disconnect()
    worklist.time.seconds += 3601
    await worklist.create("1.2.3")
    await worklist.tell()
    (before,) = await worklist.subscriptions.all(NAMESPACE)
    assert (before.absent, before.last) == (True, 1)

    await worklist.create("1.2.4")
    await worklist.tell()
    assert await worklist.subscriptions.all(NAMESPACE) == [before]

    await worklist.connect()
    assert [(value(each, "00000110"), value(each, "00001002")) for each in worklist.got()] == [(2, 4)]
    await worklist.create("1.2.5")
    await worklist.tell()
    assert numbers(worklist.got()) == [3]


@pytest.mark.spec("WE-8")
async def test_who_is_connected_is_never_away(worklist):
    worklist.time.seconds += 10_000
    await worklist.create("1.2.3")
    await worklist.tell()

    assert numbers(worklist.got()) == [1]


@pytest.mark.spec("WE-8")
async def test_a_subscriber_to_whom_nothing_can_be_sent_harms_nobody(worklist):
    await worklist.subscribe(ALL, "SICK")
    await worklist.connect("SICK")
    worklist.channel.broken.add(channel_user("SICK"))
    await worklist.create("1.2.3")

    with pytest.raises(Unavailable):
        await worklist.tell()

    assert numbers(worklist.got()) == [1]
    worklist.channel.broken.clear()
    await worklist.tell()
    assert numbers(worklist.got("SICK")) == [1]
    assert worklist.got() == []


@pytest.mark.spec("WE-8")
async def test_old_reports_and_too_many_are_removed(worklist, monkeypatch):
    assert MOST_REPORTS < MESSAGE_IDS
    monkeypatch.setattr("shared.subscriptions.clearing.MOST_REPORTS", 3)
    for number in range(5):
        await worklist.create(f"1.2.{number + 1}")
    await worklist.tell()

    await worklist.clear()
    kept = [row.row_key for row in worklist.tables.rows(TABLE) if row.row_key.startswith("er!")]
    assert kept == [rows.report_key("AE", number) for number in (3, 4, 5)]

    worklist.time.seconds += 3601
    await worklist.clear()
    assert not [row for row in worklist.tables.rows(TABLE) if row.row_key.startswith(("er!", "no!"))]


@pytest.mark.spec("WE-9")
async def test_events_that_are_told_by_several_at_once_are_told_once_and_in_order(worklist):
    others = [Dispatch(worklist.subscriptions, Outbox(worklist.tables), worklist.channel, is_match) for _ in range(3)]
    await worklist.in_state("IN PROGRESS")
    for number in range(10):
        progress = {"00741002": element("SQ", {"00741004": element("DS", number)})}
        await worklist.update("1.2.3", progress, CLAIM)

    await asyncio.gather(*(each.sweep(NAMESPACE) for each in others))
    await worklist.tell()

    found = worklist.got()
    assert numbers(found) == list(range(1, 13))
    assert [value(value(each, "00741002"), "00741004") for each in found[2:]] == list(range(10))


@pytest.mark.spec("WE-9")
async def test_a_lease_that_a_dead_process_holds_ends(worklist):
    await worklist.create("1.2.3")

    async def hold(subscriber):
        return replace(subscriber, lease="dead", lease_ms=worklist.subscriptions.now_ms() + LEASE_MS), ()

    await worklist.subscriptions.change(NAMESPACE, "AE", hold)
    await worklist.tell()
    assert worklist.got() == []

    worklist.time.seconds += LEASE_MS / 1000 + 1
    await worklist.tell()
    assert numbers(worklist.got()) == [1]


@pytest.mark.spec("WE-13")
async def test_subscribers_of_another_partition_hear_nothing():
    worklist = Watched(data_partitions=True)
    assert user_of("0", "AE") != user_of("1", "AE")
    assert rows.partition_key("0") != rows.partition_key("1")
    await worklist.subscriptions.subscribe("0", "AE", "sub=user-all")
    await worklist.subscriptions.subscribe("1", "AE", "sub=user-all")
    worklist.channel.connected[channel_user("AE", "1")].add("x")
    worklist.channel.connected[channel_user("AE", "0")].add("y")
    await worklist.workitems.create("0", "1.2.3", {})

    await worklist.tell("0")
    await worklist.tell("1")

    assert len(worklist.got(namespace="0")) == 1
    assert worklist.got(namespace="1") == []


def test_every_report_has_its_event_type():
    assert reports.GLOBAL_SUBSCRIPTION in reports.FILTERED_SUBSCRIPTION
    assert value(orjson.loads(reports.status_change()), "00001002") == 4
