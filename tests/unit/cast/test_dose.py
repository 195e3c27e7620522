"""Observations from dose SRs: values, identity, replacement, deletion."""

from typing import Any

from tests.builders.cast import BASE, SETTINGS, Cast, element, instance

STUDY = "2.25.1"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
UCUM = "http://unitsofmeasure.org"
SR_CLASS = "1.2.840.10008.5.1.4.1.1.88.67"


def code(value: str, meaning: str, scheme: str = "DCM") -> dict[str, Any]:
    tags = {"00080100": value, "00080102": scheme, "00080104": meaning}
    return {tag: element(tag, text) for tag, text in tags.items()}


def item(name: dict[str, Any], **tags: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"0040A043": {"vr": "SQ", "Value": [name]}}
    for tag, value in tags.items():
        found[tag[1:]] = {"vr": "SQ", "Value": value} if isinstance(value, list) else element(tag[1:], value)
    return found


def number(name: dict[str, Any], value: Any, unit: str, meaning: str) -> dict[str, Any]:
    measured = {"0040A30A": element("x", value), "004008EA": {"Value": [code(unit, meaning, "UCUM")]}}
    return item(name, t0040A300=[measured])


def event(uid: str, dlp: Any = 120.5, site: dict[str, Any] | None = None) -> dict[str, Any]:
    content = [
        item(code("113769", "Irradiation Event UID"), t0040A124=uid),
        number(code("113838", "DLP"), dlp, "mGy.cm", "mGy.cm"),
        number(code("113830", "Mean CTDIvol"), "8.5", "mGy", "mGy"),
        item(code("113835", "CTDIw Phantom Type"), t0040A168=[code("113691", "IEC Body Dosimetry Phantom")]),
        item(code("123014", "Target Region"), t0040A168=[site or code("51185008", "Chest", "SCT")]),
        item(code("111526", "DateTime Started"), t0040A120="20250820100500"),
    ]
    return item(code("113819", "CT Acquisition"), t0040A730=content)


def report(number_: int = 1, *events: dict[str, Any], total: Any = "300", **tags: Any) -> dict[str, Any]:
    accumulated = [
        number(code("113812", "Total Number of Irradiation Events"), "0", "{events}", "events"),
        number(code("113813", "CT Dose Length Product Total"), total, "mGy.cm", "mGy.cm"),
    ]
    content = [
        item(code("121058", "Procedure reported"), t0040A168=[code("77477000", "CT", "SCT")]),
        item(code("113809", "Start of X-Ray Irradiation"), t0040A120="20250820100000"),
        item(code("113811", "CT Accumulated Dose Data"), t0040A730=accumulated),
        *events,
    ]
    found = instance(STUDY, 9, number_, t00080016=SR_CLASS, t00080060="SR", **tags)
    name = {"0040A043": {"Value": [code("113701", "X-Ray Radiation Dose Report")]}}
    return {**found, **name, "0040A730": {"Value": content}, "0040A491": element("x", "COMPLETE")}


def of(cast: Cast, value: str) -> list[dict[str, Any]]:
    return [each for each in cast.fhir.all("Observation") if each["code"]["coding"][0]["code"] == value]


async def test_a_report_is_a_summary_and_its_events() -> None:
    cast = Cast()
    await cast.cast(STUDY, instance(STUDY), report(1, event("2.25.77")))
    (summary,), (found,) = of(cast, "73569-6"), of(cast, "113852")
    study, patient = cast.fhir.all("ImagingStudy")[0], cast.fhir.all("Patient")[0]
    references = {
        "subject": {"reference": f"Patient/{patient['id']}"},
        "partOf": [{"reference": f"ImagingStudy/{study['id']}"}],
    }
    typed = {"type": {"coding": [{"system": DCM, "code": "110180"}]}}
    study_identifier = {**typed, "system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}
    imaging = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "imaging"}
    assert {**summary, "id": "", "meta": {"source": summary["meta"]["source"]}} == {
        "resourceType": "Observation",
        "id": "",
        "meta": {"source": BASE},
        "identifier": [
            {"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}.9.1"},
            study_identifier,
            {
                "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]},
                "system": SETTINGS.accession_system,
                "value": "A-2",
            },
        ],
        "status": "final",
        "category": [{"coding": [imaging]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "73569-6"}]},
        "effectiveDateTime": "2025-08-20T10:00:00+02:00",
        "component": [
            {
                "code": {"coding": [{"system": DCM, "code": "121058", "display": "Procedure reported"}]},
                "valueCodeableConcept": {
                    "coding": [{"system": "http://snomed.info/sct", "code": "77477000", "display": "CT"}]
                },
            },
            {
                "code": {
                    "coding": [{"system": DCM, "code": "113812", "display": "Total Number of Irradiation Events"}]
                },
                "valueInteger": 0,
            },
            {
                "code": {"coding": [{"system": DCM, "code": "113813", "display": "CT Dose Length Product Total"}]},
                "valueQuantity": {"value": 300, "unit": "mGy.cm", "system": UCUM, "code": "mGy.cm"},
            },
        ],
        "hasMember": [{"reference": f"Observation/{found['id']}"}],
        **references,
    }
    assert found["identifier"] == [
        {
            "type": {"coding": [{"system": DCM, "code": "113769"}]},
            "system": "urn:dicom:uid",
            "value": "urn:oid:2.25.77",
        },
        study_identifier,
        {"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}.9.1"},
    ]
    values = {each["code"]["coding"][0]["code"]: each for each in found["component"]}
    assert values["113838"]["valueQuantity"]["value"] == 120.5
    assert values["113835"]["valueCodeableConcept"]["coding"][0]["code"] == "113691"
    assert (found["bodySite"]["coding"][0]["code"], found["effectiveDateTime"]) == (
        "51185008",
        "2025-08-20T10:05:00+02:00",
    )


async def test_casting_a_report_again_writes_nothing() -> None:
    cast = Cast()
    await cast.cast(STUDY, report(1, event("2.25.77")))
    versions = cast.fhir.versions()
    await cast.studies.mark(cast.key(STUDY), 9, replay=True)
    await cast.worker.study(cast.key(STUDY))
    assert cast.fhir.versions() == versions


async def test_a_replaced_report_changes_its_observations_and_no_others() -> None:
    cast = Cast()
    other = cast.fhir.put(
        {
            "resourceType": "Observation",
            "code": {"coding": [{"system": "http://loinc.org", "code": "1-1"}]},
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}],
        }
    )
    await cast.cast(STUDY, report(1, event("2.25.77"), event("2.25.78")))
    await cast.cast(STUDY, report(1, event("2.25.77", dlp="5"), event("2.25.79"), total="400"))
    keys = {each["identifier"][0]["value"] for each in of(cast, "113852")}
    assert keys == {"urn:oid:2.25.77", "urn:oid:2.25.79"}
    (summary,) = of(cast, "73569-6")
    assert len(summary["hasMember"]) == 2
    assert of(cast, "1-1") == [other]


async def test_an_event_of_two_reports_is_one_and_goes_with_the_last() -> None:
    cast = Cast()
    await cast.cast(STUDY, report(1, event("2.25.77")), report(2, event("2.25.77")))
    (found,) = of(cast, "113852")
    assert [each["value"] for each in found["identifier"][2:]] == [f"urn:oid:{STUDY}.9.1", f"urn:oid:{STUDY}.9.2"]
    assert len(of(cast, "73569-6")) == 2
    await cast.cast(STUDY, report(2, event("2.25.77")))
    (found,) = of(cast, "113852")
    assert [each["value"] for each in found["identifier"][2:]] == [f"urn:oid:{STUDY}.9.2"]
    assert len(of(cast, "73569-6")) == 1
    await cast.cast(STUDY, instance(STUDY))
    assert cast.fhir.all("Observation") == []


async def test_a_deleted_study_takes_its_observations_along() -> None:
    cast = Cast()
    await cast.cast(STUDY, report(1, event("2.25.77")))
    await cast.cast(STUDY)
    assert (cast.fhir.all("Observation"), cast.fhir.all("ImagingStudy")) == ([], [])


async def test_what_the_archived_dicomcast_wrote_is_adopted_when_there_is_no_doubt() -> None:
    older = {
        "resourceType": "Observation",
        "id": "old",
        "status": "preliminary",
        "code": {"coding": [{"system": "http://loinc.org", "code": "73569-6"}]},
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}],
    }
    for count, left in ((1, 1), (2, 3)):
        cast = Cast()
        cast.fhir.put({"resourceType": "ImagingStudy", "identifier": older["identifier"], "status": "available"})
        for each in range(count):
            cast.fhir.put({**older, "id": f"old{each}"})
        await cast.cast(STUDY, report(1))
        assert len(of(cast, "73569-6")) == left


async def test_observations_can_be_switched_off_and_stay_preliminary() -> None:
    cast = Cast(observations=False)
    await cast.cast(STUDY, report(1, event("2.25.77")))
    assert cast.fhir.all("Observation") == []
    cast = Cast(observation_status="preliminary")
    await cast.cast(STUDY, report(1))
    assert of(cast, "73569-6")[0]["status"] == "preliminary"


async def test_many_observations_follow_in_further_transactions() -> None:
    cast = Cast(most_entries=4)
    await cast.cast(STUDY, report(1, *(event(f"2.25.77.{number_}") for number_ in range(9))))
    assert [len(bundle["entry"]) for bundle in cast.fhir.bundles] == [4, 4, 4, 1]
    (summary,) = of(cast, "73569-6")
    assert len(summary["hasMember"]) == 9
    assert all(each["reference"].startswith("Observation/") for each in summary["hasMember"])
    (study,) = cast.fhir.all("ImagingStudy")
    assert {each["partOf"][0]["reference"] for each in cast.fhir.all("Observation")} == {f"ImagingStudy/{study['id']}"}


async def test_values_that_are_no_numbers_are_left_out() -> None:
    cast = Cast()
    await cast.cast(STUDY, report(1, total="-Infinity"))
    assert [each["code"]["coding"][0]["code"] for each in of(cast, "73569-6")[0]["component"]] == ["121058", "113812"]


async def test_radiopharmaceuticals_are_read_with_their_own_schemes() -> None:
    cast = Cast()
    content = [
        item(code("349358000", "Radiopharmaceutical agent", "SCT"), t0040A168=[code("35321007", "FDG", "SCT")]),
        item(code("C-10072", "Radionuclide", "SRT"), t0040A160="18F"),
        number(code("113507", "Administered activity"), "370", "MBq", "MBq"),
    ]
    found = report(1)
    found["0040A043"] = {"Value": [code("113500", "Radiopharmaceutical Radiation Dose Report")]}
    found["0040A730"] = {"Value": [item(code("113502", "Radiopharmaceutical Administration"), t0040A730=content)]}
    await cast.cast(STUDY, found)
    values = {each["code"]["coding"][0]["code"]: each for each in of(cast, "73569-6")[0]["component"]}
    assert values["113507"]["valueQuantity"]["value"] == 370
    assert values["349358000"]["valueCodeableConcept"]["coding"][0]["code"] == "35321007"
