"""The data of cohorts §9 gives exactly what the chapter expects."""

import pytest

from tests.builders.cohort_runs import Site
from tests.builders.cohorts import SEED
from tests.builders.osteosarcoma import RXNORM

INDETERMINATE = {"10", "15", "16"}


def numbers(entries):
    return {each["id"].removeprefix("Patient/pat-") for each in entries}


def drug(code):
    return {"code": {"codes": [{"system": RXNORM, "code": code}]}}


def changed(**members):
    return SEED | members


def condition_when(**window):
    (condition,) = SEED["conditions"]
    return [condition | {"when": window}]


@pytest.fixture
def site():
    return Site()


@pytest.mark.spec("COH-2", "COH-7", "COH-19", "COH-20", "COH-25")
async def test_the_example_of_the_page(site):
    found = await site.found(SEED)

    assert numbers(found["patients"]) == {"1", "2", "3", "9", "14"}
    assert [each["id"] for each in found["patients"]] == sorted(each["id"] for each in found["patients"])
    studies = {study["uid"]: study for each in found["patients"] for study in each["studies"]}
    assert set(studies) == {f"2.25.7000.{n}" for n in (1, 2, 4, 5, 11, 17)}
    assert {r["id"]: r["link"] for study in studies.values() for r in study["reports"]} == {
        "DiagnosticReport/rep-1": "imagingStudy",
        "DiagnosticReport/rep-2": "accession",
        "DiagnosticReport/rep-4": "basedOn",
    }
    medications = {each["id"]: each for patient in found["patients"] for each in patient["medications"]}
    assert set(medications) == {f"MedicationRequest/med-{n}" for n in range(1, 6)}
    assert medications["MedicationRequest/med-3"]["code"] == {"system": RXNORM, "code": "6851"}
    assert found["indeterminate"] == [
        {"id": "Patient/pat-10", "criterion": "patient.age", "why": "birthDate 1980 has year precision"},
        {"id": "Patient/pat-15", "criterion": "conditions[0].when", "why": "neither onset nor recordedDate"},
        {"id": "Patient/pat-16", "criterion": "conditions[0].when", "why": "onset is text"},
    ]
    assert found["counts"] == {
        "patients": 5,
        "studies": 6,
        "reports": 3,
        "medications": 5,
        "instances": 13,
        "indeterminate": 3,
    }
    first = found["patients"][0]
    assert (first["id"], first["age"]) == ("Patient/pat-1", 56)
    assert first["evidence"][0] == {"criterion": "conditions[0]", "resource": "Condition/cond-1", "date": "2025-02-10"}
    assert studies["2.25.7000.1"]["modality"] == ["CT", "SR"]
    assert studies["2.25.7000.1"]["retrieve"] == "https://imaging.example.org/v2/studies/2.25.7000.1"
    assert found["warnings"] == []


@pytest.mark.spec("COH-2", "COH-18", "COH-22")
@pytest.mark.parametrize(
    ("definition", "members", "unsure"),
    [
        (changed(asOf="2026-07-01"), {"1", "2", "4", "9", "14"}, INDETERMINATE),
        (
            changed(imaging={"required": False, "modality": ["CT"]}),
            {"1", "2", "3", "8", "9", "14"},
            INDETERMINATE,
        ),
        ({"version": 1, "asOf": "2026-06-30", "medications": [drug("6851")]}, {"2", "3"}, set()),
        (
            {"version": 1, "asOf": "2026-06-30", "medications": [drug("6851") | {"when": {"since": "2025-01-01"}}]},
            {"3"},
            set(),
        ),
        (changed(medications=[{"not": drug("3639")}]), {"2", "3", "9", "14"}, INDETERMINATE),
        (changed(conditions=condition_when(since="2025-02-10", until="2025-12-31")), {"1"}, INDETERMINATE | {"14"}),
        (changed(imaging={"modality": ["MR"], "not": {"modality": ["CT"]}}), {"8"}, set()),
    ],
)
async def test_other_definitions(site, definition, members, unsure):
    found = await site.found(definition)

    assert (numbers(found["patients"]), numbers(found["indeterminate"])) == (members, unsure)


@pytest.mark.spec("COH-22")
async def test_without_required_imaging_a_patient_without_a_study_has_medications_all_the_same(site):
    found = await site.found(changed(imaging={"required": False, "modality": ["CT"]}))

    (eighth,) = [each for each in found["patients"] if each["id"] == "Patient/pat-8"]
    assert eighth["studies"] == []
    assert [each["id"] for each in eighth["medications"]] == ["MedicationRequest/med-6"]


RESEARCH = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]}
CARE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}


def consent(number, scope=RESEARCH, *, known="", status="active", **provision):
    return {
        "resourceType": "Consent",
        "id": f"consent-{number}{known}",
        "status": status,
        "scope": scope,
        "patient": {"reference": f"Patient/pat-{number}"},
        **({"provision": provision} if provision else {}),
    }


@pytest.mark.spec("COH-37")
async def test_required_consent_leaves_out_who_does_not_permit_research(site):
    for each in (
        consent(1),
        consent(2, CARE),
        consent(3, type="deny"),
        consent(9, type="permit", period={"start": "2026-06-30", "end": "2027"}),
        consent(14, status="inactive"),
        consent(10),
    ):
        site.server.put(each)
    found = await site.found(changed(consent={"mode": "require"}))

    assert (numbers(found["patients"]), numbers(found["indeterminate"])) == ({"1", "9"}, {"10"})


@pytest.mark.spec("COH-37")
@pytest.mark.parametrize(
    ("provision", "member"),
    [
        ({"period": {"end": "2026-06-29"}}, False),
        ({"period": {"start": "2026-07-01"}}, False),
        ({"period": {"start": "2020", "end": "2026-06-30"}}, True),
        ({"period": {"start": "2026"}}, False),  # it may begin later in the year
        ({"type": "permit"}, True),
    ],
)
async def test_a_consent_counts_on_the_day_of_the_run(site, provision, member):
    site.server.put(consent(1, **provision))
    found = await site.found(changed(consent={"mode": "require"}))

    assert numbers(found["patients"]) == ({"1"} if member else set())


@pytest.mark.spec("COH-37")
async def test_a_denial_outweighs_a_permission(site):
    site.server.put(consent(1))
    site.server.put(consent(1, known="-no", type="deny"))
    found = await site.found(changed(consent={"mode": "require"}))

    assert found["patients"] == []
