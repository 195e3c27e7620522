"""ImagingStudy: what is mapped, what is merged with what is there, what is removed and what stays."""

from dataclasses import replace
from typing import Any

import pytest

from shared.cast.mapping.imaging_study import References, wanted_study
from shared.cast.settings import normalised_base
from tests.builders.cast import BASE, SETTINGS, Cast, collected, element, instance

STUDY = "2.25.1"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
SCT = "http://snomed.info/sct"
IDENTIFIER = {"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}


def wanted(*instances: Any, settings: Any = SETTINGS) -> dict[str, Any]:
    return wanted_study(
        collected(STUDY, *instances, settings=settings), settings, References("Patient/1", "Endpoint/1")
    )


def code(value: str, scheme: str, meaning: str, **more: str) -> dict[str, Any]:
    tags = {"00080100": value, "00080102": scheme, "00080104": meaning, **more}
    return {tag: element(tag, text) for tag, text in tags.items()}


def no_empty(value: Any) -> bool:
    if isinstance(value, dict):
        return bool(value) and all(map(no_empty, value.values()))
    if isinstance(value, list):
        return bool(value) and all(map(no_empty, value))
    return value not in ("", None)


# ------------------------------------------------------------------------------------------------------------ mapping


@pytest.mark.parametrize("value", [None, "", "\0 "])
@pytest.mark.parametrize("tag", ["00080020", "00080030", "00080050", "00080201", "00081030", "0008103E", "00200013"])
def test_an_absent_value_leaves_nothing_behind(tag: str, value: str | None) -> None:
    found = wanted(instance(STUDY, **{f"t{tag}": value}))
    assert no_empty(found)
    assert found["numberOfInstances"] == 1


@pytest.mark.parametrize("number", ["-1", "2147483648", "1.5", "x"])
def test_numbers_out_of_range_are_left_out_and_noted(number: str) -> None:
    study = collected(STUDY, instance(STUDY, t00200011=number, t00200013=number))
    (series,) = wanted(instance(STUDY, t00200011=number, t00200013=number))["series"]
    assert "number" not in series
    assert "number" not in series["instance"][0]
    assert {note.tag for note in study.notes} == {"00200011", "00200013"}


def test_series_and_instances_have_one_order() -> None:
    instances = [instance(STUDY, series, number) for series in (10, 2, 1) for number in (11, 3, 2)]
    found = wanted(*instances)
    assert found == wanted(*reversed(instances))
    assert [each["number"] for each in found["series"]] == [1, 2, 10]
    assert [each["number"] for each in found["series"][0]["instance"]] == [2, 3, 11]


def test_modalities_are_those_of_the_series() -> None:
    instances = [instance(STUDY, 1, 1, t00080060="SR"), instance(STUDY, 2, 1, t00080060="CT")]

    def codes(found: dict) -> list[str]:
        return [each["code"] for each in found["modality"]]

    assert codes(wanted(*instances)) == ["SR", "CT"]
    acquisition = replace(SETTINGS, modalities="acquisition")
    assert codes(wanted(*instances, settings=acquisition)) == ["CT"]
    assert codes(wanted(instances[0], settings=acquisition)) == ["SR"]


def test_a_series_without_modality_is_other() -> None:
    study = collected(STUDY, instance(STUDY, t00080060=None))
    assert wanted(instance(STUDY, t00080060=None))["series"][0]["modality"] == {"system": DCM, "code": "OT"}
    assert {note.kind for note in study.notes} == {"missing"}


def test_codes_of_every_kind() -> None:
    found = wanted(
        instance(
            STUDY,
            t00081032=[code("24627-2", "LN", "Chest CT")],
            t00401012=[code("T-11300", "SRT", "Femur"), code("X1", "99LOCAL", "Local", **{"0008010C": "1.2.3"})],
            t00082218=[code("71341001", "SCT", "Femur")],
            t00200060="L",
            t00081050="Doe^Jane",
            t00080090="Ref^Erring",
            t00081060="Read^Er",
            t00081040="Radiology",
        )
    )
    assert found["procedureCode"] == [
        {"coding": [{"system": "http://loinc.org", "code": "24627-2", "display": "Chest CT"}]}
    ]
    assert found["reasonCode"][0]["coding"][0]["system"] == SCT
    assert found["reasonCode"][1] == {"coding": [{"system": "urn:oid:1.2.3", "code": "X1", "display": "Local"}]}
    (series,) = found["series"]
    assert series["bodySite"] == {"system": SCT, "code": "71341001", "display": "Femur"}
    assert series["laterality"]["code"] == "7771000"
    assert series["performer"][0]["actor"] == {"display": "Jane Doe"}
    assert (found["referrer"], found["interpreter"]) == ({"display": "Erring Ref"}, [{"display": "Er Read"}])
    assert found["location"] == {"display": "Radiology"}


@pytest.mark.parametrize(
    ("term", "site"),
    [
        ("CHEST", {"system": SCT, "code": "816094009", "display": "Thorax"}),
        ("TSPINE", {"system": SCT, "code": "122495006", "display": "Thoracic spine"}),
        ("XYZ", {"display": "XYZ"}),
    ],
)
def test_body_parts_are_those_of_the_standard(term: str, site: dict[str, str]) -> None:
    assert wanted(instance(STUDY, t00180015=term))["series"][0]["bodySite"] == site


def test_a_request_tells_procedure_and_reason_where_nothing_else_does() -> None:
    request = {"00321064": {"Value": [code("P1", "99X", "Plan")]}, "00401002": element("x", "pain")}
    found = wanted(instance(STUDY, t00400275=[request]))
    assert (found["procedureCode"], found["reasonCode"]) == ([{"text": "Plan"}], [{"text": "pain"}])


def test_the_accession_number_has_the_system_of_its_issuer() -> None:
    issuer = [{"00400032": element("x", "1.2.3"), "00400033": element("x", "ISO")}]
    found = wanted(instance(STUDY, t00080051=issuer))
    assert found["identifier"][1]["system"] == "urn:oid:1.2.3"
    plain = wanted(instance(STUDY), settings=replace(SETTINGS, accession_system=""))
    assert "system" not in plain["identifier"][1]
    assert "basedOn" not in plain


@pytest.mark.parametrize(
    ("mode", "limit", "shown"), [("all", 1, True), ("counts", 9, False), ("auto", 1, False), ("auto", 2, True)]
)
def test_instances_are_listed_or_counted(mode: str, limit: int, shown: bool) -> None:
    settings = replace(SETTINGS, instances=mode, instance_limit=limit)
    found = wanted(instance(STUDY, 1, 1), instance(STUDY, 1, 2), settings=settings)
    assert ("instance" in found["series"][0], found["numberOfInstances"]) == (shown, 2)


# --------------------------------------------------------------------------------- validation (dicomcast §5.1)


@pytest.mark.parametrize("tag", ["00080016", "00080018", "0020000E"])
async def test_an_instance_without_identity_is_left_out_and_the_others_are_written(tag: str) -> None:
    cast = Cast()
    await cast.cast(STUDY, instance(STUDY), instance(STUDY, 1, 2, **{f"t{tag}": None}))
    assert cast.fhir.all("ImagingStudy")[0]["numberOfInstances"] == 1
    assert len(await cast.open_errors("DicomError")) == 1
    await cast.cast(STUDY, instance(STUDY), instance(STUDY, 1, 2))
    assert await cast.open_errors("DicomError") == []


@pytest.mark.parametrize(("enforces", "count"), [(False, 2), (True, 1)])
@pytest.mark.spec("CAST-ER-5")
async def test_malformed_values_are_noted_or_refused(enforces: bool, count: int) -> None:
    cast = Cast(enforces_validation=enforces)
    for _ in range(2):
        await cast.cast(STUDY, instance(STUDY), instance(STUDY, 1, 2, t00100040="X", t00200013=_ + 2))
    assert cast.fhir.all("ImagingStudy")[0]["numberOfInstances"] == count
    notes, errors = await cast.open_errors("note"), await cast.open_errors("DicomError")
    assert (len(notes), len(errors)) == ((1, 0) if not enforces else (0, 1))
    await cast.cast(STUDY, instance(STUDY), instance(STUDY, 1, 2))
    assert [*await cast.open_errors("note"), *await cast.open_errors("DicomError")] == []


async def test_what_becomes_invalid_stays_as_it_was_written() -> None:
    cast = Cast()
    await cast.cast(STUDY, instance(STUDY), instance(STUDY, 2, 1))
    await cast.cast(STUDY, instance(STUDY), instance(STUDY, 2, 1, t00100020=None))
    assert [each["uid"] for each in cast.fhir.all("ImagingStudy")[0]["series"]] == [f"{STUDY}.1", f"{STUDY}.2"]
    await cast.cast(STUDY, instance(STUDY, t00100020=None), instance(STUDY, 2, 1, t00100020=None))
    assert len(cast.fhir.all("ImagingStudy")[0]["series"]) == 2
    await cast.cast(STUDY, instance(STUDY))
    assert len(cast.fhir.all("ImagingStudy")[0]["series"]) == 1


# ------------------------------------------------------------------------------------------- deletion and merging


async def test_instances_and_series_go_and_the_study_with_the_last() -> None:
    cast = Cast()
    await cast.cast(STUDY, instance(STUDY), instance(STUDY, 1, 2), instance(STUDY, 2, 1, t00080060="MR"))
    await cast.cast(STUDY, instance(STUDY), instance(STUDY, 2, 1, t00080060="MR"))
    assert cast.fhir.all("ImagingStudy")[0]["numberOfInstances"] == 2
    await cast.cast(STUDY, instance(STUDY))
    (study,) = cast.fhir.all("ImagingStudy")
    assert [each["code"] for each in study["modality"]] == ["CT"]
    await cast.cast(STUDY)
    assert [len(cast.fhir.all(kind)) for kind in ("ImagingStudy", "Patient", "Endpoint")] == [0, 1, 1]


async def test_a_deleted_study_may_be_cancelled_and_come_back() -> None:
    cast = Cast(deleted_study="cancelled")
    await cast.cast(STUDY, instance(STUDY))
    await cast.cast(STUDY)
    (study,) = cast.fhir.all("ImagingStudy")
    assert (study["status"], "series" in study, "endpoint" in study) == ("cancelled", False, False)
    await cast.cast(STUDY, instance(STUDY))
    (study,) = cast.fhir.all("ImagingStudy")
    assert (study["status"], study["numberOfInstances"]) == ("available", 1)


async def test_a_study_that_was_never_cast_is_gone_without_a_request_to_write() -> None:
    cast = Cast()
    await cast.cast(STUDY)
    assert (cast.fhir.writes, await cast.dirty()) == (0, {})


def foreign(**more: Any) -> dict[str, Any]:
    series = {"uid": "2.25.9", "number": 9, "modality": {"system": DCM, "code": "US"}, "numberOfInstances": 4}
    return {
        "resourceType": "ImagingStudy",
        "id": "foreign",
        "meta": {"source": "https://other.example.org"},
        "identifier": [IDENTIFIER],
        "status": "available",
        "subject": {"reference": "Patient/other"},
        "series": [series],
        **more,
    }


async def test_what_others_wrote_stays_when_the_study_is_deleted() -> None:
    cast = Cast()
    cast.fhir.put(foreign(encounter={"reference": "Encounter/1"}))
    await cast.cast(STUDY, instance(STUDY))
    (study,) = cast.fhir.all("ImagingStudy")
    endpoint = f"Endpoint/{cast.fhir.all('Endpoint')[0]['id']}"
    assert [each["uid"] for each in study["series"]] == [f"{STUDY}.1", "2.25.9"]
    assert study["series"][0]["endpoint"] == [{"reference": endpoint}]
    assert (study["numberOfSeries"], study["numberOfInstances"]) == (2, 5)
    assert {each["code"] for each in study["modality"]} == {"CT", "US"}
    await cast.cast(STUDY)
    (study,) = cast.fhir.all("ImagingStudy")
    assert [each["uid"] for each in study["series"]] == ["2.25.9"]
    assert (study["encounter"], "endpoint" in study) == ({"reference": "Encounter/1"}, False)


async def test_a_series_that_two_services_hold_goes_with_the_last_of_them() -> None:
    one = Cast()
    other = Cast(base="https://other.example.org/v2", server=one.fhir)
    await one.cast(STUDY, instance(STUDY, 1, 1))
    await other.cast(STUDY, instance(STUDY, 1, 1), instance(STUDY, 1, 2))
    await one.cast(STUDY, instance(STUDY, 1, 1), instance(STUDY, 1, 3))
    versions = one.fhir.versions()
    for each in (one, other, one):
        await each.studies.mark(each.key(STUDY), 0, replay=True)
        await each.worker.study(each.key(STUDY))
    assert one.fhir.versions() == versions
    (study,) = one.fhir.all("ImagingStudy")
    (series,) = study["series"]
    assert [each["number"] for each in series["instance"]] == [1, 2, 3]
    assert series["endpoint"] == study["endpoint"]
    assert len(study["endpoint"]) == 2
    await one.cast(STUDY)
    (study,) = one.fhir.all("ImagingStudy")
    assert study["series"][0]["endpoint"] == study["endpoint"] == series["endpoint"][1:]
    await other.cast(STUDY, instance(STUDY, 1, 2))
    assert [each["number"] for each in one.fhir.all("ImagingStudy")[0]["series"][0]["instance"]] == [2]
    await other.cast(STUDY)
    (study,) = one.fhir.all("ImagingStudy")
    assert (study["numberOfSeries"], "series" in study, "endpoint" in study) == (0, False, False)


async def test_a_foreign_series_in_a_resource_of_ours_keeps_it() -> None:
    cast = Cast()
    await cast.cast(STUDY, instance(STUDY))
    (study,) = cast.fhir.all("ImagingStudy")
    cast.fhir.put({**study, "series": [*study["series"], foreign()["series"][0]]})
    await cast.cast(STUDY, instance(STUDY), instance(STUDY, 1, 2))
    assert len(cast.fhir.all("ImagingStudy")[0]["series"]) == 2
    await cast.cast(STUDY)
    assert [each["uid"] for each in cast.fhir.all("ImagingStudy")[0]["series"]] == ["2.25.9"]


@pytest.mark.parametrize("source", [BASE, f"{BASE}/", f"{BASE}#abc", "HTTPS://IMAGING.example.org:443/v2#x"])
async def test_a_resource_without_record_is_ours_by_its_source(source: str) -> None:
    cast = Cast()
    endpoint = [{"reference": "Endpoint/other"}]
    mine, theirs = foreign()["series"][0], {**foreign()["series"][0], "uid": "2.25.8", "endpoint": endpoint}
    cast.fhir.put(foreign(meta={"source": source}, series=[mine, theirs]))
    await cast.cast(STUDY, instance(STUDY))
    assert [each["uid"] for each in cast.fhir.all("ImagingStudy")[0]["series"]] == [f"{STUDY}.1", "2.25.8"]


async def test_a_resource_of_the_archived_dicomcast_is_brought_up_to_date_in_one_update() -> None:
    cast = Cast()
    cast.fhir.put(
        {
            "resourceType": "Patient",
            "id": "p",
            "identifier": [{"system": SETTINGS.patient_system, "value": "COH-001"}],
            "name": [{"family": "Family1", "given": ["G"]}],
            "gender": "female",
        }
    )
    cast.fhir.put(
        {
            "resourceType": "Endpoint",
            "id": "e",
            "status": "active",
            "name": f"DICOM WADO-RS endpoint {BASE}/",
            "connectionType": {
                "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
                "code": "dicom-wado-rs",
            },
            "address": f"{BASE}/",
            "payloadType": [{"text": "DICOM WADO-RS"}],
        }
    )
    acsn = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}
    cast.fhir.put(
        {
            "resourceType": "ImagingStudy",
            "id": "s",
            "meta": {"source": BASE},
            "identifier": [IDENTIFIER, {"type": acsn, "value": "A-2"}],
            "status": "available",
            "modality": [{"system": "DCM", "code": "CT"}],
            "subject": {"reference": "http://fhir.test/fhir/Patient/p"},
            "endpoint": [{"reference": "Endpoint/e"}],
            "note": [{"text": "CT chest follow-up"}],
            "series": [
                {
                    "uid": f"{STUDY}.1",
                    "modality": {"system": "DCM", "code": "CT"},
                    "instance": [{"uid": f"{STUDY}.1.1", "sopClass": {"code": "x"}}],
                }
            ],
        }
    )
    await cast.cast(STUDY, instance(STUDY))
    (study,) = cast.fhir.all("ImagingStudy")
    assert study["identifier"] == [IDENTIFIER, {"type": acsn, "system": SETTINGS.accession_system, "value": "A-2"}]
    assert study["modality"] == [{"system": DCM, "code": "CT"}]
    assert study["series"][0]["instance"][0]["sopClass"]["system"] == "urn:ietf:rfc:3986"
    assert study["note"] == [{"text": "CT chest follow-up"}]
    assert study["subject"] == {"reference": "http://fhir.test/fhir/Patient/p"}
    versions = cast.fhir.versions()
    assert (versions["ImagingStudy/s"], versions["Endpoint/e"], versions["Patient/p"]) == ("2", "2", "1")
    await cast.studies.mark(cast.key(STUDY), 50, replay=True)
    await cast.worker.study(cast.key(STUDY))
    assert cast.fhir.versions() == versions


async def test_an_adopted_endpoint_with_another_address_parks_the_study() -> None:
    cast = Cast()
    cast.fhir.put(
        {
            "resourceType": "Endpoint",
            "identifier": [{"system": "urn:ietf:rfc:3986", "value": BASE}],
            "address": "https://else.example.org",
        }
    )
    await cast.cast(STUDY, instance(STUDY))
    assert await cast.dirty() == {STUDY: "FhirError"}


async def test_an_absent_date_never_erases_a_known_one() -> None:
    cast = Cast()
    await cast.cast(STUDY, instance(STUDY))
    await cast.cast(STUDY, instance(STUDY, t00080020=None, t00081030=None))
    (study,) = cast.fhir.all("ImagingStudy")
    assert (study["started"], study["description"]) == ("2025-08-20T10:00:00+02:00", "CT chest follow-up")


async def test_equal_uids_in_two_partitions_are_two_resources() -> None:
    cast = Cast(all_partitions=True)
    from shared.cast.dirty_studies import StudyKey

    cast.have(STUDY, instance(STUDY))
    for partition in ("a", "b"):
        await cast.studies.mark(StudyKey(partition, STUDY), 1)
        await cast.worker.study(StudyKey(partition, STUDY))
    assert len(cast.fhir.all("ImagingStudy")) == 2
    assert {each["address"] for each in cast.fhir.all("Endpoint")} == {f"{BASE}/partitions/a", f"{BASE}/partitions/b"}


def test_addresses_are_compared_in_one_form() -> None:
    same = {"http://X.test:80/v2/", "HTTP://x.test/v2", "http://x.test/v2/#f"}
    assert {normalised_base(each) for each in same} == {"http://x.test/v2"}
    assert normalised_base("nonsense") == normalised_base("http://x:port") == ""
