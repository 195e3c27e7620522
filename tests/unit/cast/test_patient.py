"""The Patient of a study: identifier, names, policies, and the people who choose."""

from dataclasses import replace
from typing import Any

import pytest

from shared.cast.mapping.patient import new_patient, updated_patient, wanted_patient
from tests.builders.cast import BASE, SETTINGS, Cast, collected, element, instance

STUDY = "2.25.1"
SYSTEM = SETTINGS.patient_system
EXISTING = {"resourceType": "Patient", "id": "pat-1", "identifier": [{"system": SYSTEM, "value": "COH-001"}]}


def wanted(settings: Any = SETTINGS, **tags: Any) -> Any:
    return wanted_patient(collected(STUDY, instance(STUDY, **tags), settings=settings).attributes, settings)


def test_a_new_patient_is_exactly_this() -> None:
    found = new_patient(wanted(t00100010="Doe^John Paul^Q^Dr.^Jr.", t00100030="19700102"), SETTINGS)
    assert found == {
        "resourceType": "Patient",
        "meta": {"source": BASE},
        "identifier": [
            {
                "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
                "system": SYSTEM,
                "value": "COH-001",
            }
        ],
        "name": [
            {"use": "usual", "family": "Doe", "given": ["John", "Paul", "Q"], "prefix": ["Dr."], "suffix": ["Jr."]}
        ],
        "gender": "female",
        "birthDate": "1970-01-02",
    }


def test_nothing_is_written_empty() -> None:
    found = new_patient(wanted(t00100010="^^", t00100040="", t00100030=None), SETTINGS)
    assert set(found) == {"resourceType", "meta", "identifier"}


@pytest.mark.parametrize(
    ("tags", "system"),
    [
        ({}, SYSTEM),
        ({"t00100021": "HOSP"}, "HOSP"),
        ({"t00100021": "St Mary"}, "urn:dicom:issuer:St%20Mary"),
        ({"t00100021": "KNOWN"}, "urn:oid:1.2"),
        (
            {"t00100021": "HOSP", "t00100024": [{"00400032": element("x", "1.3"), "00400033": element("x", "ISO")}]},
            "urn:oid:1.3",
        ),
    ],
)
def test_the_issuer_is_the_system_when_it_counts(tags: dict[str, Any], system: str) -> None:
    settings = replace(SETTINGS, issuer_is_used=True, issuers={"KNOWN": "urn:oid:1.2"})
    assert wanted(settings, **tags).system == system
    assert wanted(**tags).system == SYSTEM


def test_names_in_other_scripts_stand_beside() -> None:
    name = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    found = new_patient(wanted(t00100010=name), SETTINGS)["name"]
    url = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"
    assert found[1:] == [
        {"extension": [{"url": url, "valueCode": "IDE"}], "family": "山田", "given": ["太郎"]},
        {"extension": [{"url": url, "valueCode": "SYL"}], "family": "やまだ", "given": ["たろう"]},
    ]


@pytest.mark.parametrize(
    ("policy", "name", "gender", "birth", "notes"),
    [
        ("fillMissing", "Old", "male", "1970-01-02", {"name-differs", "gender-differs"}),
        ("nameAndGender", "Family1", "female", None, {"birthDate-differs"}),
        ("all", "Family1", "female", "1970-01-02", set()),
        ("never", "Old", "male", None, {"name-differs", "gender-differs", "birthDate-differs"}),
    ],
)
@pytest.mark.spec("A-4")
def test_policies_say_what_is_written(policy: str, name: str, gender: str, birth: str | None, notes: set[str]) -> None:
    held = {**EXISTING, "name": [{"use": "usual", "family": "Old", "prefix": ["Dr."]}], "gender": "male"}
    settings = replace(SETTINGS, patient_update=policy)
    found, noted = updated_patient(held, wanted(settings, t00100030="19700102"), settings)
    assert (found["name"][0]["family"], found["gender"], found.get("birthDate")) == (name, gender, birth)
    assert {note.kind for note in noted} == notes
    if policy == "nameAndGender":
        assert "prefix" not in found["name"][0]


def test_patients_of_others_can_be_left_alone() -> None:
    settings = replace(SETTINGS, patient_update="all", patient_update_foreign=False)
    assert updated_patient(EXISTING, wanted(settings), settings)[0] == EXISTING
    ours = {**EXISTING, "meta": {"source": f"{BASE}/#abc", "versionId": "1"}}
    assert updated_patient(ours, wanted(settings), settings)[0]["gender"] == "female"


def test_a_name_that_is_the_same_is_no_difference() -> None:
    held = {**EXISTING, "name": [{"family": "Family1", "given": ["G"]}], "gender": "female"}
    assert updated_patient(held, wanted(), SETTINGS) == (held, frozenset())


async def test_a_study_without_patient_id_is_a_dicom_error_or_has_no_patient() -> None:
    cast = Cast()
    await cast.cast(STUDY, instance(STUDY, t00100020=None))
    assert cast.fhir.all("ImagingStudy") == []
    assert len(await cast.open_errors("DicomError")) == 1
    cast = Cast(patient_id_missing="skipPatient")
    await cast.cast(STUDY, instance(STUDY, t00100020=None))
    assert cast.fhir.all("ImagingStudy")[0]["subject"] == {"display": "G Family1"}
    assert cast.fhir.all("Patient") == []


async def test_a_choice_of_people_goes_before_every_search() -> None:
    cast = Cast(patient_mode="matchOnly")
    cast.fhir.put({"resourceType": "Patient", "id": "x"})
    await cast.links.keep(SYSTEM, "COH-001", "Patient/x", "somebody")
    await cast.cast(STUDY, instance(STUDY))
    await cast.cast("2.25.2", instance("2.25.2"))
    assert {each["subject"]["reference"] for each in cast.fhir.all("ImagingStudy")} == {"Patient/x"}
    link = await cast.links.find(SYSTEM, "COH-001")
    assert link is not None
    assert (link.who, "COH-001" in link.id) == ("somebody", False)
    assert await cast.links.remove(link.id)
    assert not await cast.links.remove(link.id)


async def test_without_a_match_a_study_waits_where_no_patient_may_be_created() -> None:
    cast = Cast(patient_mode="matchOnly")
    await cast.cast(STUDY, instance(STUDY))
    assert await cast.dirty() == {STUDY: "NoPatient"}
    assert cast.fhir.writes == 0
    cast.fhir.put(EXISTING)
    cast.clock.time += 6 * 3600
    await cast.worker.retry()
    await cast.worker.study(cast.key(STUDY))
    assert await cast.dirty() == {}


async def test_other_ids_of_the_patient_can_find_it() -> None:
    cast = Cast(match_other_patient_ids=True)
    cast.fhir.put({**EXISTING, "identifier": [{"system": SYSTEM, "value": "OTHER"}]})
    await cast.cast(STUDY, instance(STUDY, t00101002=[{"00100020": element("x", "OTHER")}]))
    assert cast.fhir.all("ImagingStudy")[0]["subject"]["reference"] == "Patient/pat-1"


async def test_another_patient_id_relinks_the_study_or_parks_it() -> None:
    cast = Cast()
    await cast.cast(STUDY, instance(STUDY))
    await cast.cast(STUDY, instance(STUDY, t00100020="COH-002"))
    (study,) = cast.fhir.all("ImagingStudy")
    second = next(each for each in cast.fhir.all("Patient") if each["identifier"][0]["value"] == "COH-002")
    assert study["subject"]["reference"] == f"Patient/{second['id']}"
    cast = Cast(on_patient_change="park")
    await cast.cast(STUDY, instance(STUDY))
    await cast.cast(STUDY, instance(STUDY, t00100020="COH-002"))
    assert await cast.dirty() == {STUDY: "FhirError"}
