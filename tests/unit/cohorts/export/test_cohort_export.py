"""The export of a cohort: files, manifest, tables and FHIR resources, with identities and without."""

import csv
import io
import json
from collections import Counter
from dataclasses import replace
from functools import partial

import orjson
import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from shared.cohorts.export.copies import Sources, cohort_copies
from shared.cohorts.export.source import COHORT, CohortSource
from shared.cohorts.export.transaction import CohortExports
from shared.errors import InvalidRequest
from shared.export.work import NO_MATCH
from tests.builders.cohort_runs import Site
from tests.builders.cohorts import SEED
from tests.builders.deidentifying import leaked
from tests.builders.http import DEFAULT_PARTITION, error
from tests.builders.osteosarcoma_files import files
from tests.unit.export.service import ExportService, destination, rules

MEMBERS = (1, 2, 4, 5, 11, 17)
"""The studies of the cohort of cohorts §9.4."""
INSTANCES = {f"2.25.7000.{n}.1.{i}" for n in MEMBERS for i in (1, 2)} | {"2.25.7000.1.2.1"}
"""Two images of each study, and the dose report of the first."""
PLANTED = [
    *(f"COH-{n:03}" for n in (1, 2, 3, 9, 14)),
    *(f"Family{n}^G" for n in (1, 2, 3, 9, 14)),
    *("Family1", "2.25.7000", "pat-1", "cond-1", "rep-1", "img-1", "med-1", "imaging.example.org", "fhir.test"),
    *("2025-02-10", "2025-02-12", "20250212", "20250820", "1970-03-12", "Text of the report"),
]


class OnlyPartition:
    """A store without data partitions."""

    async def resolve(self, name, *, create):
        if name != DEFAULT_PARTITION.name:
            raise InvalidRequest("There is no such partition.")
        return DEFAULT_PARTITION


class Exporting:
    """A site whose cohort has run, and the archive that has its files."""

    def __init__(self):
        self.site = Site()
        self.archive = ExportService()
        self.audited = []
        sources = Sources(
            self.site.store,
            self.site.client,
            self.archive.files,
            OnlyPartition(),
            lambda *told: self.audited.append(told),
        )
        directory = sources.directory
        self.archive.work.add(
            COHORT,
            partial(CohortSource, self.site.store, self.archive.lookup, directory),
            partial(cohort_copies, sources, self.archive.records),
        )
        self.site.exports = CohortExports(self.site.cohorts, self.archive.exports, self.archive.records, rules())

    async def store(self, *numbers):
        for data in (each for number in numbers for each in files(number)):
            dataset = dcmread(DicomBytesIO(data), stop_before_pixels=True)
            uids = (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
            values = {"PatientID": str(dataset.PatientID), "StudyDate": str(dataset.StudyDate)}
            new = replace(self.archive.new(*map(str, uids), **values), length=len(data))
            self.archive.blobs.drop(new.blob, data)
            await self.archive.store_all([new])

    async def ask(self, cohort_id, *, role="all", **body):
        document = {"destination": destination()} | body
        return await self.site.ask("export_cohort", "POST", f"/v2/cohorts/{cohort_id}/export", document, role=role)

    async def export(self, cohort_id, **body):
        """The id, the results, and the files of an export that has ended."""
        started = await self.ask(cohort_id, **body)
        assert started.status == 202, started.body
        operation_id = json.loads(started.body)["id"]
        await self.archive.runner.run()
        state = await self.archive.state(operation_id)
        assert state["status"] == "succeeded", state
        found = {
            name.removeprefix(f"{operation_id}/"): data
            for name, data in self.archive.container.blobs.items()
            if operation_id in name
        }
        return operation_id, state["results"], found


@pytest.fixture
async def exporting():
    found = Exporting()
    await found.store(*MEMBERS)
    return found


def images(found):
    return {name: data for name, data in found.items() if name.startswith("results/")}


def lines(data):
    return [orjson.loads(line) for line in data.splitlines()]


@pytest.mark.spec("COH-8", "COH-29", "COH-30")
async def test_an_identified_export_has_everything_as_it_is(exporting):
    cohort_id = await exporting.site.run(SEED)
    operation_id, results, found = await exporting.export(cohort_id, identified=True, files=True)

    assert (results["exported"], results["skipped"]) == (13, 0)
    manifest = orjson.loads(found["manifest.json"])
    listed = [file for each in manifest["patients"] for study in each["studies"] for file in study["files"]]
    assert {each["url"] for each in listed} == set(images(found))
    for each in listed:
        dataset = dcmread(DicomBytesIO(found[each["url"]]))
        assert dataset.SOPInstanceUID == each["sopInstanceUid"]
    assert {each["sopInstanceUid"] for each in listed} == INSTANCES
    seen = await exporting.site.manifest(cohort_id)
    without = [{**each, "studies": [{**s, "files": 0} for s in each["studies"]]} for each in manifest["patients"]]
    assert without == [{**each, "studies": [{**s, "files": 0} for s in each["studies"]]} for each in seen["patients"]]
    assert [each["id"] for each in lines(found["fhir/DiagnosticReport.ndjson"])] == ["rep-1", "rep-2", "rep-4"]
    assert [each["id"] for each in lines(found["fhir/Medication.ndjson"])] == ["mtx"]
    assert len(lines(found["fhir/ImagingStudy.ndjson"])) == 6
    one = orjson.loads((await exporting.site.ask("retrieve_cohort", "GET", f"/v2/cohorts/{cohort_id}")).body)
    assert one["exports"] == [operation_id]


@pytest.mark.spec("COH-9", "DEID-10", "COH-30")
async def test_a_de_identified_export_names_nobody_in_any_file(exporting):
    cohort_id = await exporting.site.run(SEED)
    exporting.archive.secrets.kept[f"deidentification-cohort-{cohort_id}"] = "6b" * 32  # no date moves to a planted one
    _, results, found = await exporting.export(cohort_id, files=True)

    assert (results["exported"], results["skipped"]) == (13, 0)
    for name, data in found.items():
        assert (name, leaked(name.encode() + b"\n" + data, PLANTED)) == (name, [])
    manifest = orjson.loads(found["manifest.json"])
    listed = [file for each in manifest["patients"] for study in each["studies"] for file in study["files"]]
    assert {each["url"] for each in listed} == set(images(found))
    for each in listed:
        dataset = dcmread(DicomBytesIO(found[each["url"]]))
        assert (dataset.SOPInstanceUID, dataset.StudyInstanceUID) == (each["sopInstanceUid"], each["studyInstanceUid"])
    others = {each["sopInstanceUid"] for each in listed}
    assert (len(others), others & INSTANCES) == (13, set())
    assert sorted(Counter(each["studyInstanceUid"] for each in listed).values()) == [2, 2, 2, 2, 2, 3]
    assert manifest["counts"]["patients"] == 5
    assert all("why" not in each for each in manifest["indeterminate"])


@pytest.mark.spec("COH-9")
async def test_intervals_between_files_and_resources_stay(exporting):
    cohort_id = await exporting.site.run(SEED)
    _, _, found = await exporting.export(cohort_id)

    manifest = orjson.loads(found["manifest.json"])
    studies = {study["uid"]: study for each in manifest["patients"] for study in each["studies"]}
    days = {}
    for data in images(found).values():
        dataset = dcmread(DicomBytesIO(data), stop_before_pixels=True)
        days[dataset.StudyInstanceUID] = dataset.StudyDate
    assert {uid: study["started"][:10].replace("-", "") for uid, study in studies.items()} == days
    uids = {each["uid"] for each in studies.values()}
    told = {
        each["identifier"][0]["value"].removeprefix("urn:oid:"): each["started"][:10]
        for each in lines(found["fhir/ImagingStudy.ndjson"])
    }
    assert told == {uid: studies[uid]["started"][:10] for uid in uids}


@pytest.mark.spec("COH-9")
async def test_pseudonyms_are_the_same_in_every_export_of_a_cohort_and_in_no_other(exporting):
    one, other = await exporting.site.run(SEED), await exporting.site.run(SEED)
    first = (await exporting.export(one))[2]
    again = (await exporting.export(one))[2]
    strange = (await exporting.export(other))[2]

    assert first["patients.csv"] == again["patients.csv"]
    assert first["fhir/Patient.ndjson"] == again["fhir/Patient.ndjson"]
    assert set(images(first)) == set(images(again))
    assert not set(images(first)) & set(images(strange))
    ids = [{each["id"] for each in lines(found["fhir/Patient.ndjson"])} for found in (first, strange)]
    assert not ids[0] & ids[1]


@pytest.mark.spec("DEID-10")
async def test_resources_keep_what_is_listed_alone(exporting):
    report = exporting.site.server.resources["DiagnosticReport", "rep-1"]
    report |= {
        "text": {"div": "<div>Family1</div>"},
        "presentedForm": [{"data": "RmFtaWx5MQ=="}],
        "note": [{"text": "x"}],
    }
    report["code"]["text"] = "CT of Family1"
    cohort_id = await exporting.site.run(SEED)
    _, _, found = await exporting.export(cohort_id)

    told = [name for each in lines(found["fhir/DiagnosticReport.ndjson"]) for name in each]
    assert set(told) == {
        *("resourceType", "id", "status", "category", "code", "subject", "effectiveDateTime", "imagingStudy"),
    }
    assert set(lines(found["fhir/Patient.ndjson"])[0]) == {"resourceType", "id", "gender"}
    ids = {f"Patient/{each['id']}" for each in lines(found["fhir/Patient.ndjson"])}
    assert {each["subject"]["reference"] for each in lines(found["fhir/Condition.ndjson"])} == ids
    rows = list(csv.DictReader(io.StringIO(found["medications.csv"].decode(), newline="")))
    assert ({each["patient"] for each in rows} <= ids, {each["code"] for each in rows}) == (
        True,
        {"3639", "2555", "6851", "5640"},
    )


@pytest.mark.spec("DEID-10", "AUTH-14")
async def test_free_texts_stay_only_where_they_are_asked_for_by_who_may_see_them(exporting):
    cohort_id = await exporting.site.run(SEED)
    refused = await exporting.ask(cohort_id, role="cohort+export", freeText="keep")
    _, _, found = await exporting.export(cohort_id, freeText="keep")

    assert error(refused)[0] == 403
    assert {each["conclusion"] for each in lines(found["fhir/DiagnosticReport.ndjson"])} == {"Text of the report."}


@pytest.mark.spec("COH-30", "AUTH-14")
@pytest.mark.parametrize(
    ("role", "body", "status"),
    [
        ("cohort+export", {}, 202),
        ("cohort", {}, 403),
        ("cohort+export", {"identified": True}, 403),
        ("cohort+export+cohortIdentified", {"identified": True}, 202),
        ("export", {}, 403),
    ],
)
async def test_an_export_needs_two_data_actions_and_identities_a_third(exporting, role, body, status):
    cohort_id = await exporting.site.run(SEED)

    assert (await exporting.ask(cohort_id, role=role, **body)).status == status


@pytest.mark.spec("COH-30")
@pytest.mark.parametrize(
    "body", [{"destination": None}, {"identified": "yes"}, {"files": 1}, {"more": 1}, {"freeText": "some"}]
)
async def test_a_bad_request_is_refused(exporting, body):
    cohort_id = await exporting.site.run(SEED)

    assert (await exporting.ask(cohort_id, **body)).status == 400


@pytest.mark.spec("COH-30")
async def test_a_cohort_is_exported_when_its_run_has_ended(exporting):
    cohort_id = await exporting.site.start(SEED)

    assert (await exporting.ask(cohort_id)).status == 409
    assert (await exporting.ask("0" * 32)).status == 404


@pytest.mark.spec("AUTH-20")
async def test_studies_outside_the_scopes_of_the_caller_are_not_exported(exporting):
    cohort_id = await exporting.site.run(SEED)
    started = await exporting.ask(cohort_id, role="cohort@ward+export@ward")
    await exporting.archive.runner.run()

    operation_id = json.loads(started.body)["id"]
    assert (await exporting.archive.state(operation_id))["results"]["exported"] == 0
    assert (
        orjson.loads(exporting.archive.container.blobs[f"{operation_id}/manifest.json"])["patients"][0]["studies"] == []
    )


@pytest.mark.spec("COH-8")
async def test_a_study_that_is_not_here_any_more_is_in_the_error_log():
    exporting = Exporting()
    await exporting.store(1, 2)
    cohort_id = await exporting.site.run(SEED)
    operation_id, results, _ = await exporting.export(cohort_id, identified=True)

    assert (results["exported"], results["skipped"]) == (5, 4)
    told = [json.loads(line) for line in exporting.archive.container.log(operation_id)]
    assert [(each["identifier"], each["error"]) for each in told] == [
        (f"2.25.7000.{number}", NO_MATCH) for number in (17, 4, 5, 11)
    ]


@pytest.mark.spec("COH-8")
async def test_an_export_that_is_interrupted_goes_on_and_gives_the_same(exporting):
    cohort_id = await exporting.site.run(SEED)
    whole = (await exporting.export(cohort_id))[2]
    failures = iter([True, False, True, *[False] * 1000])

    async def fail(what):
        if what == "write" and next(failures):
            raise ConnectionResetError

    exporting.archive.container.before = fail
    started = await exporting.ask(cohort_id)
    operation_id = json.loads(started.body)["id"]
    for _ in range(4):
        exporting.archive.time.seconds += 600
        await exporting.archive.runner.run()
    assert (await exporting.archive.state(operation_id))["status"] == "succeeded"
    blobs = exporting.archive.container.blobs
    found = {name.removeprefix(f"{operation_id}/"): data for name, data in blobs.items() if operation_id in name}
    assert found == whole


@pytest.mark.spec("COH-16")
async def test_each_patient_that_is_exported_is_audited(exporting):
    cohort_id = await exporting.site.run(SEED)
    await exporting.export(cohort_id)

    assert [(told[0], told[2]) for told in exporting.audited] == [
        (cohort_id, ["Patient/pat-1", "Patient/pat-14", "Patient/pat-2", "Patient/pat-3", "Patient/pat-9"])
    ]


@pytest.mark.spec("COH-8")
@pytest.mark.parametrize("written", [False, True], ids=["before", "behind"])
async def test_the_end_of_an_export_may_be_cut_off_at_each_of_its_files(exporting, written, monkeypatch):
    """Report, manifest, tables and resources are counted one by one: more interruptions than an operation survives."""
    cohort_id = await exporting.site.run(SEED)
    whole = (await exporting.export(cohort_id, files=True))[2]
    write = type(exporting.archive.container).write
    cut: list[str] = []

    async def cut_off(container, name, pieces):
        end = name.partition("/")[2]
        fails = not end.startswith("results/") and end not in cut
        if written or not fails:
            await write(container, name, pieces)
        if fails:
            cut.append(end)
            raise ConnectionResetError

    monkeypatch.setattr(type(exporting.archive.container), "write", cut_off)
    started = await exporting.ask(cohort_id, files=True)
    operation_id = json.loads(started.body)["id"]
    while (state := await exporting.archive.state(operation_id))["status"] not in ("succeeded", "failed"):
        exporting.archive.time.seconds += 600
        await exporting.archive.runner.run()
    assert state["status"] == "succeeded", (state, cut)
    blobs = exporting.archive.container.blobs
    found = {name.removeprefix(f"{operation_id}/"): data for name, data in blobs.items() if operation_id in name}
    assert found == whole
    assert {"manifest.json", "patients.csv", "fhir/Patient.ndjson"} <= set(cut) <= set(whole)
