"""The import program against a running service, both ways."""

import asyncio
import sys
from pathlib import Path

import pytest
import requests

from tests.builders.files import PATIENT_ID, PATIENT_NAME, file
from tests.builders.images import image, new_uid

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
async def importing(azurite):
    """A service with bulk import."""
    from devhost.testing import running_service

    settings = {
        "AzureWebJobsStorage": azurite.connection_string,
        "DicomStorage": azurite.connection_string,
        "BULK_IMPORT_ENABLED": "true",
        "DICOM_CONTAINER": "dicom-import-folder",
    }
    async with running_service(ROOT, settings) as running:
        yield running


@pytest.fixture
def folder(tmp_path):
    """Three files to be stored, one of them twice, one that is refused, two that claim to be one instance, one that
    is no DICOM.
    """
    study = new_uid()
    files = [file(study=study), image(study), image(study, frames=12, size=(512, 512), bits=16)]
    (tmp_path / "data" / "sub folder").mkdir(parents=True)
    for number, one in enumerate(files):
        (tmp_path / "data" / "sub folder" / f"ü {number}.dcm").write_bytes(one.data)
    (tmp_path / "data" / "copy.dcm").write_bytes(files[0].data)
    (tmp_path / "data" / "invalid").write_bytes(file({PATIENT_ID: None}).data)
    series, sop_instance = new_uid(), new_uid()
    for name in ("Doe^Jane", "Doe^Janet"):
        one = file({PATIENT_NAME: name}, study=study, series=series, sop_instance=sop_instance)
        (tmp_path / "data" / f"claim {len(name)}.dcm").write_bytes(one.data)
    (tmp_path / "data" / "notes.txt").write_text("notes")
    return tmp_path / "data", study


async def run(folder, *options):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scripts.import_folder", str(folder), "--journals", str(folder.parent / "journals"),
        *options, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(180):
        output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.spec("IMP-4", "IMP-8")
@pytest.mark.parametrize("way", ["container", "STOW-RS"])
async def test_a_folder_is_sent_once_and_the_program_says_what_became_of_it(importing, folder, way):
    place, study = folder
    options = (
        ("--connection", importing.connection_string, "--patience", "120")
        if way == "container"
        else ("--url", f"{importing.url}/v2", "--concurrency", "1")
    )

    code, output, errors = await run(place, *options)

    assert code == 1, errors
    assert "7 files in" in output
    assert "4 stored, 1 duplicates, 2 refused." in output
    assert "other content (45070)" in output or "other content. (45070)" in output
    assert "1 files are no DICOM files" in output
    assert "refused: invalid: " in output
    found = await asyncio.to_thread(requests.get, f"{importing.url}/v2/studies/{study}/instances", timeout=60)
    assert len(found.json()) == 4

    for refused in (place / "invalid", *place.glob("claim*")):
        refused.unlink()
    (place / "another.dcm").write_bytes(file(study=study).data)
    code, output, errors = await run(place, *options)

    assert code == 0, errors
    assert "4 stored, 1 duplicates, 0 refused." in output
    assert "4 of them were done in an earlier run." in output


async def test_what_cannot_be_done_is_said_at_once(folder):
    place, _ = folder
    code, _, errors = await run(place, "--url", "http://127.0.0.1:1/v2/nowhere", "--token-command", "/no/such/program")
    assert code == 2
    assert "token command" in errors
