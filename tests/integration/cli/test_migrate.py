"""`dicom migrate`: everything arrives as it was, and what does not is told (exchange §6)."""

import json
import sqlite3
from contextlib import ExitStack, closing
from datetime import UTC, datetime

import pytest

from dicom_cli.main import main
from dicom_cli.migrate import command, dicomweb_source
from dicom_cli.migrate.limits import Limits, Throttle
from tests.builders.images import image
from tests.integration.cli.dicomweb_server import DicomwebServer, serving

DAYS = ("20200102", "20200102", "20210304", "", "19991231")


def archive():
    """Five studies, of one without a date, with two instances each."""
    images = []
    for number, day in enumerate(DAYS, 1):
        study, series = f"1.2.3.{number}", f"1.2.3.{number}.1"
        images += [image(study, series, f"{series}.{each}", StudyDate=day) for each in (1, 2)]
    return images


@pytest.fixture
def images():
    return archive()


@pytest.fixture
def ends(images):
    """A source that holds all images, and a destination that holds none."""
    known = {each.data: each for each in images}
    with ExitStack() as stack:
        source, target = (stack.enter_context(serving(DicomwebServer(), known)) for _ in range(2))
        source.add(*images)
        yield source, target


@pytest.fixture
def migrate(ends, tmp_path, monkeypatch, capsys):
    """Run the command; its exit code and its report."""
    source, target = ends
    for name in ("DICOM_URL", "DICOM_PARTITION", "DICOM_TOKEN", "DICOM_SOURCE_TOKEN", "DICOM_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DICOM_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setattr("dicom_cli.service._ATTEMPTS", 1)

    def run(*words, root=f"{source.url}/v2"):
        code = main(["migrate", root, "--to", target.url, "--state", str(tmp_path / "state"), "--json", *words])
        said = capsys.readouterr()
        lines = said.out.splitlines()
        return code, json.loads(lines[-1]) if lines else said.err

    return run


def stores(server):
    return [each for each in server.asked if each.endswith(" /v2/studies") and not each.startswith("GET")]


@pytest.mark.spec("MIG-1", "MIG-2", "MIG-7", "MIG-9")
def test_everything_arrives_byte_for_byte(ends, migrate, images, tmp_path):
    source, target = ends
    code, report = migrate("--report", str(tmp_path / "report.json"))

    assert code == 0, report
    assert {path: each.data for path, each in target.files.items()} == {f"/{each.path}": each.data for each in images}
    assert (report["studies"], report["instances"], report["states"]["equal"]) == (5, 10, 10)
    assert report["transferSyntaxes"] == {"1.2.840.10008.1.2.1": 10}
    assert report["bytes"] == sum(len(each.data) for each in images)
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert not [each for each in source.asked if not each.startswith("GET")]


@pytest.mark.spec("MIG-2")
@pytest.mark.parametrize(
    "ways", [{"page": 1}, {"page": 2, "star": False}, {"star": False}, {"offsets": False}], ids=str
)
def test_no_way_of_a_server_hides_a_study(ends, migrate, ways):
    source, target = ends
    for name, value in ways.items():
        setattr(source, name, value)

    code, report = migrate()

    assert (code, len(target.files)) == (0, 10), report


@pytest.mark.spec("MIG-2")
def test_windows_are_split_where_a_server_ignores_offset(ends, migrate, monkeypatch):
    source, target = ends
    monkeypatch.setattr(dicomweb_source, "_LEAST", 3)
    source.offsets, source.page = False, 3

    code, report = migrate()

    assert (code, report["studies"], report["tellsStudiesWithoutDate"]) == (1, 4, False)
    assert len(target.files) == 8


@pytest.mark.spec("MIG-2")
def test_a_server_that_cannot_tell_the_studies_of_a_day_is_no_source(ends, migrate, monkeypatch):
    source, _ = ends
    monkeypatch.setattr(dicomweb_source, "_LEAST", 2)
    source.offsets, source.page = False, 2

    code, told = migrate()

    assert code == 1
    assert "does not tell all studies of 2020-01-02" in told


@pytest.mark.spec("MIG-6", "CLI-8")
def test_a_migration_that_was_cut_off_goes_on_where_it_was(ends, migrate):
    _, target = ends
    target.failing = 4
    code, _ = migrate("--concurrency", "1")
    assert code == 5
    before = len(target.files)
    assert 0 < before < 10
    target.failing, already = 0, len(stores(target))

    code, report = migrate()

    assert (code, report["states"]["equal"]) == (0, 10)
    assert len(stores(target)) - already <= 10 - before + 1  # at most what was in flight is repeated


@pytest.mark.spec("MIG-6")
def test_what_is_done_is_not_done_again(ends, migrate):
    _, target = ends
    migrate()
    count = len(stores(target))

    assert migrate()[0] == 0
    assert len(stores(target)) == count


@pytest.mark.spec("MIG-5", "MIG-7")
def test_what_is_there_already_counts_when_it_is_the_same(ends, migrate, images):
    _, target = ends
    target.add(*images[:3])

    code, report = migrate()

    assert (code, report["states"]["equal"]) == (0, 10)


@pytest.mark.spec("MIG-7", "MIG-9", "CLI-5")
def test_another_file_of_the_same_uid_is_a_difference(ends, migrate, images):
    _, target = ends
    target.files[f"/{images[0].path}"] = images[1]

    code, report = migrate()

    assert code == 6
    [fault] = report["faults"]
    assert (fault["instance"], fault["state"]) == (images[0].identifier.sop_instance_uid, "different")


@pytest.mark.spec("MIG-9")
def test_what_is_refused_or_not_given_is_listed_with_its_reason(ends, migrate, images):
    source, target = ends
    target.refused = {images[2].identifier.sop_instance_uid}
    source.broken = {f"/{images[5].path}"}

    code, report = migrate()

    assert code == 1
    faults = {each["state"]: each for each in report["faults"]}
    assert "43264" in faults["refused"]["reason"]
    assert faults["unreadable"]["instance"] == images[5].identifier.sop_instance_uid
    assert report["states"]["equal"] == 8
    target.refused, source.broken = set(), set()
    assert migrate("--again")[0] == 0


@pytest.mark.spec("MIG-7")
def test_counting_reads_no_file_again(ends, migrate, images):
    _, target = ends

    code, report = migrate("--verify", "count")

    assert (code, report["states"]["equal"]) == (0, 10)
    assert not [each for each in target.asked if each.startswith("GET") and "/instances/" in each]
    del target.files[f"/{images[0].path}"]
    code, report = migrate("--verify", "count")
    assert code == 6
    assert report["studiesWithOtherCounts"] == [
        {"study": images[0].identifier.study_instance_uid, "source": 2, "destination": 1}
    ]


@pytest.mark.spec("MIG-10")
def test_a_dry_run_estimates_and_stores_nothing(ends, migrate, images):
    _, target = ends

    code, told = migrate("--dry-run")

    assert (code, told["studies"], told["toMove"]) == (0, 5, 10)
    assert told["estimatedBytes"] == pytest.approx(sum(len(each.data) for each in images), rel=0.1)
    assert target.asked == []


@pytest.mark.spec("MIG-10")
def test_a_comparison_stores_nothing_and_finds_what_is_missing(ends, migrate, images):
    _, target = ends
    target.add(*images[1:])

    code, report = migrate("--compare")

    assert code == 6
    assert [each["instance"] for each in report["faults"]] == [images[0].identifier.sop_instance_uid]
    assert stores(target) == []


@pytest.mark.spec("MIG-8")
def test_extended_query_tags_come_first(ends, migrate):
    source, target = ends
    source.tags = [{"path": "00181030", "vr": "LO", "level": "Series", "status": "Ready"}]

    _, report = migrate()

    assert report["tagsAdded"] == ["00181030"]
    assert target.tags == [{"path": "00181030", "vr": "LO", "level": "Series"}]
    posted = [each for each in target.asked if each.startswith("POST")]
    assert posted[0] == "POST /v2/extendedquerytags"


@pytest.mark.spec("MIG-8")
@pytest.mark.parametrize("others", [{}, {"1.2.3.2": ["kept"]}], ids=["none", "some"])
def test_labels_go_with_their_studies(ends, migrate, others):
    source, target = ends
    source.labels = {"1.2.3.1": ["tumour board", "to read"], "1.2.3.2": ["teaching"], "1.2.3.3": []}
    target.labels = dict(others)

    code, report = migrate("--concurrency", "1")

    assert (code, report["studiesLabelled"], report["studiesWithoutTheirLabels"]) == (0, 2, [])
    wanted = {"1.2.3.1": ["tumour board", "to read"], "1.2.3.2": [*others.get("1.2.3.2", []), "teaching"]}
    assert target.labels == wanted
    assert "teaching" not in json.dumps(report)


@pytest.mark.spec("MIG-8", "MIG-9")
def test_labels_that_did_not_arrive_are_told(ends, migrate):
    source, target = ends
    source.labels = {"1.2.3.1": ["a"], "1.2.3.2": ["b"]}
    target.unlabelled = {"1.2.3.2"}

    code, report = migrate()

    assert (code, report["studiesLabelled"], report["studiesWithoutTheirLabels"]) == (1, 1, ["1.2.3.2"])


@pytest.mark.spec("MIG-8", "MIG-10")
@pytest.mark.parametrize("words", [("--dry-run",), ("--compare",)])
def test_who_moves_nothing_labels_nothing(ends, migrate, words):
    source, target = ends
    source.labels = {"1.2.3.1": ["a"]}

    migrate(*words)

    assert target.labels == {}


@pytest.mark.spec("MIG-8")
def test_data_partitions_keep_their_names(ends, migrate):
    source, target = ends
    source.partitions = ("Microsoft.Default", "north ward")

    assert migrate("--all-partitions", "--again")[0] == 0
    for name in ("Microsoft.Default", "north%20ward"):
        assert f"POST /v2/partitions/{name}/studies" in target.asked
        assert any(each.startswith(f"GET /v2/partitions/{name}/studies?") for each in source.asked)


def change(sequence, action, one):
    uids = one.identifier
    return {
        "sequence": sequence,
        "studyInstanceUid": uids.study_instance_uid,
        "seriesInstanceUid": uids.series_instance_uid,
        "sopInstanceUid": uids.sop_instance_uid,
        "action": action,
        "timestamp": f"2026-01-01T00:00:{sequence:02}Z",
        "state": "current",
    }


@pytest.mark.spec("MIG-3", "MIG-8")
@pytest.mark.parametrize("way", [("v1", False), ("v1", True), ("v2", False), ("v2", True)], ids=str)
def test_the_feed_is_followed_until_interrupted(ends, migrate, images, monkeypatch, way):
    source, target = ends
    version, deletes = way
    late, gone = images[-1], images[0]
    del source.files[f"/{late.path}"]
    source.changes = [change(1, "create", images[0])]

    def later(_):
        if len(source.changes) > 1:
            raise KeyboardInterrupt
        source.add(late)
        source.labels = {late.identifier.study_instance_uid: ["meanwhile"]}
        del source.files[f"/{gone.path}"]
        source.changes += [change(2, "create", late), change(3, "update", images[1]), change(4, "delete", gone)]

    monkeypatch.setattr(command, "sleep", later)
    code, report = migrate("--follow", *(["--apply-deletes"] if deletes else []), root=f"{source.url}/{version}")

    assert code == 0, report
    assert f"/{late.path}" in target.files
    assert (f"/{gone.path}" in target.files) != deletes
    assert "PUT /v2/studies" in target.asked
    assert report["states"]["deleted"] == int(deletes)
    assert target.labels == (source.labels if version == "v2" else {})
    asked = [each for each in source.asked if "/changefeed?" in each]
    assert asked
    assert all(
        (f"GET /{version}/changefeed?" in each) and (("startTime" in each) == (version == "v2")) for each in asked
    )


@pytest.mark.spec("MIG-4")
def test_a_folder_of_any_structure_is_moved_and_what_is_no_dicom_is_listed(migrate, images, tmp_path):
    folder = tmp_path / "archive"
    (folder / "deep" / "er").mkdir(parents=True)
    for number, each in enumerate(images):
        (folder / ("deep" if number % 2 else "deep/er") / f"{number}").write_bytes(each.data)
    (folder / "notes.txt").write_text("no DICOM at all")
    (folder / "twice").write_bytes(images[0].data)

    code, report = migrate(root=str(folder))

    assert (code, report["states"]["equal"]) == (0, 10), report
    assert {each["file"] for each in report["passedOver"]} == {"notes.txt", "deep/er/0"}


@pytest.mark.spec("MIG-9")
def test_neither_report_nor_state_names_a_patient(ends, migrate, tmp_path):
    _, target = ends
    target.refused = {"1.2.3.1.1.1"}
    _, report = migrate()

    [path] = (tmp_path / "state").glob("*.sqlite")
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT * FROM instance").fetchall()
    assert len(rows) == 10
    assert "Retrieve" not in json.dumps(report) + str(rows)


@pytest.mark.spec("MIG-6")
def test_limits_change_while_it_runs_and_hours_are_kept(tmp_path):
    path = tmp_path / "limits.json"
    path.write_text('{"concurrency": 2, "requests_per_second": 10}')
    slept = []
    throttle = Throttle(Limits(), path, sleep=slept.append, clock=lambda: 100.0)

    for _ in range(3):
        throttle.request()

    assert throttle.limits.concurrency == 2
    assert slept == pytest.approx([0.1, 0.2])
    night = Limits(hours="22-6")
    moments = {hour: night.is_open(datetime(2026, 1, 1, hour, tzinfo=UTC)) for hour in (5, 6, 12, 22)}
    assert moments == {5: True, 6: False, 12: False, 22: True}


@pytest.mark.spec("MIG-6", "CLI-5")
@pytest.mark.parametrize("wrong", [("--hours", "night"), ("--concurrency", "0")])
def test_what_makes_no_sense_is_refused(migrate, wrong):
    code, told = migrate(*wrong)

    assert code == 2, told
