"""Export over HTTP, into containers of an emulator."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from devhost.testing import RunningService, running_azurite, running_service
from tests.builders import datasets
from tests.builders.deidentifying import leaked
from tests.builders.images import image, new_uid
from tests.conformance.exchange import Exchange, refusal
from tests.integration.devhost.waiting import eventually

ROOT = Path(__file__).parents[2]
LISTED = "exported"

pytestmark = [
    pytest.mark.skipif(
        "DICOMWEB_URL" in os.environ, reason="the storage and settings of that service are out of reach"
    ),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
async def exporting(azurite, tmp_path_factory) -> AsyncIterator[RunningService]:
    """A service that may export into the container `exported` of an emulator of its own, and of one other."""
    async with running_azurite() as other:
        blobs = BlobServiceClient.from_connection_string(other.connection_string).url.rstrip("/")
        own = BlobServiceClient.from_connection_string(azurite.connection_string).url.rstrip("/")
        settings = {
            "AzureWebJobsStorage": azurite.connection_string,
            "DicomStorage": azurite.connection_string,
            "EXPORT_DESTINATIONS": f"{blobs},{own}/{LISTED}",
            "EXPORT_SAS_ALLOWED": "true",
            "SECRET_STORE": tmp_path_factory.mktemp("secrets").as_uri(),
        }
        async with running_service(ROOT, settings) as running:
            running.other = other.connection_string
            running.secrets = Path(urlsplit(settings["SECRET_STORE"]).path)
            yield running


@pytest.fixture(params=["own", "other"])
def account(exporting, request):
    """The account of the service itself, and another one."""
    connection = exporting.connection_string if request.param == "own" else exporting.other
    return BlobServiceClient.from_connection_string(connection)


@pytest.fixture
def container(account):
    client = account.get_container_client(LISTED)
    with suppress(ResourceExistsError):
        client.create_container()
    return client


def signature(container, permission, *, hours=1):
    credential = container.credential
    return generate_container_sas(
        credential.account_name,
        container.container_name,
        account_key=credential.account_key,
        permission=ContainerSasPermissions.from_string(permission),
        expiry=datetime.now(UTC) + timedelta(hours=hours),
    )


def to(uri, **settings):
    return {"type": "azureBlob", "settings": {"blobContainerUri": uri, **settings}}


def source(*values):
    return {"type": "identifiers", "settings": {"values": values}}


def ask(exporting, body, version="v2", path="export"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Exchange(exporting.url, version).send("POST", path, None, data, Content_Type="application/json")


async def finished(exporting, started, version="v2"):
    assert started.status_code == 202, started.text
    told = started.json()
    assert started.headers["Location"] == told["href"] == f"{exporting.url}/{version}/operations/{told['id']}"

    async def run():
        # The work of operations is one of the chores of a timer.
        chores = f"{exporting.url}/admin/functions/housekeeping"
        await asyncio.to_thread(requests.post, chores, json={"input": ""}, timeout=120)
        state = await asyncio.to_thread(requests.get, told["href"], timeout=30)
        return state if state.status_code == 200 else None

    state = await eventually(run, 120)
    return told["id"], state.json()


def files(container, operation_id):
    prefix = f"{operation_id}/results/"
    return {
        blob.name.removeprefix(prefix): container.download_blob(blob.name).readall()
        for blob in container.list_blobs(name_starts_with=prefix)
    }


def names(*images):
    uids = (one.identifier for one in images)
    return [f"{uid.study_instance_uid}/{uid.series_instance_uid}/{uid.sop_instance_uid}.dcm" for uid in uids]


@pytest.mark.spec("XPT-14", "XPT-20", "XPT-21", "XPT-22", "XPT-23", "XPT-25", "XPT-28", "XPT-29")
async def test_files_arrive_byte_for_byte_with_a_signature_that_only_writes(exporting, container):
    study, large = new_uid(), image(size=(1400, 1000), frames=8)
    images = [image(study), image(study, frames=3), large]
    Exchange(exporting.url).store(*images)
    signed = signature(container, "cw")
    unknown = new_uid()

    body = {
        "source": source(study, large.identifier.study_instance_uid, unknown),
        "destination": to(f"{container.url}?{signed}"),
    }
    operation_id, state = await finished(exporting, ask(exporting, body))

    log = container.get_blob_client(f"{operation_id}/errors.log")
    assert state["status"] == "succeeded", state
    assert state["results"] == {"exported": 3, "skipped": 1, "errorHref": log.url}
    assert files(container, operation_id) == dict(zip(names(*images), [one.data for one in images], strict=True))
    [line] = map(json.loads, log.download_blob().readall().splitlines())
    assert (line["identifier"], line.keys()) == (unknown, {"timestamp", "identifier", "error"})
    assert not [each for each in exporting.secrets.iterdir() if each.name.startswith("export-")]
    assert signed.partition("sig=")[2] not in exporting.log_text


@pytest.mark.spec("XPT-14", "XPT-7", "OP-10")
async def test_a_partition_is_exported_with_the_key_of_the_emulator(exporting, container):
    images = [image() for _ in range(3)]
    Exchange(exporting.url).store(*images)
    [connection] = [each for each in (exporting.connection_string, exporting.other) if container.url[:-9] in each]
    destination = {
        "type": "azureBlob",
        "settings": {"connectionString": connection, "blobContainerName": LISTED},
    }

    operation_id, state = await finished(exporting, ask(exporting, {"destination": destination}, "v1"), "v1")

    found = files(container, operation_id)
    assert state["status"] == "completed"
    assert state["results"]["exported"] == len(found) >= 3
    assert {name: found[name] for name in names(*images)} == {
        name: one.data for name, one in zip(names(*images), images, strict=True)
    }


@pytest.mark.spec("DEID-1", "DEID-3", "DEID-8", "DEID-9", "XPT-20")
@pytest.mark.parametrize("account", ["other"], indirect=True)
async def test_a_deidentified_export_has_new_names_everywhere_and_keeps_its_key(exporting, container):
    study = new_uid()
    name = {"PatientName": "Zquxmorf^Wendelgard", "PatientID": "83719264"}
    images = [image(study, BurnedInAnnotation="NO", **name), image(study, BurnedInAnnotation="YES", **name)]
    Exchange(exporting.url).store(*images)
    uids = [uid for one in images for uid in names(one)[0].removesuffix(".dcm").split("/")]
    body = {
        "source": source(study),
        "destination": to(f"{container.url}?{signature(container, 'cw')}"),
        "deidentify": {"profile": "basic"},
    }

    operation_id, state = await finished(exporting, ask(exporting, body))

    blobs = {blob.name: container.download_blob(blob.name).readall() for blob in container.list_blobs(operation_id)}
    written = repr(sorted(blobs)).encode() + b"".join(blobs.values())
    report = json.loads(blobs[f"{operation_id}/report.json"])
    assert (state["results"]["exported"], state["results"]["skipped"]) == (1, 1)
    assert (report["files"], report["refused"]) == (1, {"burnedInAnnotation": 1})
    assert leaked(written, ["Zquxmorf", "Wendelgard", "83719264", *uids]) == []
    [made] = files(container, operation_id).values()
    assert dcmread(DicomBytesIO(made)).PatientIdentityRemoved == "YES"
    kept = [secret.name for secret in exporting.secrets.iterdir()]
    assert [name for name in kept if operation_id in name] == [f"deidentification-{operation_id}"]


@pytest.mark.spec("DEID-1", "DEID-2", "DEID-4", "DEID-5", "DEID-7", "DEID-8")
@pytest.mark.parametrize("account", ["other"], indirect=True)
async def test_options_keep_what_they_name_and_no_text_tells_who_it_is(exporting, container):
    dataset = datasets.ct(
        PatientName="Zquxmorf^Wendelgard",
        PatientID="MRN-83719264",
        PatientBirthDate="19630817",
        PatientAge="099Y",
        InstitutionName="Saint Elsewhere",
        ProtocolName="Chest Zquxmorf 17.08.1963",
    )
    dataset.private_block(0x0029, "Zquxmorf", create=True).add_new(1, "LO", "Wendelgard")
    stored = Exchange(exporting.url).send(
        "POST", "studies", None, datasets.part10(dataset), Content_Type="application/dicom"
    )
    assert stored.status_code == 200, stored.text
    options = ["retainLongitudinalModified", "retainPatientCharacteristics", "cleanDescriptors"]
    body = {
        "source": source(str(dataset.StudyInstanceUID)),
        "destination": to(f"{container.url}?{signature(container, 'cw')}"),
        "deidentify": {"profile": "basic", "options": options, "subjects": "drop"},
    }

    operation_id, _ = await finished(exporting, ask(exporting, body))

    [made] = files(container, operation_id).values()
    read = dcmread(DicomBytesIO(made))
    planted = ("Zquxmorf", "Wendelgard", "83719264", "19630817", "17.08.1963", "Elsewhere")
    assert leaked(made, (*planted, str(dataset.SOPInstanceUID))) == []
    assert (read.PatientID, read.PatientAge, read.ProtocolName) == ("", "090Y", "Chest ***")
    assert read.LongitudinalTemporalInformationModified == "MODIFIED"
    assert read.StudyDate not in {"", dataset.StudyDate}
    assert read.PixelData == dataset.PixelData
    [key] = [secret for secret in exporting.secrets.iterdir() if operation_id in secret.name]
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_text() not in exporting.log_text


@pytest.mark.spec("XPT-13", "XPT-31")
@pytest.mark.parametrize("account", ["other"], indirect=True)
async def test_a_container_that_cannot_be_written_is_said_at_once(exporting, container):
    signed = signature(container, "cw")
    cases = {
        "404 ContainerNotFound": f"{container.url}-not?{signature(container, 'cw')}",
        "403": f"{container.url}?{signed[:-8]}AAAAAA%3D",
        "403 AuthorizationPermissionMismatch": f"{container.url}?{signature(container, 'rl')}",
    }
    for text, uri in cases.items():
        reply = ask(exporting, {"source": source("1.2"), "destination": to(uri)})
        told = refusal(reply)
        assert reply.status_code == 400, told
        assert text.partition(" ")[0] in told or "403" in told, told
        assert "sig=" not in reply.text
    elsewhere = ask(exporting, {"destination": to(f"http://127.0.0.1:9/account/{LISTED}?{signed}")})
    assert (elsewhere.status_code, "destinations" in refusal(elsewhere)) == (400, True)


@pytest.mark.spec("XPT-31")
@pytest.mark.parametrize("account", ["own"], indirect=True)
@pytest.mark.parametrize("name", ["dicom", "import-container", "other"])
def test_a_container_of_the_service_is_no_destination(exporting, account, name):
    client = account.get_container_client(name)
    reply = ask(exporting, {"destination": to(f"{client.url}?{signature(client, 'cw')}")})

    assert reply.status_code == 400
    assert "is not among the destinations" in refusal(reply)


@pytest.mark.spec("GEN-5", "A-5")
def test_the_prerelease_has_no_export(exporting):
    for version, status in (("v1.0-prerelease", 404), ("v1-prerelease", 404), ("v1", 400), ("v1.0", 400), ("v2", 400)):
        assert ask(exporting, {}, version).status_code == status


@pytest.mark.spec("XPT-2", "AERR-2")
@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"[]", 400), (b"{}", 400), (b'{"destination": 1}', 400)])
def test_what_is_no_request_is_refused(exporting, body, status):
    reply = ask(exporting, body)
    assert reply.status_code == status
    refusal(reply)


def test_another_media_type_and_another_method_are_refused(exporting):
    client = Exchange(exporting.url)
    assert client.send("POST", "export", None, b"{}", Content_Type="text/plain").status_code == 415
    assert client.get("export").status_code == 405


@pytest.mark.spec("SHR-7", "SHR-3")
async def test_a_deidentified_share_is_copied_seen_by_its_bearer_alone_and_removed(exporting):
    owner = Exchange(exporting.url, "v2")
    one = image(SOPClassUID="1.2.840.10008.5.1.4.1.1.2", Modality="CT", PatientName="Zquxmorf^Wendelgard")
    owner.store(one)
    study = one.identifier.study_instance_uid
    latest = owner.get("changefeed/latest").json()["sequence"]
    body = {"studies": [study], "expiresIn": "PT1H", "deidentified": True}
    made = ask(exporting, body, path="shares").json()
    stranger = Exchange(exporting.url, "v2", {"Authorization": f"Bearer {made['token']}"})
    waiting = stranger.get("studies")
    assert (waiting.status_code, waiting.headers["Retry-After"]) == (503, "30")
    [listed] = [each for each in owner.get("shares").json() if each["id"] == made["id"]]

    async def run():
        chores = f"{exporting.url}/admin/functions/housekeeping"
        await asyncio.to_thread(requests.post, chores, json={"input": ""}, timeout=120)
        answer = stranger.get("studies?includefield=all")
        return answer if answer.status_code != 503 else None

    [seen] = (await eventually(run, 120)).json()

    copy = seen["0020000D"]["Value"][0]
    assert owner.get(f"operations/{listed['operation']}").json()["type"] == "share"
    file = stranger.get(f"studies/{copy}", "application/zip").content
    assert leaked(json.dumps(seen).encode() + file, [study, "Zquxmorf", "Wendelgard"]) == []
    assert stranger.get(f"studies/{study}/metadata").status_code == 404
    assert owner.get(f"studies/{copy}/metadata").status_code == 404
    assert owner.get("changefeed/latest").json()["sequence"] == latest
    kept = set(exporting.secrets.iterdir())

    owner.send("DELETE", f"shares/{made['id']}")

    async def removed():
        chores = f"{exporting.url}/admin/functions/housekeeping"
        await asyncio.to_thread(requests.post, chores, json={"input": ""}, timeout=120)
        return len(kept - set(exporting.secrets.iterdir())) == 1

    await eventually(removed, 120)
    assert stranger.get("studies").status_code == 401
