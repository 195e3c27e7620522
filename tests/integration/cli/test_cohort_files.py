"""`dicom cohort export … --to FOLDER`: fetched once, gone on with, compared, each file with its outcome (COH-8)."""

import hashlib
import json

import pydicom
import pytest

from dicom_cli.main import main
from tests.builders.images import image
from tests.integration.cli.dicomweb_server import DicomwebServer, serving

FILES = [
    image(f"2.25.7.{study}", f"2.25.7.{study}.1", f"2.25.7.{study}.1.{number}") for study in (1, 2) for number in (1, 2)
]
NAMES = [
    f"dicom/{i.study_instance_uid}/{i.series_instance_uid}/{i.sop_instance_uid}.dcm"
    for i in (each.identifier for each in FILES)
]


@pytest.fixture
def server():
    found = DicomwebServer()
    found.add(*FILES)
    with serving(found, {}):
        yield found


@pytest.fixture
def manifest(server):
    """Two patients with a study each; the second one is in a data partition."""
    addresses = (f"{server.url}/v2/studies/2.25.7.1", f"{server.url}/v2/partitions/trial/studies/2.25.7.2")
    patients = [
        {"id": f"Patient/{uid}", "studies": [{"id": f"i{uid}", "uid": uid, "modality": ["CT"], "retrieve": address}]}
        for uid, address in zip(("2.25.7.1", "2.25.7.2"), addresses, strict=True)
    ]
    return {"version": 1, "id": "c1", "patients": patients}


@pytest.fixture
def export(server, manifest, tmp_path, monkeypatch, capsys):
    """Run the command; exit code, outcomes by name, standard error."""
    for name in ("DICOM_PARTITION", "DICOM_SCOPE", "DICOM_TOKEN", "DICOM_TOKEN_COMMAND", "DICOM_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DICOM_CONFIG", str(tmp_path / "config.toml"))

    def run(*options):
        path = tmp_path / "manifest.json"
        path.write_text(json.dumps(manifest))
        options = options or ("--identified",)
        code = main(
            ["cohort", "export", str(path), "--to", str(tmp_path / "out"), "--url", server.url, "--json", *options]
        )
        said = capsys.readouterr()
        rows = [json.loads(line) for line in said.out.splitlines()]
        return code, {row.get("instance") or row["study"]: row for row in rows}, said.err

    return run


def outcomes(rows):
    return sorted(row["outcome"] for row in rows.values())


def listed(one):
    """A file as `files` of a manifest lists it."""
    return {"seriesInstanceUid": one.identifier.series_instance_uid, "sopInstanceUid": one.identifier.sop_instance_uid}


@pytest.mark.spec("COH-8")
def test_each_file_is_fetched_once_and_named_with_its_checksum(export, server, tmp_path):
    code, rows, _ = export()

    assert (code, outcomes(rows)) == (0, ["fetched"] * 4)
    for name, one in zip(NAMES, FILES, strict=True):
        assert (tmp_path / "out" / name).read_bytes() == one.data
    sums = [f"{hashlib.sha256(one.data).hexdigest()}  {name}" for name, one in zip(NAMES, FILES, strict=True)]
    assert (tmp_path / "out" / "checksums.sha256").read_text().splitlines() == sums
    first = rows["2.25.7.1/2.25.7.1.1/2.25.7.1.1.1"]
    assert (first["bytes"], first["sha256"]) == (len(FILES[0].data), hashlib.sha256(FILES[0].data).hexdigest())
    assert "GET /v2/partitions/trial/studies/2.25.7.2/series/2.25.7.2.1/instances/2.25.7.2.1.1" in server.asked

    server.asked.clear()
    code, rows, _ = export()
    assert (code, outcomes(rows)) == (0, ["unchanged"] * 4)
    assert not any("/series/" in each for each in server.asked)


@pytest.mark.spec("COH-8")
def test_what_failed_was_changed_or_was_not_noted_is_fetched_by_the_next_run(export, server, tmp_path):
    server.broken = {f"/{FILES[1].path}"}
    code, rows, said = export()
    assert (code, outcomes(rows)) == (1, ["failed", "fetched", "fetched", "fetched"])
    assert "3 files" in said
    assert not (tmp_path / "out" / NAMES[1]).exists()

    server.broken = set()
    (tmp_path / "out" / NAMES[0]).write_bytes(FILES[0].data[:-1] + b"x")
    sums = tmp_path / "out" / "checksums.sha256"
    sums.write_text(sums.read_text()[:-8])  # as a machine leaves it that lost power
    code, rows, _ = export()

    assert (code, outcomes(rows)) == (0, ["fetched", "fetched", "fetched", "unchanged"])
    assert [(tmp_path / "out" / name).read_bytes() for name in NAMES] == [one.data for one in FILES]
    assert len(sums.read_text().splitlines()) == 4


@pytest.mark.spec("COH-8")
def test_another_instance_than_was_asked_for_is_not_kept(export, server, manifest, tmp_path):
    server.files[f"/{FILES[0].path}"] = FILES[1]
    manifest["patients"][0]["studies"][0]["files"] = [listed(FILES[0])]

    code, rows, _ = export()
    assert (code, rows["2.25.7.1/2.25.7.1.1/2.25.7.1.1.1"]["error"]) == (1, "What came is another instance, or none.")
    assert not (tmp_path / "out" / NAMES[0]).exists()


@pytest.mark.spec("COH-8")
@pytest.mark.parametrize(
    "address",
    ["https://elsewhere.example/v2/studies/2.25.7.1", "{url}.example/v2/studies/2.25.7.1", "{url}/v2/studies/2.25.9"],
)
def test_a_study_elsewhere_is_named_and_not_asked_for(export, server, manifest, address):
    manifest["patients"][0]["studies"][0]["retrieve"] = address.format(url=server.url)

    code, rows, _ = export()
    assert (code, outcomes(rows)) == (1, ["failed", "fetched", "fetched"])
    assert rows["2.25.7.1"]["outcome"] == "failed"
    assert not any("2.25.7.1" in each or "2.25.9" in each for each in server.asked)


def test_a_study_that_was_deleted_is_named(export, server):
    for one in FILES[:2]:
        del server.files[f"/{one.path}"]
    code, rows, _ = export()
    assert (code, rows["2.25.7.1"]["error"]) == (1, "It is not there any more.")


@pytest.mark.spec("COH-29")
def test_the_manifest_lists_the_files_beside_it_where_it_is_asked_to(export, tmp_path):
    export("--identified", "--files")
    written = json.loads((tmp_path / "out" / "manifest.json").read_text())
    listed = [each for patient in written["patients"] for each in patient["studies"][0]["files"]]

    assert [each["url"] for each in listed] == NAMES
    for each in listed:
        found = pydicom.dcmread(tmp_path / "out" / each["url"])
        assert (found.SOPInstanceUID, found.StudyInstanceUID) == (each["sopInstanceUid"], each["studyInstanceUid"])
    assert (tmp_path / "out" / "studies.csv").read_text().splitlines()[1].startswith("Patient/2.25.7.1,i2.25.7.1,")


def test_files_that_the_manifest_lists_are_fetched_and_no_others(export, server, manifest, tmp_path):
    manifest["patients"] = manifest["patients"][:1]
    manifest["patients"][0]["studies"][0]["files"] = [listed(FILES[0]), listed(FILES[0])]
    code, rows, _ = export()
    assert (code, outcomes(rows)) == (0, ["fetched"])
    assert server.asked == [f"GET /v2/{FILES[0].path}"]


@pytest.mark.parametrize("uid", ["..", "1/../../x", ""])
def test_no_file_lies_outside_the_folder(export, manifest, uid):
    manifest["patients"] = manifest["patients"][:1]
    manifest["patients"][0]["studies"][0]["files"] = [{"seriesInstanceUid": uid, "sopInstanceUid": "1.2"}]
    code, rows, _ = export()
    assert (code, outcomes(rows)) == (1, ["failed"])


@pytest.mark.spec("COH-30")
@pytest.mark.parametrize("options", [("--deidentify",), ("--files",), ("--identified", "--no-wait")])
def test_files_as_they_are_stored_have_to_be_asked_for(export, server, tmp_path, options):
    code, rows, _ = export(*options)
    assert (code, rows, server.asked, (tmp_path / "out").exists()) == (2, {}, [], False)


def test_a_manifest_without_identities_names_no_files(export, manifest):
    for patient in manifest["patients"]:
        patient["studies"] = [{"id": "ImagingStudy/p-1", "modality": ["CT"], "instances": 2}]
    code, _, said = export()
    assert (code, "cohortIdentified" in said) == (3, True)


@pytest.mark.parametrize("document", [[], {"patients": 1}, {"patients": [{"id": "p", "studies": [1]}]}])
def test_what_is_no_manifest_is_wrong_use(export, manifest, document, tmp_path, monkeypatch):
    monkeypatch.setattr("json.dumps", lambda _, dumps=json.dumps: dumps(document))
    assert export()[0] == 2
