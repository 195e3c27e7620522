"""The command `dicom` against the service: what it prints, what it writes, and how it ends (exchange §9)."""

import asyncio
import io
import json
import os
import zipfile

import pydicom
import pytest

from dicom_cli.main import main
from tests.builders.files import file
from tests.builders.images import image, new_uid


@pytest.fixture
def dicom(own_service, monkeypatch, tmp_path, capsys):
    """Run the command; exit code, standard output, standard error."""
    for name in ("DICOM_PARTITION", "DICOM_SCOPE", "DICOM_TOKEN", "DICOM_TOKEN_COMMAND", "DICOM_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DICOM_URL", own_service.url)
    monkeypatch.setenv("DICOM_CONFIG", str(tmp_path / "config.toml"))

    async def run(*words):
        capsys.readouterr()
        code = await asyncio.to_thread(main, words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
async def study(dicom, tmp_path):
    """The UIDs of a stored study of two instances, and its folder."""
    uid, series = new_uid(), new_uid()
    folder = tmp_path / "files"
    folder.mkdir()
    files = [file(study=uid, series=series) for _ in range(2)]
    for number, one in enumerate(files):
        (folder / f"{number}.dcm").write_bytes(one.data)
    code, out, err = await dicom(
        "import", str(folder), "--url", f"{_url()}/v2", "--journals", str(tmp_path / "journals")
    )
    assert code == 0, (out, err)
    return uid, series, [one.identifier.sop_instance_uid for one in files]


def _url():
    return os.environ["DICOM_URL"]


@pytest.mark.spec("CLI-1", "CLI-2", "CLI-4")
async def test_what_was_imported_is_found(dicom, study):
    uid, series, instances = study

    code, out, err = await dicom("search", "studies", f"StudyInstanceUID={uid}")
    assert (code, out.splitlines()[0].split()[0]) == (0, "STUDYDATE")
    assert uid in out
    assert "1 found." in err
    head, row = out.splitlines()
    assert row[head.index("NUMBEROFSTUDYRELATEDINSTANCES") :].split()[0] == "2"
    assert row[head.index("MODALITIESINSTUDY") :].split()[0] == "CT"

    code, out, _ = await dicom("search", "series", "--study", uid, "--SeriesInstanceUID", series, "--json")
    assert [json.loads(line)["0020000E"]["Value"] for line in out.splitlines()] == [[series]]

    _, out, _ = await dicom("search", "instances", "--study", uid, "--all", "--json")
    assert sorted(json.loads(line)["00080018"]["Value"][0] for line in out.splitlines()) == sorted(instances)


@pytest.mark.spec("CLI-2", "CLI-4", "CLI-6")
async def test_an_import_goes_where_every_command_goes_and_tells_each_file_as_json(dicom, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "one.dcm").write_bytes(file().data)
    (folder / "notes.txt").write_text("words")
    (folder / "torn.dcm").write_bytes(file().data[:400])
    words = ("import", str(folder), "--journals", str(tmp_path / "journals"), "--json", "--quiet")

    code, out, err = await dicom(*words)

    *files, last = map(json.loads, out.splitlines())
    assert {each["file"]: each["outcome"] for each in files} == {
        "one.dcm": "stored",
        "torn.dcm": "refused",
        "notes.txt": "passed over",
    }
    assert all(each.get("reason") for each in files if each["outcome"] != "stored")
    assert last == {"sums": {"stored": 1, "duplicate": 0, "refused": 1, "passedOver": 1, "unknown": 0}}
    assert code == 1
    assert " of 2 files" not in err  # no progress
    code, out, _ = await dicom(*words, "--dry-run")
    assert code == 0
    assert [json.loads(line)["files"] for line in out.splitlines()] != []


@pytest.mark.spec("CLI-2")
async def test_instances_come_as_they_are_stored(dicom, study, tmp_path):
    uid, series, instances = study
    target = tmp_path / "out"

    code, out, _ = await dicom("get", uid, "-o", str(target), "--json")

    assert code == 0
    assert len(out.splitlines()) == 2
    for number, instance in enumerate(instances):
        stored = (tmp_path / "files" / f"{number}.dcm").read_bytes()
        assert (target / series / f"{instance}.dcm").read_bytes()[128:] == stored[128:]
    assert sorted(path.suffix for path in target.rglob("*") if path.is_file()) == [".dcm", ".dcm"]


@pytest.mark.spec("CLI-2")
async def test_one_instance_metadata_zip_frame_and_picture(dicom, tmp_path):
    picture = image()
    (tmp_path / "picture.dcm").write_bytes(picture.data)
    assert (await dicom("import", str(tmp_path), "--url", f"{_url()}/v2", "--journals", str(tmp_path / "j")))[0] == 0
    one = picture.identifier
    name = f"{one.study_instance_uid}/{one.series_instance_uid}/{one.sop_instance_uid}"

    assert (await dicom("get", name, "-o", str(tmp_path / "one.dcm")))[0] == 0
    assert pydicom.dcmread(tmp_path / "one.dcm").SOPInstanceUID == one.sop_instance_uid
    code, _, err = await dicom("get", name, "-o", str(tmp_path / "one.dcm"))
    assert (code, "--force" in err) == (2, True)
    assert (await dicom("get", name, "-o", str(tmp_path / "one.dcm"), "--force"))[0] == 0

    assert (await dicom("get", name, "--as", "metadata", "-o", str(tmp_path / "one.json")))[0] == 0
    assert json.loads((tmp_path / "one.json").read_bytes())[0]["00080018"]["Value"] == [one.sop_instance_uid]

    assert (await dicom("get", name, "--as", "zip", "-o", str(tmp_path / "one.zip")))[0] == 0
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        [entry] = archive.namelist()
        assert pydicom.dcmread(io.BytesIO(archive.read(entry))).SOPInstanceUID == one.sop_instance_uid

    assert (await dicom("get", name, "--as", "frame", "-o", str(tmp_path / "frame")))[0] == 0
    assert (tmp_path / "frame").read_bytes() == pydicom.dcmread(tmp_path / "one.dcm").PixelData

    assert (await dicom("get", name, "--as", "rendered", "-o", str(tmp_path / "one.jpg")))[0] == 0
    assert (tmp_path / "one.jpg").read_bytes().startswith(b"\xff\xd8\xff")


@pytest.mark.spec("CLI-5")
async def test_the_exit_code_says_what_went_wrong(dicom, tmp_path, monkeypatch):
    assert (await dicom("get", new_uid(), "-o", str(tmp_path / "x")))[0] == 4
    assert (await dicom("get", "nonsense", "-o", str(tmp_path / "x")))[0] == 2
    assert (await dicom("search", "studies", "NotAKeyword"))[0] == 2
    assert (await dicom("search", "studies", "NoSuchKeyword=1"))[0] == 2
    assert (await dicom("search", "studies", "StudyDate=yesterday"))[0] == 2
    assert (await dicom("doctor", "--url", f"{_url()}/ui"))[0] == 4
    monkeypatch.setenv("DICOM_URL", "http://127.0.0.1:9")
    assert (await dicom("search"))[0] == 5
    assert (await dicom("import", str(tmp_path)))[0] == 5


@pytest.mark.spec("CLI-2", "CLI-6")
async def test_tags_doctor_and_configuration(dicom, own_service):
    code, out, _ = await dicom("tags", "list", "--json")
    assert code == 0
    assert all("path" in json.loads(line) for line in out.splitlines())
    assert (await dicom("tags", "errors", "00101010"))[0] == 4

    code, out, _ = await dicom("doctor")
    assert (code, out.count("ok ")) == (0, 3)

    code, out, _ = await dicom("config", "show", "--json", "--partition", "ward")
    told = {row["name"]: (row["value"], row["source"]) for row in map(json.loads, out.splitlines())}
    assert told["url"] == (own_service.url, "DICOM_URL")
    assert told["partition"] == ("ward", "--partition")


@pytest.mark.spec("CLI-7", "CLI-5")
async def test_a_service_with_sign_in_takes_a_token_from_the_environment(dicom, fresh_service, monkeypatch):
    service = await fresh_service(options=["--sign-in"])
    monkeypatch.setenv("DICOM_URL", service.url)

    assert (await dicom("search"))[0] == 3
    monkeypatch.setenv("DICOM_TOKEN", service.tokens["reader"])
    assert (await dicom("search"))[0] == 0
    assert (await dicom("tags", "add", "PatientAge", "--level", "Study"))[0] == 3
    monkeypatch.delenv("DICOM_TOKEN")
    monkeypatch.setenv("DICOM_TOKEN_COMMAND", f"echo {service.tokens['reader']}")
    code, out, err = await dicom("search")
    assert code == 0
    assert service.tokens["reader"] not in out + err


@pytest.mark.spec("CLI-2")
async def test_a_workitem_is_created_claimed_once_and_canceled(dicom):
    label = f"Reading {new_uid()}"
    code, out, err = await dicom(
        "worklist", "create", "--label", label, "--patient-id", "P", "--patient-name", "Doe^Jane"
    )
    assert code == 0, err
    uid = out.strip()

    code, out, _ = await dicom("worklist", "search", f"ProcedureStepLabel={label}", "ProcedureStepState=SCHEDULED")
    assert (code, uid in out) == (0, True)
    code, out, _ = await dicom("worklist", "show", uid, "--json")
    assert json.loads(out)["00741204"]["Value"] == [label]

    code, out, _ = await dicom("worklist", "watch", "--uid", uid, "--count", "1", "--json")
    report = json.loads(out)
    assert (code, report["00001000"]["Value"], report["00741000"]["Value"]) == (0, [uid], ["SCHEDULED"])

    code, transaction, _ = await dicom("worklist", "claim", uid, "--quiet")
    assert code == 0
    assert (await dicom("worklist", "claim", uid))[0] == 1
    assert (await dicom("worklist", "complete", uid, "--transaction", transaction.strip()))[
        0
    ] == 1  # nothing was performed
    assert (await dicom("worklist", "cancel", new_uid()))[0] == 4
    assert (await dicom("worklist", "create"))[0] == 2


@pytest.mark.spec("CLI-2")
async def test_a_worklist_rule_is_tried_added_replaced_and_removed(dicom, study, tmp_path):
    uid, _, _ = study
    rule = tmp_path / "rule.json"
    rule.write_text(json.dumps({"name": "Reading", "filter": {"StudyInstanceUID": uid}, "quietSeconds": 86_400}))
    code, out, err = await dicom("worklist", "rules", "try", str(rule), "--study", uid, "--json")
    assert (code, json.loads(out)["isStored"]) == (0, True), err
    code, _, err = await dicom("worklist", "rules", "try", str(rule))
    assert (code, "would make" in err) == (0, True)
    code, out, _ = await dicom("worklist", "rules", "add", str(rule))
    name = out.strip()
    code, out, _ = await dicom("worklist", "rules", "list")
    assert (code, name in out, f"StudyInstanceUID={uid[:12]}" in out) == (0, True, True)
    assert (await dicom("worklist", "rules", "replace", name, str(rule)))[0] == 0
    code, out, _ = await dicom("worklist", "rules", "show", name)
    assert (code, json.loads(out)["quietSeconds"]) == (0, 86_400)
    assert (await dicom("worklist", "rules", "remove", name))[0] == 0
    assert (await dicom("worklist", "rules", "show", name))[0] == 4
    rule.write_text("[]")
    assert (await dicom("worklist", "rules", "add", str(rule)))[0] == 2
    assert (await dicom("worklist", "rules", "add", str(tmp_path / "none.json")))[0] == 2
