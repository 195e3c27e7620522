"""Storage that refuses or says nothing at the start keeps neither the app from loading nor one account the other."""

import asyncio
import base64
import re

import pytest
import requests

from tests.builders.files import file

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
