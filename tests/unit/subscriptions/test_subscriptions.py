"""Subscriptions: who is told of which workitem (PS3.4 Table CC.2.3-2), over HTTP on tables in memory."""

import pytest

from shared.subscriptions.store import MOST
from shared.workitems.retention import Retention
from tests.builders.subscriptions import ALL, PART, Watched
from tests.builders.worklist import CLAIM, codes, element, request_item

STATE = 1
"""The event type of a UPS State Report."""


@pytest.fixture
async def worklist():
    """A worklist to which AE is connected."""
    made = Watched()
    await made.connect()
    return made


@pytest.mark.spec("WE-1", "WE-10")
async def test_the_answer_has_the_url_of_the_connection(worklist):
    await worklist.create("1.2.3")

    for reply in (await worklist.subscribe("1.2.3"), await worklist.subscribe(ALL)):
        assert reply.status == 201
        assert reply.body == b""
        assert reply.headers["content-location"].startswith("wss://channel/")
        assert reply.headers["location"] == reply.headers["content-location"]
        assert reply.headers["cache-control"] == "no-store"
        assert "warning" not in reply.headers


@pytest.mark.spec("WE-1", "WE-11")
async def test_a_subscription_to_a_workitem_begins_with_its_state(worklist):
    await worklist.create("1.2.3")
    await worklist.create("1.2.4")

    await worklist.subscribe("1.2.3")
    assert await worklist.reported() == [("1.2.3", STATE, "SCHEDULED")]

    await worklist.change("1.2.4", "IN PROGRESS")
    await worklist.change("1.2.3", "IN PROGRESS")
    assert await worklist.reported() == [("1.2.3", STATE, "IN PROGRESS")]

    await worklist.subscribe("1.2.3")
    assert await worklist.reported() == [("1.2.3", STATE, "IN PROGRESS")]


@pytest.mark.spec("WE-1")
async def test_what_was_written_before_a_subscription_is_not_told_after_it(worklist):
    await worklist.create("1.2.3")
    await worklist.change("1.2.3", "IN PROGRESS")
    worklist.time.seconds += 1

    await worklist.subscribe("1.2.3")
    await worklist.subscribe(ALL)

    assert await worklist.reported() == [("1.2.3", STATE, "IN PROGRESS")]


@pytest.mark.spec("WE-1")
async def test_a_subscription_to_the_worklist_is_to_workitems_present_and_future(worklist):
    await worklist.create("1.2.3")
    worklist.time.seconds += 1
    assert (await worklist.subscribe(ALL)).status == 201
    assert await worklist.reported() == []

    await worklist.create("1.2.4")
    await worklist.change("1.2.3", "IN PROGRESS")

    assert sorted(await worklist.reported()) == [("1.2.3", STATE, "IN PROGRESS"), ("1.2.4", STATE, "SCHEDULED")]


@pytest.mark.spec("WE-1")
async def test_after_a_suspension_no_new_workitem_is_told_of(worklist):
    await worklist.subscribe(ALL)
    await worklist.create("1.2.3")
    worklist.time.seconds += 1
    assert (await worklist.suspend(ALL)).status == 200
    worklist.time.seconds += 1
    assert (await worklist.suspend(ALL)).status == 200
    await worklist.create("1.2.4")
    await worklist.change("1.2.3", "IN PROGRESS")
    assert await worklist.reported() == [
        ("1.2.3", STATE, "SCHEDULED"),
        ("1.2.3", STATE, "IN PROGRESS"),
    ]

    worklist.time.seconds += 1
    await worklist.subscribe(ALL)
    await worklist.change("1.2.4", "IN PROGRESS")
    assert await worklist.reported() == [("1.2.4", STATE, "IN PROGRESS")]


@pytest.mark.spec("WE-1")
async def test_unsubscribing_from_the_worklist_ends_every_subscription(worklist):
    await worklist.create("1.2.3")
    await worklist.subscribe("1.2.3")
    await worklist.subscribe(ALL)
    await worklist.reported()

    assert (await worklist.unsubscribe(ALL)).status == 200
    await worklist.change("1.2.3", "IN PROGRESS")
    await worklist.create("1.2.4")

    assert await worklist.reported() == []
    assert (await worklist.unsubscribe(ALL)).status == 404
    assert (await worklist.unsubscribe("1.2.3")).status == 404
    assert (await worklist.suspend(ALL)).status == 404


@pytest.mark.spec("WE-1")
async def test_one_workitem_is_taken_out_of_a_subscription_to_all_until_the_next_one(worklist):
    for uid in ("1.2.3", "1.2.4"):
        await worklist.create(uid)
    worklist.time.seconds += 1
    await worklist.subscribe(ALL)
    assert (await worklist.unsubscribe("1.2.3")).status == 200
    for uid in ("1.2.3", "1.2.4"):
        await worklist.change(uid, "IN PROGRESS")
    assert await worklist.reported() == [("1.2.4", STATE, "IN PROGRESS")]

    worklist.time.seconds += 1
    await worklist.subscribe(ALL)
    await worklist.update("1.2.3", {"00404041": element("CS", "INCOMPLETE")}, CLAIM)
    assert await worklist.reported() == [("1.2.3", STATE, "IN PROGRESS")]


@pytest.mark.spec("WE-1", "WE-12")
async def test_a_filter_takes_in_what_matches_and_keeps_it(worklist):
    await worklist.create("1.2.3", t00741204=element("LO", "Nodules"))
    await worklist.create("1.2.4", t00741204=element("LO", "Bones"))
    worklist.time.seconds += 1
    reply = await worklist.subscribe(PART, query="filter=00741204=Nod*,ProcedureStepState=SCHEDULED")
    assert reply.status == 201

    await worklist.create("1.2.5", t00741204=element("LO", "Nodules"))
    for uid in ("1.2.3", "1.2.4", "1.2.5"):
        await worklist.change(uid, "IN PROGRESS")
    found = await worklist.reported()
    assert sorted(found) == [
        ("1.2.3", STATE, "IN PROGRESS"),
        ("1.2.5", STATE, "IN PROGRESS"),
        ("1.2.5", STATE, "SCHEDULED"),
    ]
    assert [state for uid, _, state in found if uid == "1.2.5"] == ["SCHEDULED", "IN PROGRESS"]

    assert (await worklist.unsubscribe(PART)).status == 200
    await worklist.update("1.2.3", {"00404041": element("CS", "INCOMPLETE")}, CLAIM)
    assert await worklist.reported() == []


@pytest.mark.spec("WE-12", "WQ-10")
async def test_a_filter_wants_one_item_that_meets_all_its_keys_of_a_sequence(worklist):
    one, other = request_item("ACC1", "RP1"), request_item("ACC2", "RP2")
    await worklist.create("1.2.3", t0040A370=element("SQ", one, other))
    await worklist.create("1.2.4", t0040A370=element("SQ", request_item("ACC1", "RP2"), one))
    worklist.time.seconds += 1
    query = "filter=0040A370.00080050=ACC1,ReferencedRequestSequence.RequestedProcedureID=RP2"
    assert (await worklist.subscribe(PART, query=query)).status == 201

    for uid in ("1.2.3", "1.2.4"):
        await worklist.change(uid, "IN PROGRESS")

    assert await worklist.reported() == [("1.2.4", STATE, "IN PROGRESS")]


@pytest.mark.spec("WE-12")
async def test_a_filter_sees_what_a_workitem_was_before_it_lost_an_attribute(worklist):
    await worklist.create("1.2.3", t0020000D=element("UI", "1.77"))
    worklist.time.seconds += 1
    await worklist.subscribe(PART, query="filter=StudyInstanceUID=1.77,ProcedureStepState=SCHEDULED")
    await worklist.update("1.2.3", {"0020000D": element("UI"), "00404041": element("CS", "INCOMPLETE")})
    assert await worklist.reported() == [("1.2.3", STATE, "SCHEDULED")]

    await worklist.subscribe(PART, query='filter=StudyInstanceUID="",emptyvaluematching=true')
    await worklist.create("1.2.4")
    await worklist.update("1.2.4", {"0020000D": element("UI", "1.78"), "00404041": element("CS", "INCOMPLETE")})
    assert await worklist.reported() == [("1.2.4", STATE, "SCHEDULED")] * 2


@pytest.mark.spec("WE-12")
async def test_a_suspended_filter_goes_on_with_what_there_was(worklist):
    await worklist.create("1.2.3")
    worklist.time.seconds += 1
    await worklist.subscribe(PART, query="ProcedureStepState=SCHEDULED")
    worklist.time.seconds += 1
    assert (await worklist.suspend(PART)).status == 200
    worklist.time.seconds += 1
    await worklist.create("1.2.4")
    await worklist.change("1.2.3", "IN PROGRESS")

    assert await worklist.reported() == [("1.2.3", STATE, "IN PROGRESS")]


@pytest.mark.spec("WE-12")
@pytest.mark.parametrize(
    ("uid", "query", "text"),
    [
        (PART, "", "needs a filter"),
        (ALL, "filter=PatientID=1", "Only a subscription to"),
        ("1.2.3", "PatientID=1", "Only a subscription to"),
        (PART, "filter=Modality=CT", "is not queryable"),
        (PART, "filter=PatientID", "no attribute"),
        (PART, "filter=PatientID=1&limit=5", "no matching key"),
        (PART, "filter=PatientID=1,PatientID=2", "more than once"),
        (PART, f"filter=PatientID={'1' * 4000}", "more than 4000"),
        (ALL, "deletionlock=perhaps", "'true' or 'false'"),
        (ALL, "deletionlock=true&deletionlock=false", "more than once"),
    ],
)
async def test_what_is_no_subscription_is_refused_and_changes_nothing(worklist, uid, query, text):
    await worklist.create("1.2.3")
    before = await worklist.subscriptions.all("0")

    reply = await worklist.subscribe(uid, query=query)

    assert reply.status == 400
    assert text in reply.body.decode()
    assert await worklist.subscriptions.all("0") == before


@pytest.mark.spec("WE-12")
async def test_a_comma_in_a_value_of_a_filter_belongs_to_it(worklist):
    await worklist.subscribe(PART, query="filter=SOPInstanceUID=1.2.3,1.2.4,ProcedureStepState=SCHEDULED")

    for uid in ("1.2.3", "1.2.4", "1.2.5"):
        await worklist.create(uid)

    assert sorted(uid for uid, *_ in await worklist.reported()) == ["1.2.3", "1.2.4"]


@pytest.mark.spec("WE-1")
@pytest.mark.parametrize("aetitle", ["A" * 17, "%20", "A%5CB", "A%01"])
async def test_an_ae_title_has_one_to_sixteen_characters(worklist, aetitle):
    assert (await worklist.subscribe(ALL, aetitle)).status == 400


@pytest.mark.spec("WE-1")
async def test_an_unknown_workitem_cannot_be_subscribed_to(worklist):
    reply = await worklist.subscribe("1.2.9")

    assert reply.status == 404
    assert (await worklist.suspend("1.2.9")).status == 400


@pytest.mark.spec("WE-4", "WK-7")
async def test_a_workitem_that_is_locked_outlives_its_retention(worklist):
    retention = Retention(worklist.tables, worklist.workitems, 1, worklist.subscriptions.is_locked)
    for uid in ("1.2.3", "1.2.4"):
        await worklist.in_state("COMPLETED", uid)
    await worklist.subscribe("1.2.3", query="deletionlock=true")
    worklist.time.seconds += 2 * 86_400
    assert await retention.remove("0") == 1
    assert await worklist.find() == ["1.2.3"]
    assert (await worklist.subscribe("1.2.4")).status == 410

    await worklist.unsubscribe("1.2.3")
    assert await retention.remove("0") == 1
    await worklist.tell()
    assert not [row for row in worklist.tables.rows("worklist") if row.row_key.startswith("wi!")]


@pytest.mark.spec("WE-4")
async def test_a_lock_holds_a_workitem_until_its_subscription_ends(worklist):
    await worklist.create("1.2.3")
    await worklist.create("1.2.4")
    assert (await worklist.subscribe("1.2.3", query="deletionlock=true")).status == 201
    await worklist.subscribe("1.2.4")
    assert await worklist.subscriptions.is_locked("0", "1.2.3")
    assert not await worklist.subscriptions.is_locked("0", "1.2.4")

    await worklist.subscribe("1.2.3", query="deletionlock=false")
    assert not await worklist.subscriptions.is_locked("0", "1.2.3")

    await worklist.subscribe("1.2.3", query="deletionlock=true")
    await worklist.subscribe(ALL)
    await worklist.unsubscribe(ALL)
    assert not await worklist.subscriptions.is_locked("0", "1.2.3")


@pytest.mark.spec("WE-4")
@pytest.mark.parametrize(("uid", "query"), [(ALL, ""), (PART, "&filter=PatientID=1")])
async def test_a_lock_on_the_worklist_is_not_granted(worklist, uid, query):
    reply = await worklist.subscribe(uid, query=f"deletionlock=true{query}")

    assert reply.status == 201
    assert reply.warning == "Deletion Lock not granted."


@pytest.mark.spec("WE-3")
async def test_a_performer_who_is_subscribed_is_asked_to_cancel(worklist):
    await worklist.in_state("IN PROGRESS")
    assert (await worklist.cancel("1.2.3")).status == 409
    await worklist.subscribe("1.2.3")
    await worklist.reported()
    said = {
        "00741238": element("LT", "gone"),
        "0074100A": element("UR", "tel:1"),
        "0074100C": element("LO", "Desk"),
        "0074100E": codes("110501"),
    }

    reply = await worklist.send("POST", "workitems/1.2.3/cancelrequest/WARD", [said])

    assert reply.status == 202
    await worklist.tell()
    (report,) = worklist.got()
    assert report["00001002"]["Value"] == [2]
    assert report["00741236"] == element("AE", "WARD")
    assert {tag: report[tag] for tag in said} == said


@pytest.mark.spec("WE-3")
async def test_where_a_claim_names_its_performer_another_subscriber_does_not_count(worklist):
    await worklist.create("1.2.3")
    body = {"00081195": element("UI", CLAIM), "00741000": element("CS", "IN PROGRESS")}
    assert (await worklist.send("PUT", "workitems/1.2.3/state/READER", body)).status == 200
    await worklist.subscribe("1.2.3", "OTHER")
    assert (await worklist.cancel("1.2.3")).status == 409

    await worklist.subscribe(ALL, "READER")
    assert (await worklist.cancel("1.2.3")).status == 202


@pytest.mark.spec("WE-1")
async def test_one_subscriber_too_many_is_a_conflict(worklist, monkeypatch):
    assert MOST == 500
    monkeypatch.setattr("shared.subscriptions.store.MOST", 2)

    assert (await worklist.subscribe(ALL, "TWO")).status == 201
    assert (await worklist.subscribe(ALL, "THREE")).status == 409
    assert (await worklist.subscribe(ALL, "TWO")).status == 201
