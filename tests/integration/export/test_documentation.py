"""The examples of docs/api/export.md, as they stand there but for their destination, against a service."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import requests
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas

from tests.builders.documented import chores, examples, run, statuses
from tests.builders.files import file

PAGE = "api/export.md"
DESTINATION = "https://research.blob.core.windows.net/cohort"


@pytest.mark.timeout(600)
@pytest.mark.spec("XPT-14")
async def test_the_examples_export_a_study(fresh_service, azurite, tmp_path):
    container = BlobServiceClient.from_connection_string(azurite.connection_string).get_container_client("cohort")
    container.create_container()
    signature = generate_container_sas(
        container.credential.account_name,
        "cohort",
        account_key=container.credential.account_key,
        permission=ContainerSasPermissions(create=True, write=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    signed = f"{container.url}?{signature}"
    service = await fresh_service(
        {
            "AzureWebJobsStorage": azurite.connection_string,
            "EXPORT_DESTINATIONS": container.url,
            "EXPORT_SAS_ALLOWED": "true",
            "SECRET_STORE": tmp_path.as_uri(),
        }
    )
    one = file()
    study = one.identifier.study_instance_uid
    headers = {"Content-Type": "application/dicom"}
    stored = await asyncio.to_thread(requests.post, f"{service.url}/v2/studies", data=one.data, headers=headers)
    assert stored.status_code == 200

    # The emulator knows no managed identities: a signature stands for it.
    uids = one.identifier
    [shell] = examples(PAGE, "sh")
    shell = shell.replace(DESTINATION, signed)
    for name, value in (
        ("STUDY", study),
        ("SERIES", uids.series_instance_uid),
        ("INSTANCE", uids.sop_instance_uid),
        ('"useManagedIdentity": true', '"useManagedIdentity": false'),
    ):
        shell = shell.replace(name, value)
    assert await statuses(shell, service.url) == [202]

    [script] = examples(PAGE, "python")
    script = script.replace("time.sleep(10)", "time.sleep(1)").replace(": True", ": False")
    async with chores(service.url):
        known = await run(script, url=service.url, study=study, container=signed)
    assert known["results"]["exported"] == 1
    assert known["results"]["errorHref"].startswith(container.url)

    [shell] = examples("use/de-identification.md", "sh")
    shell = shell.replace(DESTINATION, signed).replace('"STUDY"', f'"{study}"').replace(": true", ": false")
    assert await statuses(shell, service.url) == [202]
