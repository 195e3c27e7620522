"""Observations from measurement reports (TID 1500): values, identity, device, replacement, deletion (AIX-4)."""

from typing import Any

import pytest

from tests.builders.cast import BASE, Cast, instance
from tests.unit.cast.test_dose import DCM, STUDY, UCUM, code, item, number, report

pytestmark = pytest.mark.spec("AIX-4")
VOLUME, DIAMETER = code("118565006", "Volume", "SCT"), code("81827009", "Diameter", "SCT")
SNOMED = "http://snomed.info/sct"
CONTENT = "0040A730"


def measured(name: dict[str, Any], value: Any, unit: str = "mm3") -> dict[str, Any]:
    return {**number(name, value, unit, unit), "0040A040": {"Value": ["NUM"]}}


def group(*children: dict[str, Any], tracking: str = "2.25.500") -> dict[str, Any]:
    tracked = [item(code("112040", "Tracking Unique Identifier"), t0040A124=tracking)] if tracking else []
    return item(code("125007", "Measurement Group"), t0040A730=[*tracked, *children])


def measurements(*groups: dict[str, Any], number_: int = 1, device: str = "2.25.900") -> dict[str, Any]:
    observer = [
        item(code("121012", "Device Observer UID"), t0040A124=device),
        item(code("121013", "Device Observer Name"), t0040A160="NoduleFinder"),
        item(code("121015", "Device Observer Model Name"), t0040A160="1.2"),
    ]
    content = [*(observer if device else []), item(code("126010", "Imaging Measurements"), t0040A730=list(groups))]
    found = instance(STUDY, 8, number_, t00080016="1.2.840.10008.5.1.4.1.1.88.33", t00080060="SR", t00080023="20250821")
    return {**found, "0040A043": {"Value": [code("126000", "Imaging Measurement Report")]}, CONTENT: {"Value": content}}


def values(cast: Cast) -> dict[str, Any]:
    return {each["code"]["coding"][0]["code"]: each["valueQuantity"]["value"] for each in cast.fhir.all("Observation")}


async def test_a_number_of_a_group_is_an_observation_of_a_device() -> None:
    cast = Cast()
    site = item(code("363698007", "Finding Site", "SCT"), t0040A168=[code("39607008", "Lung", "SCT")])
    version = item(code("111003", "Algorithm Version"), t0040A160="2.0")
    await cast.cast(STUDY, instance(STUDY), measurements(group(site, version, measured(VOLUME, "523.5"))))
    [found], [device] = cast.fhir.all("Observation"), cast.fhir.all("Device")
    study, patient = cast.fhir.all("ImagingStudy")[0], cast.fhir.all("Patient")[0]
    assert {**found, "id": "", "meta": {"source": found["meta"]["source"]}} == {
        "resourceType": "Observation",
        "id": "",
        "meta": {"source": BASE},
        "identifier": [
            {
                "type": {"coding": [{"system": DCM, "code": "112040"}]},
                "system": "urn:dicom:uid",
                "value": "urn:oid:2.25.500",
            },
            {
                "type": {"coding": [{"system": DCM, "code": "110180"}]},
                "system": "urn:dicom:uid",
                "value": f"urn:oid:{STUDY}",
            },
            {"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}.8.1"},
        ],
        "status": "preliminary",
        "category": found["category"],
        "code": {"coding": [{"system": SNOMED, "code": "118565006", "display": "Volume"}]},
        "effectiveDateTime": "2025-08-21",
        "bodySite": {"coding": [{"system": SNOMED, "code": "39607008", "display": "Lung"}]},
        "valueQuantity": {"value": 523.5, "unit": "mm3", "system": UCUM, "code": "mm3"},
        "subject": {"reference": f"Patient/{patient['id']}"},
        "partOf": [{"reference": f"ImagingStudy/{study['id']}"}],
        "derivedFrom": [{"reference": f"ImagingStudy/{study['id']}"}],
        "device": {"reference": f"Device/{device['id']}"},
    }
    assert device["identifier"] == [{"system": "urn:dicom:uid", "value": "urn:oid:2.25.900"}]
    assert device["deviceName"] == [{"name": "NoduleFinder", "type": "user-friendly-name"}]
    assert (device["modelNumber"], device["version"]) == ("1.2", [{"value": "2.0"}])


async def test_a_device_is_made_once() -> None:
    cast = Cast()
    await cast.cast(STUDY, measurements(group(measured(VOLUME, 1))))
    await cast.cast(
        STUDY,
        measurements(group(measured(VOLUME, 1))),
        measurements(group(measured(VOLUME, 2), tracking="2.25.501"), number_=2),
    )
    assert len(cast.fhir.all("Device")) == 1
    assert {each["device"]["reference"] for each in cast.fhir.all("Observation")} == {
        f"Device/{cast.fhir.all('Device')[0]['id']}"
    }


async def test_casting_it_again_writes_nothing() -> None:
    cast = Cast()
    await cast.cast(STUDY, measurements(group(measured(VOLUME, 1), measured(DIAMETER, 2, "mm"))))
    versions = cast.fhir.versions()
    await cast.studies.mark(cast.key(STUDY), 9, replay=True)
    await cast.worker.study(cast.key(STUDY))
    assert cast.fhir.versions() == versions
    assert values(cast) == {"118565006": 1, "81827009": 2}


async def test_a_replaced_report_is_reconciled() -> None:
    cast = Cast()
    await cast.cast(STUDY, measurements(group(measured(VOLUME, 1), measured(DIAMETER, 2, "mm"))))
    before = {each["code"]["coding"][0]["code"]: each["id"] for each in cast.fhir.all("Observation")}
    await cast.cast(STUDY, measurements(group(measured(VOLUME, 3))))
    [found] = cast.fhir.all("Observation")
    assert (found["id"], found["valueQuantity"]["value"]) == (before["118565006"], 3)


async def test_a_deleted_report_takes_its_observations_with_it_and_no_others() -> None:
    cast = Cast()
    dose = report()
    await cast.cast(STUDY, instance(STUDY), dose, measurements(group(measured(VOLUME, 1))))
    assert len(cast.fhir.all("Observation")) == 2
    await cast.cast(STUDY, instance(STUDY), dose)
    [left] = cast.fhir.all("Observation")
    assert left["code"]["coding"][0]["code"] == "73569-6"


async def test_what_is_not_tracked_has_its_place_for_an_identifier() -> None:
    cast = Cast()
    await cast.cast(STUDY, measurements(group(measured(VOLUME, 1), measured(VOLUME, 2), tracking="")))
    found = {each["identifier"][0]["value"]: each["valueQuantity"]["value"] for each in cast.fhir.all("Observation")}
    assert found == {f"urn:oid:{STUDY}.8.1#4.1.1": 1, f"urn:oid:{STUDY}.8.1#4.1.2": 2}
    versions = cast.fhir.versions()
    await cast.studies.mark(cast.key(STUDY), 9, replay=True)
    await cast.worker.study(cast.key(STUDY))
    assert cast.fhir.versions() == versions


async def test_a_second_number_of_the_same_concept_is_another_observation() -> None:
    cast = Cast()
    await cast.cast(STUDY, measurements(group(measured(VOLUME, 1), measured(VOLUME, 2))))
    assert sorted(each["valueQuantity"]["value"] for each in cast.fhir.all("Observation")) == [1, 2]


@pytest.mark.parametrize("value", ["a", "1e999", "nan", 10**400])
async def test_what_is_no_finite_number_is_no_value(value: Any) -> None:
    cast = Cast()
    await cast.cast(STUDY, measurements(group(measured(VOLUME, value), measured(DIAMETER, 2))))
    assert [each["valueQuantity"]["value"] for each in cast.fhir.all("Observation") if "valueQuantity" in each] == [2]


async def test_what_is_tracked_over_time_is_measured_in_each_study() -> None:
    cast = Cast()
    await cast.cast(STUDY, measurements(group(measured(VOLUME, 1))))
    later = {
        tag: {**each, "Value": [str(value).replace(STUDY, "2.25.2") for value in each["Value"]]}
        if tag in {"0020000D", "0020000E", "00080018"}
        else each
        for tag, each in measurements(group(measured(VOLUME, 2))).items()
    }
    await cast.cast("2.25.2", later)
    assert sorted(each["valueQuantity"]["value"] for each in cast.fhir.all("Observation")) == [1, 2]


@pytest.mark.parametrize(
    "child",
    [
        item(VOLUME),
        measured(VOLUME, "much"),
        measured(code("1", "Own", "99OWN"), 1),
        {**measured(VOLUME, 1), "0040A040": {"Value": ["TEXT"]}},
    ],
)
async def test_what_says_nothing_is_left_out(child: dict[str, Any]) -> None:
    cast = Cast()
    await cast.cast(STUDY, instance(STUDY), measurements(group(child), device=""))
    assert cast.fhir.all("Observation") == []
    assert cast.fhir.all("Device") == []
