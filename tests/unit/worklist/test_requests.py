"""Requests to the worklist: bodies, Accept, UIDs in the query string (worklist §2)."""

import random

import pytest

from tests.builders.worklist import CLAIM, OTHER, Worklist, codes, element, new_workitem, state_change

UID = "1.2.3"


# -------------------------------------------------------------------------------------------------- bodies and Accept


@pytest.mark.spec("WL-1")
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "workitems"), ("POST", f"workitems/{UID}"), ("PUT", f"workitems/{UID}/state")],
)
@pytest.mark.parametrize("headers", [(), (("Content-Type", "application/json"),), (("Content-Type", "text/xml"),)])
async def test_a_body_is_dicom_json(method, path, headers):
    worklist = Worklist()

    assert (await worklist.send(method, path, None, *headers, body=b"[{}]")).status == 415
    assert worklist.tables.rows("worklist") == []


@pytest.mark.spec("WL-2")
async def test_the_first_data_set_of_an_array_counts_or_one_by_itself():
    worklist = Worklist()
    named = new_workitem(t00080018=element("UI", "1.1"))

    assert (await worklist.send("POST", "workitems?1.2", new_workitem())).status == 201
    assert (await worklist.send("POST", "workitems", [named, {"x": 1}])).status == 201
    assert (await worklist.send("POST", "workitems?1.3", [])).status == 400
    assert (await worklist.send("POST", "workitems?1.3", body=b"")).status == 415
    json_type = ("Content-Type", "application/dicom+json")
    assert (await worklist.send("POST", "workitems?1.3", None, json_type)).status == 400
    assert sorted(await worklist.find()) == ["1.1", "1.2"]


@pytest.mark.spec("WL-4")
async def test_keys_are_tags_in_either_case_or_keywords():
    worklist = Worklist()
    sent = new_workitem(t0040A370=None, t00404041=None)
    sent |= {"0040a370": {"vr": "SQ"}, "InputReadinessState": element("CS", "READY")}

    assert (await worklist.send("POST", f"workitems?{UID}", [sent])).status == 201
    stored = await worklist.retrieve(UID)
    assert stored["0040A370"] == {"vr": "SQ"}
    assert stored["00404041"] == element("CS", "READY")
    assert list(stored) == sorted(stored)


@pytest.mark.spec("WL-16")
@pytest.mark.parametrize(
    "wrong",
    [
        {"NoSuchKeyword": element("LO", "x")},
        {"00400400": "text"},
        {"00400400": {"Value": ["x"]}},
        {"00400400": {"vr": "lt"}},
        {"00400400": {"vr": "LT", "Value": "x"}},
        {"00404025": element("SQ", "no item")},
        {"00404025": element("SQ", {"00080104": {"Value": []}})},
    ],
)
async def test_what_is_not_in_the_model_is_refused(wrong):
    worklist = Worklist()

    reply = await worklist.send("POST", f"workitems?{UID}", [new_workitem() | wrong])

    assert reply.status == 400
    assert reply.headers["content-type"].startswith("text/plain")
    assert worklist.tables.rows("worklist") == []


@pytest.mark.spec("WL-16", "WL-11")
@pytest.mark.parametrize("body", [b"{", b"[1]", b'"x"', b"\xff"])
async def test_a_body_that_is_no_json_is_refused_in_plain_text(body):
    worklist = Worklist()
    json_type = ("Content-Type", "application/dicom+json")

    reply = await worklist.send("POST", f"workitems?{UID}", None, json_type, body=body)

    assert (reply.status, reply.headers["content-type"]) == (400, "text/plain; charset=utf-8")


@pytest.mark.spec("WL-16")
async def test_command_sets_and_file_meta_information_are_not_stored():
    worklist = Worklist()
    await worklist.create(t00020010=element("UI", "1.2"), t00000002=element("UI", "1.2"))

    assert not {"00020010", "00000002"} & (await worklist.retrieve(UID)).keys()


@pytest.mark.spec("WL-3")
@pytest.mark.parametrize(
    ("accept", "accepted"),
    [
        ("application/dicom+json", True),
        ("*/*", True),
        ("application/*", True),
        ("application/json", False),
        ("application/dicom+xml", False),
        ("application/dicom+json;q=0", False),
    ],
)
async def test_answers_are_dicom_json(accept, accepted):
    worklist = Worklist()
    await worklist.create("1.1")
    header = ("Accept", accept)

    assert (await worklist.send("POST", f"workitems?{UID}", new_workitem(), header)).status == (
        201 if accepted else 406
    )
    assert (await worklist.send("GET", "workitems/1.1", None, header)).status == (200 if accepted else 406)
    assert (await worklist.send("GET", "workitems", None, header)).status == (200 if accepted else 406)


@pytest.mark.spec("WL-5")
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("POST", ""), ("PUT", "/state"), ("POST", "/cancelrequest")],
)
async def test_a_path_needs_a_uid(method, path):
    reply = await Worklist().send(method, f"workitems/1.a{path}", {} if method != "GET" else None)

    assert (reply.status, reply.text) == (400, "The SOPInstanceUID of the path is not a valid UID.")


@pytest.mark.spec("WL-7")
async def test_creating_makes_the_partition_and_nothing_else_does():
    worklist = Worklist(data_partitions=True)
    for method, path in (
        ("GET", ""),
        ("GET", f"/{UID}"),
        ("POST", f"/{UID}"),
        ("PUT", f"/{UID}/state"),
        ("POST", f"/{UID}/cancelrequest"),
    ):
        body = None if method == "GET" else state_change("IN PROGRESS")
        assert (await worklist.send(method, f"partitions/new/workitems{path}", body)).status == 400

    reply = await worklist.send("POST", f"partitions/new/workitems?{UID}", new_workitem())

    assert reply.headers["location"] == f"https://dicom.example/v2/partitions/new/workitems/{UID}"
    assert (await worklist.send("GET", f"partitions/new/workitems/{UID}")).status == 200
    assert (await worklist.send("GET", f"partitions/ward/workitems/{UID}")).status == 404


@pytest.mark.spec("WL-15")
async def test_too_large_a_workitem_is_refused():
    worklist = Worklist()
    noise = random.Random(1).randbytes(700_000).hex()
    for text in ("x" * 2**21, noise):
        sent = new_workitem(t00400400=element("LT", text))
        assert (await worklist.send("POST", f"workitems?{UID}", sent)).status == 413
    many = codes(*map(str, range(100)))
    reply = await worklist.send("POST", f"workitems?{UID}", new_workitem(t00404025=many))
    assert (reply.status, reply.text) == (413, "The workitem has more than 97 values that searches match.")
    assert worklist.tables.rows("worklist") == []


@pytest.mark.spec("WL-15")
async def test_too_many_changes_at_once_are_refused():
    worklist = Worklist()
    await worklist.create(t00404025=codes(*(f"A{number}" for number in range(60))))
    before = worklist.row(UID)

    reply = await worklist.update(UID, {"00404025": codes(*(f"B{number}" for number in range(60)))})

    assert (reply.status, reply.text) == (413, "The request changes more than 97 values that searches match.")
    assert worklist.row(UID) == before


# ------------------------------------------------------------------------------------------------- UIDs in the query


@pytest.mark.spec("WL-17", "WC-2", "WC-3", "WC-1", "WL-19")
@pytest.mark.parametrize(
    ("query", "in_body", "status", "uid"),
    [
        ("1.2", None, 201, "1.2"),
        ("1.2=", None, 201, "1.2"),
        ("1", None, 201, "1"),
        ("workitem=1.2", None, 201, "1.2"),
        ("AffectedSOPInstanceUID=1.2", None, 201, "1.2"),
        ("WORKITEM=1.2", None, 201, "1.2"),
        ("", "1.2", 201, "1.2"),
        ("1.2", "1.2", 201, "1.2"),
        ("accept=application/dicom%2Bjson&1.2", None, 201, "1.2"),
        ("foo=1&workitem=1.2", None, 201, "1.2"),
        ("", None, 201, "2.25."),
        ("1.2", "1.3", 400, ""),
        ("1.2&workitem=1.3", None, 400, ""),
        ("1.a", None, 400, ""),
        ("foo=1.2", None, 400, ""),
        ("workitem=", None, 400, ""),
        ("workitem=x", None, 400, ""),
        ("", "1.a", 400, ""),
    ],
)
async def test_the_uid_of_a_new_workitem(query, in_body, status, uid):
    worklist = Worklist()
    sent = new_workitem() if in_body is None else new_workitem(t00080018=element("UI", in_body))

    reply = await worklist.send("POST", f"workitems?{query}", [sent])

    assert reply.status == status
    assert reply.headers.get("location", "").startswith(f"https://dicom.example/v2/workitems/{uid}" if uid else "")
    assert len(await worklist.find()) == (status == 201)


@pytest.mark.spec("WC-1")
async def test_two_uids_of_a_new_workitem_are_named():
    reply = await Worklist().send("POST", "workitems?1.2", new_workitem(t00080018=element("UI", "1.3")))

    assert reply.text == "SOPInstanceUID in the payload does not match the workitem query parameter."


@pytest.mark.spec("WL-18", "WL-19", "WU-4", "WU-5", "WU-11")
@pytest.mark.parametrize(
    ("query", "in_body", "status"),
    [
        (CLAIM, None, 200),
        (f"{CLAIM}=", None, 200),
        (f"transaction={CLAIM}", None, 200),
        (f"transaction-uid={CLAIM}", None, 200),
        (f"Transaction-UID={CLAIM}", None, 200),
        (f"transactionUid={CLAIM}", None, 200),
        ("", CLAIM, 200),
        (CLAIM, CLAIM, 200),
        (OTHER, None, 400),
        ("", None, 400),
        ("", OTHER, 400),
        (CLAIM, OTHER, 400),
        (f"{CLAIM}&transaction={OTHER}", None, 400),
        ("1.a", None, 400),
        ("", "1.a", 400),
    ],
)
async def test_the_transaction_uid_of_an_update(query, in_body, status):
    worklist = Worklist()
    await worklist.in_state("IN PROGRESS")
    change = {"00404041": element("CS", "LATER")}
    change |= {} if in_body is None else {"00081195": element("UI", in_body)}

    reply = await worklist.send("POST", f"workitems/{UID}?{query}", [change])

    assert reply.status == status
    stored = await worklist.retrieve(UID)
    assert "00081195" not in stored
    assert stored["00404041"]["Value"] == (["LATER"] if status == 200 else ["READY"])
