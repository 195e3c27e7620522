"""The notebooks of `examples/notebooks`, their cells as they stand there, against a service with a study in it."""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas

from devhost.testing import running_azurite
from scripts.demo.building import part10
from scripts.demo.scans import ct
from tests.builders.images import multipart

NOTEBOOKS = Path(__file__).parents[3] / "examples/notebooks"


SEEN = """
import json
print(json.dumps({"shape": volume.shape, "exported": results["exported"], "names": list(exported["PatientName"])}))
"""
"""What is looked at when all cells have run."""


@pytest.fixture
async def storage():
    """Storage of its own: the sample has the same UIDs wherever it is stored."""
    async with running_azurite() as azurite:
        yield azurite


def code(name):
    """The code of a notebook, as one script."""
    notebook = json.loads((NOTEBOOKS / name).read_text())
    return "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")


async def run(python, script, **environment):
    """What a script prints at its end, as JSON."""
    process = await asyncio.create_subprocess_exec(
        python, "-c", script, env={**os.environ, **environment}, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(output.splitlines()[-1])


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_a_notebook_is_kept_without_results(path):
    for cell in json.loads(path.read_text())["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


@pytest.mark.timeout(600)
@pytest.mark.spec("DEID-1")
async def test_a_search_becomes_a_volume_and_a_copy_without_names(
    python_of_examples, fresh_service, storage, tmp_path, monkeypatch
):
    container = BlobServiceClient.from_connection_string(storage.connection_string).get_container_client("researcher")
    container.create_container()
    signature = generate_container_sas(
        container.credential.account_name,
        "researcher",
        account_key=container.credential.account_key,
        permission=ContainerSasPermissions(create=True, write=True, read=True, list=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    service = await fresh_service(
        {
            "AzureWebJobsStorage": storage.connection_string,
            "EXPORT_DESTINATIONS": container.url,
            "EXPORT_SAS_ALLOWED": "true",
            "SECRET_STORE": tmp_path.as_uri(),
        }
    )
    study = ct()
    images = [one for one in study.data_sets if one.Modality == "CT"]
    body, content_type = multipart([part10(one) for one in study.data_sets])
    headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
    stored = await asyncio.to_thread(requests.post, f"{service.url}/v2/studies", data=body, headers=headers)
    assert stored.status_code == 200, stored.text
    monkeypatch.delenv("DICOM_TOKEN", raising=False)

    seen = await run(
        python_of_examples,
        code("search-to-volume.ipynb") + SEEN,
        DICOM_URL=service.url,
        EXPORT_CONTAINER=f"{container.url}?{signature}",
    )

    assert seen["shape"] == [len(images), images[0].Rows, images[0].Columns]
    assert seen["exported"] == len(study.data_sets)
    assert not {str(one.PatientName) for one in study.data_sets} & set(seen["names"])
