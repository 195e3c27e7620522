"""Access reports: what is found in the audit trail, who may ask, and in which form (PHI-2)."""

import csv
import io
import json
import logging
import re
import stat
from datetime import date
from pathlib import Path

import pytest

from shared import metrics, telemetry
from shared.access_report.functions import blueprint
from shared.access_report.transaction import AccessReports
from shared.audit_files import AuditFiles, records
from shared.registry.patient_hashes import PatientHashes
from shared.study_updates.patients import PatientStudies
from tests.builders.functions import handler_of
from tests.builders.http import ALL, boundary
from tests.builders.images import image
from tests.builders.service import SHARDS
from tests.unit.patient_erasure.service import ErasingService
from tests.unit.patient_erasure.test_erasure import BODY, GONE, KEPT
from tests.unit.study_updates.test_update import stored

PATH = "/v2/patients/$access-report?PatientID=zz-4711"


@pytest.fixture
def trail(tmp_path, monkeypatch):
    """The audit logger, writing into a folder and nowhere else."""
    logger = logging.getLogger(telemetry.AUDIT_LOGGER)
    handler = AuditFiles(tmp_path / "audit")
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(logger, "propagate", False)
    former = logger.level
    logger.setLevel(logging.INFO)  # not the attribute alone: what a logger has answered it remembers
    yield handler
    logger.setLevel(former)
    handler.close()


@pytest.fixture
async def service():
    service = ErasingService()
    await stored(service, image("1.1", "1.1.1", "1.1.1.1", **GONE), image("2.1", "2.1.1", "2.1.1.1", **KEPT))
    return service


def accessed(uri, *, query="", status=200, operation="retrieve", correlation="1", audit=None):
    """One request in the trail; without a status its process died."""
    request = telemetry.AuditedRequest(
        operation, f"https://dicom.example/v2/{uri}", query, correlation, "192.0.2.7", {"oid": "jane"}, {}
    )
    log = audit or telemetry.AuditLog()
    log.executing(request)
    if status is not None:
        log.executed(request, status)


async def asked(service, folder, target=PATH, headers=ALL):
    studies = PatientStudies(service.tables, service.blobs, service.lookup, shards=SHARDS)
    reports = AccessReports(studies, PatientHashes(service.tables), folder)
    return await handler_of(blueprint(boundary(), reports), "report_accesses").get(target, headers)


async def accesses(service, trail, target=PATH):
    response = await asked(service, trail.folder, target)
    assert response.status == 200, response.body
    found = json.loads(response.body)["accesses"]
    assert found[-1]["operation"] == "access-report"  # the request itself, which names the patient
    return found[:-1]


@pytest.mark.spec("PHI-2")
async def test_accesses_to_studies_of_the_patient_are_found_and_no_others(service, trail):
    accessed("studies/1.1/series/1.1.1/instances/1.1.1.1", correlation="a")
    accessed("studies/2.1", correlation="b")
    accessed("studies/1.1", operation="delete", status=403, correlation="c")
    accessed("studies/1.11/metadata", correlation="d")
    accessed("studies/1.1", status=None, correlation="e")
    found = await accesses(service, trail)
    assert [(each["operation"], each["study"], each.get("outcome")) for each in found] == [
        ("retrieve", "1.1", 200),
        ("delete", "1.1", 403),
        ("retrieve", "1.1", None),
    ]
    assert (found[0]["who"], found[0]["address"]) == ("oid=jane", "192.0.2.7")
    assert (found[0]["series"], found[0]["instance"]) == ("1.1.1", "1.1.1.1")


@pytest.mark.spec("PHI-2", "AUD-7")
@pytest.mark.parametrize("values", ["keep", "hash", "drop"])
@pytest.mark.parametrize("query", ["PatientID=zz-4711", "00100020=zz-4711", "StudyInstanceUID=9.9,1.1"])
async def test_searches_that_name_patient_or_study_are_found_as_far_as_the_trail_has_values(
    service, trail, values, query
):
    accessed("studies", query=query, operation="query", audit=telemetry.AuditLog(query_values=values))
    accessed("studies", query="PatientID=kk-0815", operation="query", correlation="2")
    found = await accesses(service, trail)
    expected = values == "keep" or (values == "hash" and "zz" in query)
    assert len(found) == expected


@pytest.mark.spec("PHI-2")
async def test_other_partitions_do_not_count(service, trail):
    accessed("partitions/ward/studies/1.1", correlation="a")
    accessed("partitions/Microsoft.default/studies/1.1", correlation="b")
    assert len(await accesses(service, trail)) == 1


@pytest.mark.spec("PHI-2", "PHI-13")
async def test_of_a_patient_that_was_erased_the_trail_still_tells(service, trail):
    accessed("studies/1.1", correlation="a")
    await service.erased(BODY)
    response = await asked(service, trail.folder)
    report = json.loads(response.body)
    assert report["studyInstanceUids"] == ["1.1"]
    assert [each["operation"] for each in report["accesses"]] == [
        "retrieve",
        "erase-patient requested",
        "erase-patient confirmed",
        "access-report",
    ]
    assert b"zz-4711" not in response.body


@pytest.mark.spec("PHI-2")
async def test_the_days_bound_the_report(service, trail):
    accessed("studies/1.1")
    response = await asked(service, trail.folder, f"{PATH}&from=2001-01-01&to=2001-01-31")
    assert json.loads(response.body)["accesses"] == []


@pytest.mark.spec("PHI-2")
async def test_a_table_holds_no_formula(service, trail):
    accessed("studies/1.1")
    response = await asked(service, trail.folder, headers=(*ALL, ("Accept", "text/csv")))
    [names, row, _own] = csv.reader(io.StringIO(response.body.decode()))
    assert names[:4] == ["time", "who", "address", "operation"]
    assert row[names.index("study")] == "1.1"
    accessed("studies/1.1", operation="=cmd()", correlation="2")
    response = await asked(service, trail.folder, headers=(*ALL, ("Accept", "text/csv")))
    assert b"'=cmd()" in response.body


@pytest.mark.spec("PHI-2")
@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v2/patients/$access-report", 400),
        (f"{PATH}&from=yesterday", 400),
        (f"{PATH}&from=2026-02-01&to=2026-01-01", 400),
        (f"{PATH}&PatientID=other", 400),
        (f"{PATH}&PatientName=x", 400),
        (f"{PATH}&issuer=", 400),
    ],
)
async def test_bad_requests_are_refused(service, trail, target, status):
    assert (await asked(service, trail.folder, target)).status == status


@pytest.mark.spec("PHI-2", "ERR-2")
@pytest.mark.parametrize("query", ["", "?PatientID=", "?PatientID=%C2%8C", "?PatientID=a&issuer=%5C"])
async def test_a_refusal_names_the_parameter_of_the_query(service, trail, query):
    response = await asked(service, trail.folder, f"/v2/patients/$access-report{query}")
    text = response.body.decode()
    assert "query parameter " + ("issuer" if "issuer" in query else "PatientID") in text
    assert "request body" not in text


@pytest.mark.spec("PHI-2")
@pytest.mark.parametrize("actions", ["read", "manageRetention", "delete+manageRetention+read+write+export"])
async def test_a_report_takes_every_action(service, trail, actions):
    headers = (("Authorization", f"Bearer {actions}"),)
    assert (await asked(service, trail.folder, headers=headers)).status == 403


@pytest.mark.spec("PHI-2")
async def test_without_a_trail_to_read_it_is_404(service):
    assert (await asked(service, None)).status == 404
    assert (await asked(service, None, headers=(*ALL, ("Accept", "image/png")))).status == 406


@pytest.mark.spec("AUD-8")
def test_records_are_private_files_by_day_and_a_line_that_was_cut_is_left_out(trail):
    accessed("studies/1.1")
    [path] = trail.folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open("a") as file:
        file.write('{"time": "2026')
    (trail.folder / "notes.jsonl").write_text("{}")

    found = list(records(trail.folder, date(2000, 1, 1), date(2100, 1, 1)))
    assert [each["action"] for each in found] == ["Executing", "Executed"]
    assert all(each["time"].endswith("+00:00") for each in found)


@pytest.mark.spec("AUD-8")
def test_a_record_that_cannot_be_written_is_counted_and_nothing_fails(tmp_path, monkeypatch):
    counted = []
    monkeypatch.setattr(metrics, "add", lambda name, *_args, **_more: counted.append(name))
    (tmp_path / "file").write_text("")
    handler = AuditFiles(tmp_path / "file" / "audit")
    handler.emit(logging.makeLogRecord({"msg": "{}"}))
    assert counted == [metrics.AUDIT_NOT_WRITTEN]


@pytest.mark.spec("PHI-2", "AUD-2")
@pytest.mark.parametrize("place", ["docs/operate/privacy.md", "cli/dicom_cli/smoke/deployment.py"])
def test_queries_for_log_analytics_name_fields_that_records_have(trail, place):
    accessed("studies/1.1")
    telemetry.AuditLog().detail("erase-patient", "1", {}, event="erased")
    written = {name for record in records(trail.folder, date(2000, 1, 1), date(2100, 1, 1)) for name in record}
    named = set(re.findall(r"\brecord\.(\w+)", (Path(__file__).parents[3] / place).read_text()))

    assert named
    assert named <= written
