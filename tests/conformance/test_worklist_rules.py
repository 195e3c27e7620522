"""Worklist rules over HTTP: what is stored makes workitems (worklist §13)."""

import asyncio
import json

import pytest
import requests

from tests.builders.images import image, new_uid
from tests.builders.worklist import codes
from tests.conformance.exchange import JSON, Exchange
from tests.integration.devhost.waiting import eventually

PLAIN = "application/json"


def ask(client, method, path, document=None):
    if document is None:
        return client.send(method, path)
    return client.send(method, path, body=json.dumps(document).encode(), Content_Type=PLAIN)


def rule(station, body_part, **more):
    return {
        "name": "Nodule detection",
        "filter": {"Modality": "CT", "BodyPartExamined": body_part},
        "template": {"00404025": codes(station)},
        **more,
    }


@pytest.mark.spec("AIX-2", "AIX-5", "AIX-6")
async def test_a_stored_study_becomes_one_workitem(own_service):
    client, station, part = Exchange(own_service.url), f"S{new_uid()[-12:]}", f"P{new_uid()[-12:]}"
    made = ask(client, "POST", "worklist-rules", rule(station, part, quietSeconds=0))
    assert made.status_code == 201, made.text
    assert made.headers["Location"] == f"{client.base}/worklist-rules/{made.json()['id']}"
    study = new_uid()
    chest = image(study, Modality="CT", BodyPartExamined=part, AccessionNumber="ACC9")
    client.store(chest, image(study, Modality="CT", BodyPartExamined="HEAD"), image(Modality="MR"))

    async def workitems():
        chores = f"{own_service.url}/admin/functions/housekeeping"
        await asyncio.to_thread(requests.post, chores, json={"input": ""}, timeout=120)
        keys = f"workitems?ScheduledStationNameCodeSequence.CodeValue={station}&includefield=all"
        found = await asyncio.to_thread(client.get, keys, JSON)
        return found.json() if found.status_code == 200 else None

    [workitem] = await eventually(workitems, 120)
    assert workitem["00741000"]["Value"] == ["SCHEDULED"]
    assert workitem["0020000D"]["Value"] == [study]
    assert workitem["0040A370"]["Value"][0]["00080050"]["Value"] == ["ACC9"]
    [named] = workitem["00404021"]["Value"]
    assert named["0020000E"]["Value"] == [chest.identifier.series_instance_uid]
    assert named["00081199"]["Value"][0]["00081155"]["Value"] == [chest.identifier.sop_instance_uid]

    client.store(image(study, Modality="CT", BodyPartExamined=part))
    for _ in range(2):
        await workitems()
    assert len(await workitems()) == 1
    assert ask(client, "DELETE", made.headers["Location"].removeprefix(f"{client.base}/")).status_code == 204


@pytest.mark.spec("AIX-7", "AIX-9")
def test_a_rule_is_tried_kept_replaced_and_removed(v2):
    part = f"P{new_uid()[-12:]}"
    stored = image(Modality="CT", BodyPartExamined=part)
    v2.store(stored)
    study = stored.identifier.study_instance_uid
    tried = ask(v2, "POST", "worklist-rules/$dryRun", rule("S", part, studies=[study]))
    [result] = tried.json()
    assert result["seriesInstanceUids"] == [stored.identifier.series_instance_uid]
    assert result["workitem"]["0020000D"]["Value"] == [study]

    made = ask(v2, "POST", "worklist-rules", rule("S", part, quietSeconds=86_400)).json()
    path = f"worklist-rules/{made['id']}"
    assert made["id"] in [each["id"] for each in ask(v2, "GET", "worklist-rules").json()]
    replaced = ask(v2, "PUT", path, rule("T", part, quietSeconds=86_400))
    assert (replaced.status_code, ask(v2, "GET", path).json()) == (200, replaced.json())
    assert ask(v2, "POST", path).status_code == 405
    assert ask(v2, "DELETE", path).status_code == 204
    assert [ask(v2, method, path).status_code for method in ("GET", "DELETE")] == [404, 404]
    assert ask(v2, "POST", "worklist-rules", {"name": "x", "filter": {"PixelData": "1"}}).status_code == 400
    assert Exchange(v2.base.removesuffix("/v2"), "v1").get("worklist-rules").status_code in {404, 405}
