"""The import program against a running service, both ways."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
import requests

from devhost.azurite.storage_account import emulator_connection
from tests.builders.files import PATIENT_ID, PATIENT_NAME, file
from tests.builders.images import image, new_uid

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": "cli"}


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


def without_meta(data):
    return data[144 + int.from_bytes(data[140:144], "little") :]


async def run(folder, *options):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dicom_cli", "import", str(folder), "--journals", str(folder.parent / "journals"),
        *options, cwd=ROOT, env=ENVIRONMENT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip  # read at once: one item a line says no more
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
    assert "4 stored, 1 duplicate, 2 refused." in output
    assert "other content (45070)" in output or "other content. (45070)" in output
    assert "1 file passed over: no DICOM file (1)." in output
    assert "passed over: notes.txt" in output
    assert "refused: invalid: " in output
    found = await asyncio.to_thread(requests.get, f"{importing.url}/v2/studies/{study}/instances", timeout=60)
    assert len(found.json()) == 4

    for refused in (place / "invalid", *place.glob("claim*")):
        refused.unlink()
    (place / "another.dcm").write_bytes(file(study=study).data)
    code, output, errors = await run(place, *options)

    assert code == 0, errors
    assert "4 stored, 1 duplicate, 0 refused." in output
    assert "4 of them were done in an earlier run." in output


async def delete(importing, study):
    answer = await asyncio.to_thread(requests.delete, f"{importing.url}/v2/studies/{study}", timeout=60)
    assert answer.status_code == 204


@pytest.mark.parametrize("way", ["container", "STOW-RS"])
async def test_what_an_earlier_run_has_stored_is_believed_only_when_it_is_there(importing, tmp_path, way):
    study = new_uid()
    (tmp_path / "data").mkdir()
    for number in range(3):
        (tmp_path / "data" / f"{number}.dcm").write_bytes(file(study=study).data)
    (tmp_path / "data" / "bare").write_bytes(without_meta(file(study=study).data))
    options = ("--url", f"{importing.url}/v2")
    if way == "container":
        options = ("--connection", importing.connection_string, "--service", f"{importing.url}/v2")

    code, output, errors = await run(tmp_path / "data", "--dry-run", *options)
    assert (code, errors) == (0, "")
    assert f"{study}: CT, 4 series, 4 files" in output
    assert "0 of them there" in output
    assert "lack preamble or file meta information" in output

    report = tmp_path / "report.csv"
    code, output, errors = await run(tmp_path / "data", *options, "--verify", "--report", str(report))
    assert code == 0, errors
    assert "4 stored, 0 duplicates, 0 refused." in output
    assert "added: bare: the preamble and the file meta information" in output
    assert "4 files verified to be there." in output
    assert report.read_text().splitlines()[1].endswith(",4,0,0,4,0")

    code, output, _ = await run(tmp_path / "data", *options)
    assert "Going on with the import of" in output
    assert "4 of them were done in an earlier run." in output

    await delete(importing, study)
    code, output, errors = await run(tmp_path / "data", *options, "--verify")
    assert code == 0, errors
    assert "4 stored" in output
    assert "earlier run" not in output
    assert "4 files verified to be there." in output


async def test_another_store_at_the_same_address_is_another_target(importing, azurite, tmp_path):
    from devhost.testing import running_service

    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "1.dcm").write_bytes(file().data)
    one = await run(tmp_path / "data", "--url", f"{importing.url}/v2")
    assert "1 stored" in one[1]
    journals = set((tmp_path / "journals").iterdir())
    settings = {"AzureWebJobsStorage": azurite.connection_string, "DicomStorage": azurite.connection_string}
    assert len(journals) == 1
    async with running_service(ROOT, settings) as other:
        same = await store_id(other.url)
        assert same == await store_id(importing.url)  # one store, whichever process serves it


async def store_id(url):
    answer = await asyncio.to_thread(requests.get, f"{url}/v2/conformance", timeout=60)
    return answer.json()["storeId"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--url", "http://127.0.0.1:1/v2"], "Nothing listens at 127.0.0.1:1"),
        (["--connection", "devices"], "make run"),
    ],
)
async def test_an_address_where_nobody_is_ends_it_at_once(folder, arguments, text):
    place, _ = folder
    if arguments[1] == "devices":
        arguments = ["--connection", emulator_connection(1, 2, 3)]
    code, _, errors = await run(place, *arguments)
    assert code == 5
    assert text in errors


@pytest.mark.spec("CLI-2")
async def test_several_places_are_imports_of_their_own(importing, tmp_path):
    places = [tmp_path / "one", tmp_path / "two.dcm"]
    places[0].mkdir()
    (places[0] / "a.dcm").write_bytes(file().data)
    places[1].write_bytes(file().data)

    code, output, errors = await run(places[0], str(places[1]), "--url", f"{importing.url}/v2")

    assert (code, output.count("1 file in"), output.count("1 stored")) == (0, 2, 2), errors

    code, _, errors = await run(places[0], str(places[1]), "--url", f"{importing.url}/v2", "--report", "studies.csv")
    assert (code, errors) == (2, "--report goes with one folder.\n")


async def test_no_folder_and_a_wrong_token_command_are_said_at_once(importing, folder):
    place, _ = folder
    code, _, errors = await run(place, "--url", f"{importing.url}/v2", "--token-command", "/no/such/program")
    assert (code, "token command" in errors) == (3, True)
    code, _, errors = await run(Path("/no/such/folder"), "--url", importing.url)
    assert (code, errors) == (2, "/no/such/folder is no folder.\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "dicom_cli",
        "import",
        "",
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "cli"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert (process.returncode, b"DIR=" in errors) == (2, True)
