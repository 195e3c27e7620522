"""cohorts §9: images and clinical data together, with exactly the results that the chapter expects."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession
from pydicom import dcmread

from dicom_cli.main import main
from tests.builders import osteosarcoma, osteosarcoma_files
from tests.builders.cohorts import SEED
from tests.builders.datasets import part10
from tests.builders.osteosarcoma_files import STUDIES, UNKNOWN, study_uid
from tests.integration.cast.casting import BASE, Caster, Fhir, settings

STENTS = {
    "model": {"deviceName": "StentPlanner"},
    "prediction": {"code": {"text": "recommended stent diameter"}, "value": "Quantity"},
    "outcome": {"resource": "Observation", "code": {"text": "implanted stent diameter"}, "within": "P90D"},
    "compare": {"kind": "numeric", "tolerance": 0.25, "unit": "mm"},
}
"""cohorts §8.10."""


def all_files() -> list[bytes]:
    """In no order."""
    found = [each for number in STUDIES for each in osteosarcoma_files.files(number)]
    random.Random(7).shuffle(found)
    return found


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with ClientSession() as opened:
        yield opened


async def test_the_images_become_exactly_these_resources_and_the_cohort_is_exactly_this(
    fresh_service, fhir_server, session, tmp_path, monkeypatch
) -> None:
    """Points 1 to 8, 10, 14, 15 and 17 (a) and (d), in the order of a day; point 8 by a client."""
    monkeypatch.setenv("DICOM_CONFIG", str(tmp_path / "config.toml"))
    async with Fhir(fhir_server.url) as fhir:
        await fhir.load(osteosarcoma.clinical())
        ehr = await fhir.versions()
        more = {"Feedback__Models": orjson.dumps([STENTS]).decode()}
        caster = Caster(await fresh_service(settings(fhir_server.url, **more)), session)
        await caster.store(all_files())
        await caster.settled()
        studies = await _resources_are_right(fhir, ehr)
        await _observations_are_right(fhir, studies[1]["id"])
        assert await caster.differences() == []

        # points 3 and 4: everything once more, and every study twice in another order
        before = await fhir.versions()
        await caster.store(all_files(), "PUT")
        await caster.settled()
        for number in random.Random(3).sample(list(STUDIES) * 2, 2 * len(STUDIES)):
            await caster.ask(f"cast/studies/{study_uid(number)}/replay", "POST", expected=202)
        await caster.settled()
        assert await fhir.versions() == before

        # points 5 to 7
        await fhir.load(osteosarcoma.report(number, {n: s["id"] for n, s in studies.items()}) for number in range(1, 5))
        cohort = await _cohort(caster)
        assert cohort["patients"] == {1, 2, 3, 9, 14}
        assert cohort["studies"] == {study_uid(number) for number in (1, 2, 4, 5, 11, 17)}
        assert cohort["reports"] == {("rep-1", "imagingStudy"), ("rep-2", "accession"), ("rep-4", "basedOn")}
        assert cohort["medications"] == {f"med-{number}" for number in range(1, 6)}
        assert cohort["indeterminate"] == {10, 15, 16}
        later = await _cohort(caster, asOf="2026-07-01")
        assert (later["patients"], later["indeterminate"]) == ({1, 2, 4, 9, 14}, {10, 15, 16})
        without = await _cohort(caster, imaging={**SEED["imaging"], "required": False})
        assert without["patients"] == {1, 2, 3, 8, 9, 14}
        assert "med-6" in without["medications"]

        # point 17 (a) and (d)
        only = {name: SEED[name] for name in ("version", "asOf")}
        drug = {"medications": [{"code": {"codes": [{"system": osteosarcoma.RXNORM, "code": "6851"}]}}]}
        assert (await _cohort(caster, {**only, **drug, "collect": {}}))["patients"] == {2, 3}
        since = {"medications": [{**drug["medications"][0], "when": {"since": "2025-01-01"}}]}
        assert (await _cohort(caster, {**only, **since, "collect": {}}))["patients"] == {3}
        imaging = {"modality": ["MR"], "not": {"modality": ["CT"]}}
        unseen = await _cohort(caster, imaging=imaging)
        assert (unseen["patients"], unseen["indeterminate"]) == ({8}, set())

        await _files_are_right(caster, cohort["id"], tmp_path)
        await _feedback_is_right(fhir, caster, {number: each["id"] for number, each in studies.items()})

        # point 10
        await caster.delete(f"{study_uid(2)}/series/{study_uid(2)}.1/instances/{study_uid(2)}.1.2")
        await caster.delete(study_uid(5))
        await caster.settled()
        studies = await fhir.studies()
        assert 5 not in studies
        assert studies[2]["numberOfInstances"] == 1
        assert (await _cohort(caster))["patients"] == {1, 2, 9, 14}
        assert await caster.differences() == []
    assert "COH-" not in caster.service.kept_log_text
    assert "Family1" not in caster.service.kept_log_text


@pytest.mark.spec("CAST-EV-6", "CAST-EV-10")
async def test_without_any_event_the_sweep_leads_to_the_same_resources(fresh_service, fhir_server, session) -> None:
    """Point 4, "no events but the sweep": no message asks for one before the test has ended, so the timer sweeps."""
    async with Fhir(fhir_server.url) as fhir:
        await fhir.load(osteosarcoma.clinical())
        ehr = await fhir.versions()
        caster = Caster(await fresh_service(settings(fhir_server.url, DicomCast__SettleSeconds="600")), session)
        await caster.store(all_files())
        await caster.seen(await caster.newest(), timer=True)
        studies = await _resources_are_right(fhir, ehr)
        await _observations_are_right(fhir, studies[1]["id"])
        await caster.delete(study_uid(5))
        await caster.seen(await caster.newest(), timer=True)
        assert sorted(await fhir.studies()) == [number for number in STUDIES if number != 5]
        assert await caster.differences() == []


async def _resources_are_right(fhir: Fhir, ehr: dict[str, str]) -> dict[int, dict[str, Any]]:
    """Points 1 and 2: what the EHR had is unchanged, and every study is as the chapter has it; the studies."""
    studies = await fhir.studies()
    assert sorted(studies) == list(STUDIES)
    patients = {each["id"] for each in await fhir.all("Patient")}
    (created,) = patients - {f"pat-{number}" for number in range(1, 18)}
    assert len(patients) == 18
    versions = await fhir.versions()
    assert {name: versions[name] for name in ehr} == ehr
    (endpoint,) = await fhir.all("Endpoint")
    for number, study in studies.items():
        wanted = osteosarcoma.study(number)
        patient = created if number == UNKNOWN else f"pat-{osteosarcoma.STUDIES[number][0]}"
        assert study["subject"] == {"reference": f"Patient/{patient}"}
        assert study["endpoint"] == [{"reference": f"Endpoint/{endpoint['id']}"}]
        for element in (
            "identifier",
            "status",
            "modality",
            "started",
            "numberOfSeries",
            "numberOfInstances",
            "description",
        ):
            assert study[element] == wanted[element]
        assert [each["text"] for each in study["note"]] == [wanted["description"]]
        if number == 1:
            wanted["series"][1]["instance"][0]["title"] = "X-Ray Radiation Dose Report"
        assert [each["instance"] for each in study["series"]] == [each["instance"] for each in wanted["series"]]
        (order,) = study["basedOn"]
        if number == 4:
            assert order["reference"] == "ServiceRequest/sr-2"
        else:
            assert order["identifier"]["value"] == f"A-{number}"
    assert (studies[1]["started"], studies[4]["started"]) == ("2025-02-12T09:30:00+01:00", "2024-09-03")
    return studies


async def _observations_are_right(fhir: Fhir, study: str) -> None:
    """Those of the dose SR, and no others."""
    observations = {each["code"]["coding"][0]["code"]: each for each in await fhir.all("Observation")}
    assert sorted(observations) == ["113852", "73569-6"]
    summary, event = observations["73569-6"], observations["113852"]
    assert _components(summary) == {"121058": "77477000", "113812": 1, "113813": (250.5, "mGy.cm")}
    assert summary["effectiveDateTime"] == "2025-02-12T09:30:05+01:00"
    assert _components(event) == {"113830": (7.5, "mGy"), "113835": "113691", "113838": (250.5, "mGy.cm")}
    assert event["bodySite"]["coding"][0]["code"] == "51185008"
    assert "effectiveDateTime" not in event
    for each in (summary, event):
        assert each["status"] == "final"
        assert each["subject"] == {"reference": "Patient/pat-1"}
        assert each["partOf"] == [{"reference": f"ImagingStudy/{study}"}]


def _components(observation) -> dict[str, object]:
    def value(component) -> object:
        if "valueInteger" in component:
            return component["valueInteger"]
        if "valueQuantity" in component:
            return component["valueQuantity"]["value"], component["valueQuantity"]["code"]
        return component["valueCodeableConcept"]["coding"][0]["code"]

    return {each["code"]["coding"][0]["code"]: value(each) for each in observation["component"]}


async def _feedback_is_right(fhir: Fhir, caster: Caster, studies: dict[int, str]) -> None:
    """Point 14: two pairs for the reader, told once; a prediction that was not right."""
    await fhir.load(osteosarcoma.outcomes_of_rep_1())
    (case,) = (await caster.ask("feedback/reader?practitioner=tele-1"))["cases"]
    assert case["report"] == "DiagnosticReport/rep-1"
    assert [(each["outcome"], each["strength"], each["date"]) for each in case["outcomes"]] == [
        ("Procedure/biopsy-1", "explicit", "2025-03-05"),
        ("DiagnosticReport/path-1", "time", "2025-03-05"),
    ]
    reader = {"practitioner": "tele-1"}
    assert await caster.ask("feedback/reader/deliver", "POST", reader) == {"delivered": 2, "existing": 0}
    assert await caster.ask("feedback/reader/deliver", "POST", reader) == {"delivered": 0, "existing": 2}
    stents = orjson.dumps(list(osteosarcoma.stent_observations())).replace(b"img-11", studies[11].encode())
    await fhir.load(orjson.loads(stents))
    url = f"{caster.service.url}/v2/feedback/model?device=StentPlanner"
    async with caster.session.get(url) as response:
        assert response.status == 200, await response.text()
        line, summary = [orjson.loads(each) for each in (await response.text()).splitlines()]
    told = {name: line[name] for name in ("studyUid", "prediction", "outcome", "outcomeSource", "delta", "agree")}
    assert told == {
        "studyUid": study_uid(11),
        "prediction": 3.0,
        "outcome": 3.5,
        "outcomeSource": "Observation/stent-implanted",
        "delta": 0.5,
        "agree": False,
    }
    assert (summary["summary"]["count"], summary["summary"]["meanAbsoluteError"]) == (1, 0.5)


async def _files_are_right(caster: Caster, cohort: str, folder: Path) -> None:
    """Point 8, with identities: the instances of the six studies, as they were stored."""
    manifest = orjson.dumps(await caster.ask(f"cohorts/{cohort}/manifest"))
    given, out = folder / "manifest.json", folder / "out"
    given.write_bytes(manifest.replace(BASE.encode(), f"{caster.service.url}/v2".encode()))
    words = ("cohort", "export", str(given), "--to", str(out), "--identified", "--files", "--url", caster.service.url)
    assert await asyncio.to_thread(main, words) == 0
    wanted = {each for number in (1, 2, 4, 5, 11, 17) for each in osteosarcoma_files.files(number)}
    assert {path.read_bytes() for path in out.rglob("*.dcm")} == wanted
    patients = orjson.loads((out / "manifest.json").read_bytes())["patients"]
    listed = [file for each in patients for study in each["studies"] for file in study["files"]]
    assert len(listed) == len(wanted) == 13
    for each in listed:
        assert dcmread(out / each["url"]).SOPInstanceUID == each["sopInstanceUid"]


async def _cohort(caster: Caster, definition: dict[str, Any] | None = None, **changed) -> dict[str, Any]:
    started = await caster.ask("cohorts", "POST", definition or {**SEED, **changed}, expected=202)
    await caster.operation(started["id"])
    manifest = await caster.ask(f"cohorts/{started['id']}/manifest")
    members = manifest["patients"]
    studies = [study for each in members for study in each.get("studies", ())]
    return {
        "id": started["id"],
        "patients": {_number(each["id"]) for each in members},
        "studies": {study["uid"] for study in studies},
        "reports": {(_id(report), report["link"]) for study in studies for report in study.get("reports", ())},
        "medications": {_id(medication) for each in members for medication in each.get("medications", ())},
        "indeterminate": {_number(each["id"]) for each in manifest["indeterminate"]},
    }


def _id(named) -> str:
    return named["id"].partition("/")[2]


def _number(reference: str) -> int:
    return int(reference.rpartition("pat-")[2])


@pytest.mark.spec("CAST-PM-1", "CAST-PM-2", "CAST-PM-3")
async def test_where_patients_are_only_matched_people_choose_once(fresh_service, fhir_server, session) -> None:
    """Point 16, and the modalities of acquisition alone of point 1."""
    more = {"DicomCast__PatientMode": "matchOnly", "DicomCast__ModalityPolicy": "acquisition"}
    async with Fhir(fhir_server.url) as fhir:
        await fhir.load(osteosarcoma.clinical())
        caster = Caster(await fresh_service(settings(fhir_server.url, **more)), session)
        await caster.store(each for number in (1, UNKNOWN) for each in osteosarcoma_files.files(number))
        status = await caster.settled()
        assert status["studiesParked"] == 1
        studies = await fhir.studies()
        assert [each["code"] for each in studies[1]["modality"]] == ["CT"]
        (waiting,) = await caster.ask("cast/unmatched")
        assert (waiting["studyUid"], waiting["patientId"]) == (study_uid(UNKNOWN), "COH-099")
        await caster.ask(f"cast/studies/{study_uid(UNKNOWN)}/patient", "POST", {"create": True}, expected=202)
        await caster.settled()
        assert sorted(await fhir.studies()) == [1, UNKNOWN]
        another = osteosarcoma_files.image(UNKNOWN, 1)
        another.StudyInstanceUID, another.SOPInstanceUID = study_uid(99), f"{study_uid(99)}.1.1"
        another.SeriesInstanceUID, another.AccessionNumber = f"{study_uid(99)}.1", "ACC-NINETY-NINE"
        await caster.store([part10(another)])
        assert (await caster.settled())["studiesParked"] == 0
        studies = await fhir.studies()
        assert studies[99]["subject"] == studies[UNKNOWN]["subject"]


@pytest.mark.spec("MRG-7")
@pytest.mark.parametrize("policy", ["fillMissing", "nameAndGender"])
async def test_updates_and_merges_relink_the_study(policy, fresh_service, fhir_server, session) -> None:
    """Point 11; and a patient merge, and a study that is moved."""
    async with Fhir(fhir_server.url) as fhir:
        await fhir.load(osteosarcoma.clinical())
        caster = Caster(await fresh_service(settings(fhir_server.url, DicomCast__PatientUpdate=policy)), session)
        await caster.store(each for number in (2, 11, 12) for each in osteosarcoma_files.files(number))
        await caster.settled()
        before = await fhir.versions()

        async def changed(path: str, body: Any) -> dict[int, str]:
            """The subjects, by study, after an operation."""
            started = await caster.ask(path, "POST", body, expected=202)
            await caster.operation(started["id"])
            await caster.settled()
            return {number: each["subject"]["reference"] for number, each in (await fhir.studies()).items()}

        def update(tag: str, vr: str, value: Any) -> dict[str, Any]:
            return {"studyInstanceUids": [study_uid(11)], "changeDataset": {tag: {"vr": vr, "Value": [value]}}}

        await changed("studies/$bulkUpdate", update("00100010", "PN", {"Alphabetic": "Other^Name"}))
        after = await fhir.versions()
        (name,) = next(each for each in await fhir.all("Patient") if each["id"] == "pat-9")["name"]
        notes = [each["exception"] for each in await caster.ask("cast/errors?class=note")]
        if policy == "nameAndGender":
            assert name == {"use": "usual", "family": "Other", "given": ["Name"]}
            assert {key for key in after if after[key] != before[key]} == {"Patient/pat-9"}
        else:
            assert name["family"] == "Family9"
            assert after == before
            assert ["name-differs" in each for each in notes] == [True]

        subjects = await changed("studies/$bulkUpdate", update("00100020", "LO", "COH-001"))
        assert subjects == {2: "Patient/pat-1", 11: "Patient/pat-1", 12: "Patient/pat-10"}
        merge = {"source": {"patientId": "COH-001"}, "target": {"patientId": "COH-010"}, "reason": "Registered twice"}
        assert set((await changed("patients/$merge", merge)).values()) == {"Patient/pat-10"}
        moved = {"patientId": "COH-003", "attributes": {"PatientName": {"vr": "PN", "Value": [{"Alphabetic": "F^G"}]}}}
        body = {"studyInstanceUid": study_uid(2), "patient": moved, "reason": "Wrong patient chosen"}
        assert await changed("studies/$move", body) == {2: "Patient/pat-3", 11: "Patient/pat-10", 12: "Patient/pat-10"}
        assert not any("link" in each for each in await fhir.all("Patient"))
        assert await caster.differences() == []
