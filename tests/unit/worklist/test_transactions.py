"""The transactions of the worklist, as clients see them (worklist §2 to §8)."""

import pytest

from shared.workitems.events import ReportType
from tests.builders.worklist import (
    CLAIM,
    OTHER,
    Worklist,
    codes,
    element,
    new_workitem,
    performed,
    performer,
    reasons,
    state_change,
)

UID = "1.2.3"
STATES = ("SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED")
TARGETS = STATES[1:]
NOT_FOUND = "The workitem instance is not found."
ALREADY = "The UPS is already in the requested state of CANCELED."
INCONSISTENT = "The submitted request is inconsistent with the current state of the Workitem."


# ----------------------------------------------------------------------------------------------------------- create


@pytest.mark.spec("WC-6", "WC-7")
async def test_a_new_workitem_is_completed_by_the_service():
    worklist = Worklist()
    sent = new_workitem(
        t00080016=element("UI", "9.9"),
        t00404010=element("DT", "1999"),
        t00741000=element("CS", "COMPLETED"),
        t00741202=element("LO", "mine"),
    )

    reply = await worklist.send("POST", f"workitems?{UID}", [sent])

    assert (reply.status, reply.body) == (201, b"")
    assert reply.headers["location"] == reply.headers["content-location"] == f"https://dicom.example/v2/workitems/{UID}"
    assert "warning" not in reply.headers
    stored = await worklist.retrieve(UID)
    assert stored["00080016"] == element("UI", "1.2.840.10008.5.1.4.34.6.1")
    assert stored["00080018"] == element("UI", UID)
    assert stored["00404010"] == element("DT", "20231114221320.000000+0000")
    assert stored["00741000"] == element("CS", "SCHEDULED")
    assert stored["00741202"] == element("LO", "mine")
    await worklist.create("1.4", t00741202=element("LO"))
    assert (await worklist.retrieve("1.4"))["00741202"] == element("LO", "worklist")


@pytest.mark.spec("WC-4", "WL-10")
async def test_a_data_set_that_lacks_something_is_refused_by_its_tag():
    worklist = Worklist()

    reply = await worklist.send("POST", f"workitems?{UID}", [new_workitem(t00741204=None)])

    assert (reply.status, reply.json) == (400, "The required tag '(0074,1204)' is missing.")
    assert reply.headers["content-type"] == "application/dicom+json"
    assert "warning" not in reply.headers
    assert worklist.tables.rows("worklist") == []


@pytest.mark.spec("WC-5", "WL-10")
async def test_a_uid_is_taken_once():
    worklist = Worklist()
    await worklist.create()
    before = worklist.tables.rows("worklist")

    reply = await worklist.send("POST", f"workitems?{UID}", [new_workitem()])

    text = "The workitem instance already exists. Try creating using a different UID."
    assert (reply.status, reply.json) == (409, text)
    assert worklist.tables.rows("worklist") == before


@pytest.mark.spec("WC-26")
@pytest.mark.parametrize(
    ("tag", "vr", "value", "fits"),
    [
        ("00404005", "DT", "soon", False),
        ("00404005", "DT", "2026", True),
        ("00404011", "DT", "20261301", False),
        ("00100030", "DA", "2026-01-31", False),
        ("0020000D", "UI", "x", False),
        ("00400400", "LT", "anything", True),
        ("00741200", "CS", "lower case, and far too long for a CS", True),
    ],
)
async def test_values_that_searches_match_are_of_their_vr(tag, vr, value, fits):
    sent = new_workitem() | {tag: element(vr, value)}

    reply = await Worklist().send("POST", f"workitems?{UID}", [sent])

    assert reply.status == (201 if fits else 400)
    if not fits:
        assert f"({tag[:4].lower()},{tag[4:].lower()})" in reply.json


@pytest.mark.spec("WC-22", "WR-3")
async def test_other_attributes_are_stored_and_returned():
    worklist = Worklist()
    others = {"0040E020": element("CS", "DICOM"), "00104000": element("LT", "x"), "00091001": element("UN")}
    await worklist.create(**{f"t{tag}": value for tag, value in others.items()})

    stored = await worklist.retrieve(UID)

    assert {tag: stored[tag] for tag in others} == others


# --------------------------------------------------------------------------------------------------------- retrieve


@pytest.mark.spec("WR-1", "WR-2", "WR-5", "WS-3", "WL-6")
@pytest.mark.parametrize("state", STATES)
async def test_a_workitem_is_retrieved_in_every_state_without_its_claim(state):
    worklist = Worklist()
    await worklist.in_state(state)

    reply = await worklist.send("GET", f"workitems/{UID}")

    assert (reply.status, reply.headers["content-type"]) == (200, "application/dicom+json")
    assert reply.json["00741000"] == element("CS", state)
    assert "00081195" not in reply.json
    assert CLAIM.encode() not in reply.body
    assert CLAIM.encode() not in (await worklist.send("GET", "workitems?includefield=all")).body


@pytest.mark.spec("WR-4", "WL-10")
async def test_an_unknown_workitem_is_not_found():
    reply = await Worklist().send("GET", f"workitems/{UID}")

    assert (reply.status, reply.json) == (404, NOT_FOUND)
    assert reply.headers["content-type"] == "application/dicom+json"


# ----------------------------------------------------------------------------------------------------------- update


@pytest.mark.spec("WU-1", "WU-2", "WU-3", "WU-4", "WU-5", "WU-6", "WU-7", "WL-11", "WL-13", "WK-2")
@pytest.mark.parametrize("key", ["", CLAIM, OTHER])
@pytest.mark.parametrize("state", [None, *STATES])
async def test_who_may_update_depends_on_state_and_transaction_uid(state, key):
    worklist = Worklist()
    if state:
        await worklist.in_state(state)
    before = worklist.row(UID)
    expected = {
        (None, key): (404, NOT_FOUND),
        ("SCHEDULED", CLAIM): (400, "Invalid TransactionUID for the specified Workitem Instance UID."),
        ("SCHEDULED", OTHER): (400, "Invalid TransactionUID for the specified Workitem Instance UID."),
        ("IN PROGRESS", ""): (400, "The target URI did not reference a claimed Workitem."),
        ("IN PROGRESS", OTHER): (400, "The target URI did not reference a claimed Workitem."),
        ("COMPLETED", key): (400, f"{INCONSISTENT} The UPS is already COMPLETED."),
        ("CANCELED", key): (400, f"{INCONSISTENT} {ALREADY}"),
    }.get((state, key), (200, ""))

    reply = await worklist.update(UID, {"00404041": element("CS", "LATER")}, key)

    assert (reply.status, reply.text, reply.warning) == (expected[0], expected[1], expected[1])
    assert (worklist.row(UID) == before) == (expected[0] != 200)
    if reply.status == 200:
        assert reply.headers["content-location"] == f"https://dicom.example/v2/workitems/{UID}"


@pytest.mark.spec("WL-12")
async def test_a_warning_names_the_host_without_its_port():
    reply = await Worklist().update(UID, {})

    assert reply.headers["warning"] == f'299 dicom.example: "{NOT_FOUND}"'


@pytest.mark.spec("WU-10", "WU-20", "WU-21", "WU-22", "WU-24", "WU-25")
async def test_each_attribute_of_an_update_replaces_the_stored_one():
    worklist = Worklist()
    await worklist.create(t00404025=codes("A", "B"), t00102000=element("LO", "old"))
    before = await worklist.retrieve(UID)
    worklist.time.seconds += 60
    changes = {
        "00404025": codes("C"),
        "00102000": element("LO"),
        "00404010": element("DT", "1999"),
        "00380050": element("LO", "new"),
        **performed(),
    }

    reply = await worklist.update(UID, changes)

    assert (reply.status, reply.body, reply.warning) == (200, b"", "")
    after = await worklist.retrieve(UID)
    assert after == dict(sorted((before | changes | {"00404010": element("DT", "20231114221420.000000+0000")}).items()))
    worklist.check()


@pytest.mark.spec("WU-8", "WU-26", "WL-13")
async def test_an_update_that_breaks_the_table_is_refused_after_state_and_key():
    worklist = Worklist()
    await worklist.in_state("IN PROGRESS")
    wrong = {"00100010": element("PN", {"Alphabetic": "Doe"})}

    assert (await worklist.update(UID, wrong)).text == "The target URI did not reference a claimed Workitem."
    reply = await worklist.update(UID, wrong, CLAIM)
    assert (reply.status, reply.text) == (400, "The attribute with tag '(0010,0010)' cannot be present.")
    assert reply.warning == reply.text
    assert (await worklist.update(UID, {"00404041": element("CS")}, CLAIM)).status == 400
    assert (await worklist.update(UID, {"00404005": element("DT", "x")}, CLAIM)).status == 400


# ----------------------------------------------------------------------------------------------------- change of state


@pytest.mark.spec("WS-1", "WS-2", "WS-8", "WL-11", "WL-13", "WK-2")
@pytest.mark.parametrize("key", [CLAIM, OTHER, ""])
@pytest.mark.parametrize("target", [*TARGETS, "SCHEDULED", ""])
@pytest.mark.parametrize("state", [None, *STATES, "CANCELED unclaimed"])
async def test_the_state_changes_as_state_target_and_transaction_uid_say(state, target, key):
    worklist = Worklist()
    if state == "CANCELED unclaimed":
        await worklist.create()
        assert (await worklist.cancel(UID)).status == 202
    elif state:
        await worklist.in_state(state)
    if state == "IN PROGRESS":
        assert (await worklist.update(UID, performed() | reasons(), CLAIM)).status == 200
    before = worklist.row(UID)
    right = key == CLAIM and state in STATES[1:]

    reply = await worklist.change(UID, target, key)

    if not key or target not in TARGETS:
        expected = 400, ""
    elif state is None:
        expected = 404, NOT_FOUND
    elif state == "SCHEDULED":
        expected = (200, "") if target == "IN PROGRESS" else (400, "C301")
    elif not right:
        expected = 400, "C301"
    elif state == "IN PROGRESS":
        expected = (400, "C302") if target == "IN PROGRESS" else (200, "")
    elif target == state:
        expected = 200, "B306" if state == "COMPLETED" else "B304"
    else:
        expected = 400, "C300"
    assert reply.status == expected[0], reply.text
    changed = expected == (200, "")
    assert (worklist.row(UID) != before) == changed
    if expected[1].startswith("C"):
        assert reply.text == f"The workitem instance can not transition to '{target}' state: {expected[1]}."
    if expected[1].startswith("B"):
        assert reply.warning == f"The UPS is already in the requested state of {target}. ({expected[1]})"
    if reply.status == 200:
        assert reply.body == b""
        assert (await worklist.retrieve(UID))["00741000"] == element("CS", target)
    else:
        assert reply.warning == reply.text
    worklist.check()


@pytest.mark.spec("WS-1")
async def test_of_a_change_of_state_two_attributes_count_and_the_state_as_it_is_written():
    worklist = Worklist()
    await worklist.create()
    before = worklist.row(UID)
    for target in ("in progress", "IN_PROGRESS", "INPROGRESS", "DONE"):
        reply = await worklist.change(UID, target)
        assert (reply.status, reply.warning) == (400, reply.text)
    assert worklist.row(UID) == before

    others = {"00741204": element("LO", "other label"), "00100010": element("PN", {"Alphabetic": "Doe"})}
    sent = state_change("IN PROGRESS") | others
    assert (await worklist.send("PUT", f"workitems/{UID}/state", [sent])).status == 200

    stored = await worklist.retrieve(UID)
    assert stored["00741000"] == element("CS", "IN PROGRESS")
    assert stored["00741204"] == element("LO", "Nodule detection")
    assert stored["00100010"] == {"vr": "PN"}


@pytest.mark.spec("WS-4")
@pytest.mark.parametrize("key", ["x", "1.", "1.2.a"])
async def test_a_transaction_uid_is_a_uid(key):
    worklist = Worklist()
    await worklist.create()

    assert (await worklist.change(UID, "IN PROGRESS", key)).status == 400
    assert (await worklist.retrieve(UID))["00741000"] == element("CS", "SCHEDULED")


@pytest.mark.spec("WL-23", "WL-24", "WL-25", "WK-2")
@pytest.mark.parametrize(("state", "tag"), [("COMPLETED", "0074,1216"), ("CANCELED", "0074,100e")])
async def test_a_workitem_that_lacks_something_is_not_finished(state, tag):
    worklist = Worklist()
    await worklist.in_state("IN PROGRESS")
    before = worklist.row(UID)

    reply = await worklist.change(UID, state)

    assert reply.status == 400
    assert f"({tag})" in reply.warning
    assert worklist.row(UID) == before


@pytest.mark.spec("WS-5", "WS-7")
async def test_the_time_of_a_cancellation_is_filled_in():
    worklist = Worklist()
    await worklist.in_state("IN PROGRESS")
    await worklist.update(UID, reasons(), CLAIM)
    worklist.time.seconds += 60

    assert (await worklist.change(UID, "CANCELED")).status == 200

    stored = await worklist.retrieve(UID)
    now = element("DT", "20231114221420.000000+0000")
    assert stored["00741002"]["Value"] == [{"00404052": now, "0074100E": codes("110501")}]
    assert stored["00404010"] == now


@pytest.mark.spec("WS-5")
async def test_the_time_of_a_cancellation_that_the_performer_has_given_stays():
    worklist = Worklist()
    await worklist.in_state("IN PROGRESS")
    items = [{"00404052": element("DT", year), "0074100E": codes("1")} for year in ("2026", "2025")]
    given = element("SQ", *items)
    await worklist.update(UID, {"00741002": given}, CLAIM)

    assert (await worklist.change(UID, "CANCELED")).status == 200
    assert (await worklist.retrieve(UID))["00741002"] == given


@pytest.mark.spec("WL-14")
async def test_an_ae_title_behind_the_path_says_nothing():
    worklist = Worklist()
    await worklist.create()
    await worklist.create("1.4")

    assert (await worklist.send("PUT", f"workitems/{UID}/state/AE", state_change("IN PROGRESS"))).status == 200
    assert (await worklist.send("POST", "workitems/1.4/cancelrequest/MY%20AE")).status == 202


# ------------------------------------------------------------------------------------------------------- cancellation


@pytest.mark.spec("WX-6", "WX-7", "WX-8", "WX-9", "WX-10", "WL-10", "WL-13")
@pytest.mark.parametrize(
    ("state", "status", "text"),
    [
        (None, 404, NOT_FOUND),
        ("SCHEDULED", 202, "The workitem instance has been cancelled."),
        ("IN PROGRESS", 409, "The performer cannot be contacted."),
        ("COMPLETED", 409, "The UPS is already COMPLETED."),
        ("CANCELED", 409, ALREADY),
    ],
)
async def test_a_cancellation_depends_on_the_state(state, status, text):
    worklist = Worklist()
    if state:
        await worklist.in_state(state)
    before = worklist.row(UID)

    reply = await worklist.cancel(UID, [{}])

    assert (reply.status, reply.json) == (status, text)
    assert reply.headers["content-type"] == "application/dicom+json"
    assert reply.warning == (text if status == 409 else "")
    assert (worklist.row(UID) != before) == (status == 202)


@pytest.mark.spec("WX-2")
@pytest.mark.parametrize("data_set", [None, [], [{}], {}])
async def test_a_cancellation_needs_no_body(data_set):
    worklist = Worklist()
    await worklist.create()

    assert (await worklist.cancel(UID, data_set)).status == 202
    assert [*(await worklist.retrieve(UID))["00741002"]["Value"][0]] == ["00404052"]


@pytest.mark.spec("WL-1", "WX-2")
async def test_the_body_of_a_cancellation_has_a_media_type():
    worklist = Worklist()
    await worklist.create()

    assert (await worklist.send("POST", f"workitems/{UID}/cancelrequest", body=b"[{}]")).status == 415
    text = ("Content-Type", "text/plain")
    assert (await worklist.send("POST", f"workitems/{UID}/cancelrequest", None, text, body=b"[{}]")).status == 415
    assert (await worklist.retrieve(UID))["00741000"] == element("CS", "SCHEDULED")


@pytest.mark.spec("WX-1", "WX-3", "WX-4", "WX-5")
async def test_what_a_cancellation_says_becomes_progress():
    worklist = Worklist()
    await worklist.create()
    said = new_workitem(
        t00741238=element("LT", "gone"),
        t0074100A=element("UR", "tel:1"),
        t0074100C=element("LO", "Desk"),
        t0074100E=codes("110501"),
        t00741216=element("SQ", {}),
        t00741204=element("LO", "other label"),
    )

    assert (await worklist.cancel(UID, [said])).status == 202

    stored = await worklist.retrieve(UID)
    assert stored["00741000"] == element("CS", "CANCELED")
    assert stored["00741002"]["Value"] == [
        {
            "00404052": element("DT", "20231114221320.000000+0000"),
            "00741008": element("SQ", {"0074100A": element("UR", "tel:1"), "0074100C": element("LO", "Desk")}),
            "0074100E": codes("110501"),
            "00741238": element("LT", "gone"),
        }
    ]
    assert stored["00741216"] == element("SQ", {})
    assert stored["00741204"] == element("LO", "Nodule detection")
    assert await worklist.find("ProcedureStepState=CANCELED") == [UID]
    assert await worklist.find("ProcedureStepState=SCHEDULED") == []


@pytest.mark.spec("WK-5")
async def test_a_performer_who_listens_is_asked_to_cancel():
    async def reachable(namespace, workitem):
        return (namespace, workitem.uid) == ("0", UID)

    worklist = Worklist(is_reachable=reachable)
    await worklist.in_state("IN PROGRESS")
    said = {"00741238": element("LT", "gone"), "00400400": element("LT", "ignored")}

    reply = await worklist.cancel(UID, [said])

    assert (reply.status, reply.json) == (202, "The cancellation of the workitem instance has been requested.")
    event = worklist.events(UID)[-1]
    assert (event.number, event.reports) == (3, (ReportType.CANCEL_REQUESTED,))
    assert event.request == {"00741238": element("LT", "gone")}
    assert (await worklist.retrieve(UID))["00741000"] == element("CS", "IN PROGRESS")
    worklist.check()


# -------------------------------------------------------------------------------------------------------------- events


@pytest.mark.spec("WK-5")
async def test_every_write_has_a_numbered_event_with_its_reports():
    worklist = Worklist()
    await worklist.create(t00404034=element("SQ", performer()))
    await worklist.change(UID, "IN PROGRESS")
    await worklist.update(UID, {"00741002": element("SQ", {"00741004": element("DS", 50)})}, CLAIM)
    await worklist.update(UID, {"00404041": element("CS", "INCOMPLETE"), "00404025": codes("A")}, CLAIM)
    await worklist.update(UID, {"00400400": element("LT", "comment")}, CLAIM)
    await worklist.update(UID, performed(), CLAIM)
    await worklist.change(UID, "COMPLETED")

    events = worklist.events(UID)

    state, progress, assigned = ReportType.STATE_REPORT, ReportType.PROGRESS_REPORT, ReportType.ASSIGNED
    assert [event.number for event in events] == [1, 2, 3, 4, 5, 6, 7]
    assert [event.reports for event in events] == [
        (state, assigned),
        (state,),
        (progress,),
        (state, assigned),
        (),
        (),
        (state,),
    ]
    assert sorted({event.time_ms for event in events}) == [event.time_ms for event in events]
    assert events[0].attributes["00741000"] == element("CS", "SCHEDULED")
    assert events[6].attributes["00741000"] == element("CS", "COMPLETED")
    assert events[3].attributes["00404041"] == element("CS", "INCOMPLETE")
    assert CLAIM not in repr([(event, event.attributes, event.request) for event in events])
