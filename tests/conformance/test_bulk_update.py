"""Bulk update over HTTP, and both versions of what it has changed in every transaction that retrieves."""

import asyncio
import io
import json
import os
import zipfile
from urllib.parse import quote

import pydicom
import pytest
import requests

from devhost.testing import running_service
from tests.builders.images import image, new_uid
from tests.conformance.exchange import DICOM, JSON, OCTETS, Exchange, parts, refusal
from tests.conformance.test_export import ROOT
from tests.integration.devhost.waiting import eventually

ORIGINAL = {"msdicom_request_original": "True"}
NAME = "00100010"
JPEG = "1.2.840.10008.1.2.4.50"

pytestmark = [
    pytest.mark.skipif("DICOMWEB_URL" in os.environ, reason="the timer of that service is out of reach"),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
async def updating(azurite):
    settings = {"AzureWebJobsStorage": azurite.connection_string, "DicomStorage": azurite.connection_string}
    async with running_service(ROOT, settings) as running:
        yield running


@pytest.fixture
def client(updating):
    return Exchange(updating.url)


def ask(client, studies, data_set, path="studies/$bulkUpdate"):
    body = json.dumps({"studyInstanceUids": studies, "changeDataset": data_set}).encode()
    return client.send("POST", path, body=body, Content_Type="application/json")


async def ended(updating, started):
    """The state of an operation when it has ended."""
    assert started.status_code == 202, started.text
    href = started.json()["href"]
    assert started.headers["Location"] == href

    async def state():
        # The work of operations is one of the chores of a timer.
        chores = f"{updating.url}/admin/functions/housekeeping"
        await asyncio.to_thread(requests.post, chores, json={"input": ""}, timeout=120)
        reply = await asyncio.to_thread(requests.get, href, timeout=30)
        return reply if reply.status_code == 200 else None

    return (await eventually(state, 120)).json()


async def updated(updating, client, studies, name):
    data_set = {NAME: {"vr": "PN", "Value": [{"Alphabetic": name}]}}
    state = await ended(updating, ask(client, studies, data_set))
    assert state["status"] == "succeeded", state
    return state["results"]


def name_in(data):
    return str(pydicom.dcmread(io.BytesIO(data)).PatientName)


def etag(reply):
    assert reply.status_code == 200, reply.text
    assert "msdicom-request-original" in reply.headers["Vary"]
    return reply.headers["ETag"]


@pytest.mark.spec("UPD-9", "UPD-20", "UPD-22", "UPD-24", "UPD-37", "WADO-32", "META-9", "D-25", "CON-6", "FRM-8")
@pytest.mark.parametrize("syntax", [None, JPEG])
async def test_both_versions_are_there_in_every_transaction(updating, client, syntax):
    options = {"syntax": syntax} if syntax else {}
    one = image(new_uid(), frames=2, size=(16, 16), PatientName="Old^Name", **options)
    study, path = f"studies/{one.identifier.study_instance_uid}", one.path
    client.store(one)
    files = f'{DICOM}; transfer-syntax="*"'
    before = {each: etag(client.get(each, accept)) for each, accept in ((path, files), (f"{path}/metadata", JSON))}

    results = await updated(updating, client, [one.identifier.study_instance_uid], "New^Name")

    assert results == {"studyProcessed": 1, "studyUpdated": 1, "studyFailed": 0, "instanceUpdated": 1}
    now, original = client.get(path, files), client.get(path, files, **ORIGINAL)
    assert (name_in(now.content), name_in(original.content)) == ("New^Name", "Old^Name")
    assert original.content == one.data
    assert etag(now) not in (etag(original), before[path])
    assert etag(original) == before[path]
    for scope in (study, path.partition("/instances")[0]):
        several = f'multipart/related; type="{DICOM}"; transfer-syntax=*'
        assert [name_in(part.body) for part in parts(client.get(scope, several))] == ["New^Name"]
        assert [part.body for part in parts(client.get(scope, several, **ORIGINAL))] == [one.data]
        archive = zipfile.ZipFile(
            io.BytesIO(client.get(scope, "application/zip; transfer-syntax=*", **ORIGINAL).content)
        )
        assert [archive.read(each) for each in archive.namelist()] == [one.data]
    for scope in (study, path.partition("/instances")[0], path):
        metadata, first = client.get(f"{scope}/metadata", JSON), client.get(f"{scope}/metadata", JSON, **ORIGINAL)
        assert metadata.json()[0][NAME]["Value"] == [{"Alphabetic": "New^Name"}]
        assert first.json()[0][NAME]["Value"] == [{"Alphabetic": "Old^Name"}]
        assert etag(metadata) != etag(first)
    assert etag(client.get(f"{path}/metadata", JSON)) != before[f"{path}/metadata"]

    for header in ({}, ORIGINAL):
        frames = parts(client.get(f"{path}/frames/1,2", 'multipart/related; type="*/*"; transfer-syntax=*', **header))
        assert [part.body for part in frames] == list(one.frames)
        pixels = client.get(f"{path}/bulkdata/7FE00010", "*/*", **header)
        assert pixels.status_code == 200
        assert client.get(f"{path}/pixeldata", "*/*", **header).status_code == 200
        if not syntax:
            assert b"".join(one.frames) in pixels.content
            rendered = client.get(f"{path}/rendered", "image/png", **header)
            assert rendered.status_code == 200
            converted = client.get(path, f'{DICOM}; transfer-syntax="1.2.840.10008.1.2.4.90"', **header)
            assert name_in(converted.content) == ("Old^Name" if header else "New^Name")
            asked = "&".join(
                f"{key}={value}"
                for key, value in (
                    ("studyUID", one.identifier.study_instance_uid),
                    ("seriesUID", one.identifier.series_instance_uid),
                    ("objectUID", one.identifier.sop_instance_uid),
                )
            )
            by_query = client.get(f"wado?requestType=WADO&{asked}&contentType={DICOM}", None, **header)
            assert name_in(by_query.content) == ("Old^Name" if header else "New^Name")
    if not syntax:
        pictures = [etag(client.get(f"{path}/rendered", "image/png", **header)) for header in ({}, ORIGINAL)]
        assert pictures[0] != pictures[1]


@pytest.mark.spec("UPD-24", "WADO-32")
def test_of_what_was_never_updated_the_only_version_is_the_original(client):
    one = image(new_uid())
    client.store(one)
    assert client.get(one.path, f'{DICOM}; transfer-syntax="*"', **ORIGINAL).content == one.data
    first = client.get(f"{one.path}/metadata", JSON, **ORIGINAL)
    assert first.json() == client.get(f"{one.path}/metadata", JSON).json()


@pytest.mark.spec("UPD-22", "UPD-25", "UPD-26", "UPD-32", "DEL-8")
async def test_searches_feed_and_deletion_know_of_the_update(updating, client):
    old, new = new_uid(), new_uid()
    images = [image(old, PatientName=f"Old^{old}", PatientID=old) for _ in range(3)]
    client.store(*images)
    latest = client.get("changefeed/latest", "application/json").json()
    data_set = {"PatientID": {"vr": "LO", "Value": [new]}, NAME: {"vr": "PN"}}
    assert (await ended(updating, ask(client, [old], data_set)))["status"] == "succeeded"

    assert len(client.get(f"studies?PatientID={new}", JSON).json()) == 1
    assert client.get(f"studies?PatientID={old}", JSON).status_code == 204
    assert client.get(f"studies?PatientName=Old^{old}", JSON).status_code == 204
    since = quote(latest["timestamp"])
    feed = client.get(f"changefeed?offset=0&limit=200&includeMetadata=true&startTime={since}", "application/json")
    entries = [
        each for each in feed.json() if each["studyInstanceUid"] == old and each["sequence"] > latest["sequence"]
    ]
    assert [each["action"] for each in entries] == ["Update"] * 3
    assert {each["state"] for each in entries} == {"Current"}
    assert {each["metadata"]["00100020"]["Value"][0] for each in entries} == {new}

    assert client.send("DELETE", f"studies/{old}").status_code == 204
    for header in ({}, ORIGINAL):
        assert client.get(images[0].path, f'{DICOM}; transfer-syntax="*"', **header).status_code == 404
        assert client.get(f"{images[0].path}/frames/1", f"{OCTETS}; transfer-syntax=*", **header).status_code == 404


@pytest.mark.spec("URL-7", "GEN-6", "GEN-6a", "UPD-1", "UPD-30", "OP-8")
async def test_the_path_is_never_a_study_however_it_is_written(updating, client):
    unknown = [new_uid()]
    for path in ("studies/$bulkUpdate", "studies/%24bulkupdate", "studies/$BULKUPDATE"):
        state = await ended(updating, ask(client, unknown, {NAME: {"vr": "PN"}}, path))
        assert (state["status"], state["results"]["studyProcessed"], state["results"]["studyUpdated"]) == (
            "succeeded",
            1,
            0,
        )
    refused = ask(Exchange(updating.url, "v1"), unknown, {NAME: {"vr": "PN"}})
    assert refused.status_code == 404
    assert refusal(refused)
    one = image(new_uid())
    reply = client.send("POST", "studies/$bulkUpdate", body=one.data, Content_Type=DICOM)
    assert reply.status_code == 415
    assert client.send("PUT", "studies/$bulkUpdate", body=one.data, Content_Type=DICOM).status_code == 405
    assert client.get("studies/$bulkUpdate").status_code == 405


@pytest.mark.spec("MRG-1", "MRG-2", "MRG-6", "MRG-8")
async def test_patients_are_merged_and_a_study_is_moved_back(updating, client):
    old, new = new_uid(), new_uid()
    images = [image(PatientID=old, PatientName="Old^Name") for _ in range(2)]
    client.store(*images, image(PatientID=new, PatientName="New^Name"))

    def send(path, body):
        return client.send("POST", path, body=json.dumps(body).encode(), Content_Type="application/json")

    body = {"source": {"patientId": old}, "target": {"patientId": new}, "reason": "registered twice"}
    planned = send("patients/$merge?dryRun=true", body)
    assert planned.status_code == 200
    assert sorted(planned.json()["studyInstanceUids"]) == sorted(each.identifier.study_instance_uid for each in images)
    state = await ended(updating, send("patients/$merge", body))
    assert (state["type"], state["status"], state["results"]["instanceUpdated"]) == ("merge", "succeeded", 2)
    assert client.get(f"studies?PatientID={old}", JSON).status_code == 204
    assert len(client.get(f"studies?PatientID={new}", JSON).json()) == 3

    back = {"patientId": old, "attributes": {"PatientName": {"vr": "PN", "Value": [{"Alphabetic": "Old^Name"}]}}}
    study = images[0].identifier.study_instance_uid
    state = await ended(
        updating, send("studies/$move", {"studyInstanceUid": study, "patient": back, "reason": "wrong"})
    )
    assert (state["type"], state["status"]) == ("move", "succeeded")
    assert len(client.get(f"studies?PatientID={old}", JSON).json()) == 1
    files = f'{DICOM}; transfer-syntax="*"'
    assert name_in(client.get(images[0].path, files).content) == "Old^Name"
    assert client.get(images[0].path, files, **ORIGINAL).content == images[0].data
