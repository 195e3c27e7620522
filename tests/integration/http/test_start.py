"""Storage that refuses or says nothing at the start keeps neither the app from loading nor one account the other."""

import asyncio
import base64
import re

import pytest
import requests

from shared.wiring import app as wiring
from tests.builders.files import file
from tests.builders.http import settings

JSON = "application/dicom+json"
WRONG_KEY = base64.b64encode(bytes(64)).decode()


def refused(connection_string):
    """The same account, with a key that it does not take."""
    return re.sub("AccountKey=[^;]+", f"AccountKey={WRONG_KEY}", connection_string)


def store(url):
    headers = {"Content-Type": "application/dicom", "Accept": JSON}
    return requests.post(f"{url}/v2/studies", file().data, headers=headers, timeout=120).status_code


@pytest.mark.spec("STOW-44")
async def test_an_account_that_refuses_is_told_by_requests_not_by_an_app_that_does_not_load(azurite, fresh_service):
    service = await fresh_service(
        {"AzureWebJobsStorage": azurite.connection_string, "DicomStorage": refused(azurite.connection_string)}
    )
    health = await asyncio.to_thread(requests.get, f"{service.url}/health/check", timeout=60)
    assert health.json()["overallStatus"] != "Healthy"
    assert await asyncio.to_thread(store, service.url) in {424, 503}
    assert "store-not-reached-at-start" in service.log_text


async def test_storage_that_says_nothing_holds_the_start_for_its_time_only(monkeypatch, caplog):
    monkeypatch.setattr(wiring, "_START_SECONDS", 0.2)
    accepted = []

    async def silent(reader, writer):
        accepted.append(writer)
        await reader.read()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/devstoreaccount1"
    account = f"AccountName=devstoreaccount1;AccountKey={WRONG_KEY};BlobEndpoint={address};TableEndpoint={address}"
    try:
        # Without its end it would wait for every attempt, which takes longer than the test may.
        await asyncio.to_thread(wiring.check_store, settings(storage_connection=f"{account};QueueEndpoint={address}"))
    finally:
        for each in accepted:
            each.close()
        server.close()
        await server.wait_closed()
    assert accepted
    assert "store-not-reached-at-start" in caplog.text
    assert "TimeoutError" in caplog.text


async def test_an_import_account_that_refuses_costs_the_import_alone(azurite, fresh_service):
    service = await fresh_service(
        {
            "AzureWebJobsStorage": azurite.connection_string,
            "DicomStorage": azurite.connection_string,
            "DICOM_CONTAINER": "dicom-refused-import",
            "BULK_IMPORT_ENABLED": "true",
            "ImportStorage": refused(azurite.connection_string),
        }
    )
    assert await asyncio.to_thread(store, service.url) == 200
