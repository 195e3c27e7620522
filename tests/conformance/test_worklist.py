"""The Worklist Service over HTTP (worklist §2 to §11)."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from dicomweb_client.api import DICOMwebClient

from tests.builders.images import image, new_uid
from tests.builders.worklist import CLAIM, OTHER, codes, element, new_workitem, performed, state_change
from tests.conformance.exchange import JSON, refusal


def send(exchange, method, path, data_set=None, **headers):
    if data_set is None:
        return exchange.send(method, path, **headers)
    return exchange.send(method, path, body=json.dumps(data_set).encode(), Content_Type=JSON, **headers)


def create(exchange, uid=None, **attributes):
    uid = uid or new_uid()
    reply = send(exchange, "POST", f"workitems?{uid}", [new_workitem(**attributes)])
    assert reply.status_code == 201, reply.text
    return uid


def change(exchange, uid, state, key=CLAIM):
    return send(exchange, "PUT", f"workitems/{uid}/state", [state_change(state, key)])


def update(exchange, uid, data_set, key=""):
    return send(exchange, "POST", f"workitems/{uid}{f'?{key}' if key else ''}", [data_set])


def find(exchange, query):
    reply = exchange.get(f"workitems?{query}", JSON)
    assert reply.status_code in {200, 204}, reply.text
    return [each["00080018"]["Value"][0] for each in reply.json()] if reply.status_code == 200 else []


def warning(reply):
    return reply.headers.get("Warning", "")


@pytest.mark.spec("WC-6", "WR-1", "WR-2", "WR-6", "WU-10", "WS-2", "WS-8", "WU-5", "WU-6", "WX-8", "WQ-8", "WL-12")
def test_the_life_of_a_workitem(either):
    patient = f"P{new_uid()[-12:]}"
    uid = create(either, t00100020=element("LO", patient))

    assert find(either, f"PatientID={patient}") == [uid]
    assert update(either, uid, {"00400400": element("LT", "note")}).status_code == 200
    assert change(either, uid, "IN PROGRESS").status_code == 200
    assert find(either, f"PatientID={patient}&ProcedureStepState=SCHEDULED") == []
    assert find(either, f"PatientID={patient}&ProcedureStepState=IN%20PROGRESS") == [uid]
    assert update(either, uid, {"00400400": element("LT", "second")}, CLAIM).status_code == 200
    assert update(either, uid, {"00400400": element("LT", "third")}).status_code == 400
    assert change(either, uid, "COMPLETED").status_code == 400
    reply = update(either, uid, performed(), CLAIM)
    assert (reply.status_code, reply.content) == (200, b"")
    assert reply.headers["Content-Location"] == f"{either.base}/workitems/{uid}"
    reply = change(either, uid, "COMPLETED")
    assert (reply.status_code, reply.content, warning(reply)) == (200, b"", "")
    reply = change(either, uid, "COMPLETED")
    assert reply.status_code == 200
    host = either.base.split("/")[2].partition(":")[0]
    assert warning(reply) == f'299 {host}: "The UPS is already in the requested state of COMPLETED. (B306)"'
    assert "already COMPLETED" in warning(update(either, uid, performed(), CLAIM))
    reply = send(either, "POST", f"workitems/{uid}/cancelrequest", [{}])
    assert (reply.status_code, reply.json()) == (409, "The UPS is already COMPLETED.")

    stored = either.get(f"workitems/{uid}", JSON).json()
    assert stored["00741000"]["Value"] == ["COMPLETED"]
    assert stored["00400400"]["Value"] == ["second"]
    assert "00081195" not in stored


@pytest.mark.spec("WC-6", "WL-17", "WC-2")
@pytest.mark.parametrize("form", ["{uid}", "{uid}=", "workitem={uid}", "AffectedSOPInstanceUID={uid}", ""])
def test_a_created_workitem_is_where_its_location_says(v2, form):
    uid = new_uid()

    reply = send(v2, "POST", f"workitems?{form.format(uid=uid)}".rstrip("?"), [new_workitem()])

    assert (reply.status_code, reply.content) == (201, b"")
    location = reply.headers["Location"]
    assert reply.headers["Content-Location"] == location
    assert location.startswith(f"{v2.base}/workitems/{uid if form else '2.25.'}")
    assert v2.get(location.removeprefix(f"{v2.base}/")).status_code == 200


@pytest.mark.spec("WC-5", "WC-4", "WR-4", "WX-10", "WL-10")
def test_results_are_json_strings(v2):
    uid = create(v2)
    again = send(v2, "POST", f"workitems?{uid}", [new_workitem()])
    lacking = send(v2, "POST", f"workitems?{new_uid()}", [new_workitem(t00741204=None)])
    unknown = v2.get(f"workitems/{new_uid()}")
    canceled = send(v2, "POST", f"workitems/{new_uid()}/cancelrequest", [])

    assert [reply.status_code for reply in (again, lacking, unknown, canceled)] == [409, 400, 404, 404]
    for reply in (again, lacking, unknown, canceled):
        assert reply.headers["Content-Type"] == JSON
        assert isinstance(reply.json(), str)
        assert warning(reply) == ""


@pytest.mark.spec("WU-1", "WL-11", "WL-13")
def test_update_and_change_of_state_tell_in_plain_text_and_a_warning(v2):
    for reply in (update(v2, new_uid(), {}), change(v2, new_uid(), "IN PROGRESS")):
        assert reply.status_code == 404
        assert refusal(reply) == "The workitem instance is not found."
        assert warning(reply).endswith('"The workitem instance is not found."')


@pytest.mark.spec("WL-8")
def test_a_search_ignores_the_body_of_its_request_and_takes_a_caret(v2):
    name = f"Doe{new_uid()[-8:]}^John"
    uid = create(v2, t00100010=element("PN", {"Alphabetic": name}))

    reply = v2.send("GET", f"workitems?PatientName={name}", JSON, b"[{}]", Content_Type=JSON)

    assert reply.status_code == 200
    assert [each["00080018"]["Value"] for each in reply.json()] == [[uid]]


@pytest.mark.spec("WL-14")
def test_other_archives_have_an_ae_title_behind_the_path(v2):
    uid, other = create(v2), create(v2)

    assert send(v2, "PUT", f"workitems/{uid}/state/PERFORMER", state_change("IN PROGRESS")).status_code == 200
    assert send(v2, "POST", f"workitems/{other}/cancelrequest/REQUESTER").status_code == 202


@pytest.mark.spec("WX-5", "WX-6", "WX-9")
def test_a_canceled_workitem_is_found_as_such_at_once(either):
    patient = f"P{new_uid()[-12:]}"
    uid = create(either, t00100020=element("LO", patient))

    reply = send(either, "POST", f"workitems/{uid}/cancelrequest", [{"00741238": element("LT", "gone")}])

    assert (reply.status_code, reply.json()) == (202, "The workitem instance has been cancelled.")
    assert find(either, f"PatientID={patient}&ProcedureStepState=CANCELED") == [uid]
    again = send(either, "POST", f"workitems/{uid}/cancelrequest", [{}])
    assert again.status_code == 409
    assert warning(again).endswith('"The UPS is already in the requested state of CANCELED."')


@pytest.mark.spec("WS-6")
def test_of_sixteen_claimants_one_wins(v2):
    uid = create(v2)
    keys = [new_uid() for _ in range(16)]

    with ThreadPoolExecutor(16) as claimants:
        replies = list(claimants.map(lambda key: change(v2, uid, "IN PROGRESS", key), keys))

    statuses = [reply.status_code for reply in replies]
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 400, 409}
    winner = keys[statuses.index(200)]
    assert update(v2, uid, {"00400400": element("LT", "mine")}, winner).status_code == 200
    loser = next(key for key in keys if key != winner)
    assert update(v2, uid, {"00400400": element("LT", "mine")}, loser).status_code == 400


@pytest.mark.spec("WQ-1", "WQ-9", "WQ-12", "WQ-2")
def test_pages_of_a_search_are_newest_first(v2):
    station = f"S{new_uid()[-10:]}"
    uids = [create(v2, t00404025=codes(station)) for _ in range(5)]
    query = f"ScheduledStationNameCodeSequence.CodeValue={station}"

    # Two that were created in the same millisecond are in no certain order.
    assert sorted(find(v2, query)) == sorted(uids)
    assert find(v2, f"{query}&limit=2") + find(v2, f"{query}&limit=3&offset=2") == find(v2, query)
    assert v2.get(f"workitems?{query}&offset=5").status_code == 204
    assert v2.get("workitems?limit=1").status_code == 200


@pytest.mark.spec("WQ-5", "WQ-6")
def test_what_cannot_be_searched_for_is_refused(v2):
    reply = v2.get("workitems?Modality=CT")

    assert reply.status_code == 400
    assert refusal(reply).startswith("Invalid query: AttributeId Modality is not queryable.")


@pytest.mark.spec("WQ-4", "WQ-13")
def test_a_search_returns_what_is_asked_for(v2):
    uid = create(v2, t00400400=element("LT", "note"))

    (plain,) = v2.get(f"workitems?SOPInstanceUID={uid}", JSON).json()
    (asked,) = v2.get(f"workitems?SOPInstanceUID={uid}&includefield=CommentsOnTheScheduledProcedureStep", JSON).json()

    assert "00400400" not in plain
    assert asked["00400400"]["Value"] == ["note"]


@pytest.mark.spec("WK-3", "WK-4")
def test_workitems_and_studies_have_nothing_to_do_with_each_other(v2):
    one = image()
    study = one.identifier.study_instance_uid
    v2.store(one)
    latest = v2.get("changefeed/latest").json()

    uid = create(v2, t0020000D=element("UI", study))
    assert change(v2, uid, "IN PROGRESS").status_code == 200
    assert v2.get("changefeed/latest").json() == latest
    assert v2.send("DELETE", f"studies/{study}").status_code == 204
    assert find(v2, f"StudyInstanceUID={study}") == [uid]


@pytest.mark.spec("WL-18")
def test_a_transaction_uid_may_have_a_name(v2):
    uid = create(v2)
    assert change(v2, uid, "IN PROGRESS").status_code == 200

    for query, status in ((f"transaction-uid={CLAIM}", 200), (f"transactionUid={CLAIM}", 200), (OTHER, 400)):
        assert update(v2, uid, {"00400400": element("LT", query)}, query).status_code == status


@pytest.mark.spec("WL-1", "WL-3", "WL-5")
def test_wrong_requests_are_refused_as_everywhere(v2):
    uid = create(v2)

    assert v2.send("POST", "workitems", body=b"[{}]", Content_Type="application/json").status_code == 415
    assert v2.get(f"workitems/{uid}", "application/dicom+xml").status_code == 406
    assert v2.get(f"workitems/{uid}", None).status_code == 200
    assert v2.get("workitems/1.a").status_code == 400
    assert v2.send("DELETE", f"workitems/{uid}").status_code == 405


@pytest.mark.spec("WK-6")
def test_the_audit_trail_has_the_bare_uid(v2, service):
    uid = create(v2)
    assert change(v2, uid, "IN PROGRESS").status_code == 200

    text = service.log_text
    assert re.search(rf'"operation":"add-workitem"[^\n]*workitems\?{re.escape(uid)}"', text)
    assert re.search(rf'"operation":"change-state-workitem"[^\n]*workitems/{re.escape(uid)}/state"', text)


@pytest.mark.spec("WC-6", "WQ-10")
def test_the_session_of_the_python_client_reaches_the_worklist(service):
    session = requests.Session()
    client = DICOMwebClient(f"{service.url.rstrip('/')}/v2", session)
    uid = new_uid()
    url = f"{client.base_url}/workitems"
    body = [new_workitem(t00741202=element("LO", uid[-16:]))]
    assert session.post(f"{url}?{uid}", json=body, headers={"Content-Type": JSON}).status_code == 201

    reply = session.get(url, params={"WorklistLabel": uid[-16:]})

    assert [each["00080018"]["Value"] for each in reply.json()] == [[uid]]
