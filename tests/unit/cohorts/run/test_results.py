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
