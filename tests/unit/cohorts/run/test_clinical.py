"""Clinical data under a share: those of the shared studies and their patients, and nobody else's (SHR-6)."""

import orjson
import pytest

from shared.cohorts.clinical import clinical_data
from shared.cohorts.gathering.reader import Reader
from shared.deidentification.key import Key, Pseudonyms
from shared.fhir.client import FhirClient
from tests.builders.cohort_runs import Site
from tests.builders.cohorts import SEED
from tests.fakes.fhir import FakeFhirServer

SHARED, OWN_OTHER, FOREIGN = "1.2.3.4.100", "1.2.3.4.200", "1.2.3.4.300"
ANN, BOB = "ann-of-the-share", "bob-of-nobody"


def imaging(name, uid, patient):
    return {
        "resourceType": "ImagingStudy",
        "id": name,
        "status": "available",
        "subject": {"reference": f"Patient/{patient}"},
        "started": "2024-01-02",
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}],
        "series": [{"uid": f"{uid}.1"}, {"uid": f"{uid}.2"}],
    }


def report(name, study, patient, **more):
    return {
        "resourceType": "DiagnosticReport",
        "id": name,
        "status": "final",
        "code": {"text": "report"},
        "subject": {"reference": f"Patient/{patient}"},
        "imagingStudy": [{"reference": f"ImagingStudy/{study}"}, {"reference": "ImagingStudy/foreign"}],
        **more,
    }


@pytest.fixture
def reader():
    server = FakeFhirServer()
    for each in (
        {
            "resourceType": "Patient",
            "id": ANN,
            "link": [{"other": {"reference": f"Patient/{BOB}"}, "type": "seealso"}],
            "contact": [{"organization": {"identifier": {"value": BOB}, "display": BOB}}],
            "text": {"status": "generated", "div": f"<div>{BOB}</div>"},
        },
        {"resourceType": "Patient", "id": BOB},
        imaging("shared", SHARED, ANN),
        imaging("own-other", OWN_OTHER, ANN),
        imaging("foreign", FOREIGN, BOB),
        report(
            "right",
            "shared",
            ANN,
            presentedForm=[{"contentType": "application/pdf", "url": f"Binary/{BOB}", "title": "report"}],
            contained=[{"resourceType": "Patient", "id": BOB}],
            resultsInterpreter=[{"reference": f"http://elsewhere.test/Practitioner/{BOB}"}],
        ),
        report("of-other-study", "own-other", ANN),
        report("of-bob", "shared", BOB),
        {**report("withdrawn", "shared", ANN), "status": "entered-in-error"},
        {
            "resourceType": "Condition",
            "id": "condition",
            "subject": {"reference": f"Patient/{ANN}"},
            "recorder": {"reference": f"Patient/{BOB}"},
            "code": {"text": "a diagnosis"},
        },
        {"resourceType": "Condition", "id": "of-bob", "subject": {"reference": f"Patient/{BOB}"}},
    ):
        server.put(each)
    return Reader(FhirClient(server))


def ids(bundle):
    return {f"{each['resource']['resourceType']}/{each['resource']['id']}" for each in bundle["entry"]}


@pytest.mark.spec("SHR-6")
@pytest.mark.parametrize("extent", ["reports", "timeline"])
async def test_nothing_leads_to_another_patient_or_study(reader, extent):
    bundle = await clinical_data(reader, [SHARED], (), extent)

    told = orjson.dumps(bundle).decode()
    assert [each for each in (BOB, FOREIGN, OWN_OTHER, "elsewhere.test") if each in told] == []


@pytest.mark.spec("SHR-6")
async def test_reports_are_those_that_are_linked_to_the_studies(reader):
    bundle = await clinical_data(reader, [SHARED], (), "reports")

    assert ids(bundle) == {"DiagnosticReport/right"}
    [entry] = bundle["entry"]
    assert entry["resource"]["subject"] == {"reference": f"Patient/{ANN}"}
    assert entry["resource"]["imagingStudy"] == [{"reference": "ImagingStudy/shared"}]
    assert entry["resource"]["presentedForm"] == [{"contentType": "application/pdf", "title": "report"}]


@pytest.mark.spec("SHR-6")
async def test_a_timeline_is_that_of_the_patients_without_their_other_studies(reader):
    bundle = await clinical_data(reader, [SHARED], (), "timeline")

    assert {f"Patient/{ANN}", "ImagingStudy/shared", "Condition/condition", "DiagnosticReport/right"} <= ids(bundle)
    assert "ImagingStudy/own-other" not in ids(bundle)


@pytest.mark.spec("SHR-6", "SHR-7", "DEID-10")
@pytest.mark.parametrize("extent", ["reports", "timeline"])
async def test_under_pseudonyms_nothing_names_anybody(reader, extent):
    key = Key(bytes(range(32)))

    async def days(study):
        assert study == SHARED
        return 7

    bundle = await clinical_data(reader, [SHARED], (), extent, Pseudonyms(key, days))

    text = orjson.dumps(bundle).decode()
    assert bundle["entry"]
    for name in (ANN, BOB, SHARED, OWN_OTHER, FOREIGN, "presentedForm"):
        assert name not in text
    subjects = {each["resource"]["subject"]["reference"] for each in bundle["entry"] if "subject" in each["resource"]}
    assert subjects == {f"Patient/{key.subject(f'Patient/{ANN}')}"}
    studies = [each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == "ImagingStudy"]
    assert [each["started"] for each in studies] == (["2024-01-09"] if extent == "timeline" else [])


@pytest.mark.spec("SHR-6")
async def test_of_a_study_only_the_shared_series_are_told(reader):
    bundle = await clinical_data(reader, [SHARED], [f"{SHARED}.1"], "timeline")

    assert f"{SHARED}.1" in str(bundle)
    assert f"{SHARED}.2" not in str(bundle)


@pytest.mark.spec("SHR-6")
async def test_of_studies_that_the_server_does_not_know_there_is_nothing(reader):
    assert await clinical_data(reader, ["9.9.9.9"], (), "timeline") == {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [],
    }


@pytest.mark.spec("SHR-41")
async def test_the_studies_of_a_cohort_are_those_of_its_manifest_that_lie_in_the_partition():
    site = Site()
    cohort_id = await site.run(SEED)
    manifest = await site.manifest(cohort_id)
    known = {study["uid"] for each in manifest["patients"] for study in each["studies"] if "retrieve" in study}

    here = {uid async for uid in site.cohorts.studies_in(cohort_id, "Microsoft.Default")}
    elsewhere = [uid async for uid in site.cohorts.studies_in(cohort_id, "ward")]

    assert here == known
    assert known
    assert elsewhere == []
