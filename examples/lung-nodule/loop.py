"""This example has no clinical worth: it shows how a model gets its data and its work, and how its results are judged.

One run: a cohort by a sentence, its de-identified export, a model that learns from that, a worklist rule, a performer,
SEG and SR, Observations in FHIR, and predictions beside what pathology has measured.
"""

import io
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import requests
from azure.storage.blob import ContainerClient
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset, dcmread

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "performer")]
import clinical
import model
import performing
import phantoms
from local_service import LocalService, local_service
from performer import perform

QUESTION = "CT scans of patients over 50 with solitary nodule of lung"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Of every storage emulator: it is published."""
_RULE = json.loads((Path(__file__).parents[1] / "performer/rule.json").read_text())
_TODAY = datetime.now(UTC).date()
_PAST = [
    (clinical.patient("P-1", "Alder^Ann", "19520311", "F"), [(12.0, (20, 60, 36))]),
    (clinical.patient("P-2", "Birch^Bob", "19480722", "M"), [(9.0, (15, 66, 92)), (16.0, (24, 70, 30))]),
    (clinical.patient("P-3", "Cedar^Cleo", "19600105", "F"), [(8.0, (22, 56, 40))]),
    (clinical.patient("P-4", "Dogwood^Dan", "19990505", "M"), [(10.0, (18, 62, 90))]),  # too young for the question
    (clinical.patient("P-5", "Elm^Eve", "19550615", "F"), []),  # without a nodule
]
_NEW = clinical.patient("P-6", "Fir^Finn", "19570930", "M"), [(14.0, (21, 66, 34))]
_SETTINGS = {
    "Patient__PatientSystemId": clinical.SYSTEM,
    "DicomCast__SettleSeconds": "1",
    "Feedback__Models": [
        {
            "model": {"deviceName": performing.DEVICE},
            "prediction": {
                "code": {"codes": [{"system": "http://snomed.info/sct", "code": "81827009"}]},
                "value": "Quantity",
            },
            "outcome": {
                "resource": "Observation",
                "code": {"codes": [{"system": clinical.SIZE["system"], "code": clinical.SIZE["code"]}]},
                "within": "P90D",
            },
            "compare": {"kind": "numeric", "tolerance": 2, "unit": "mm"},
        }
    ],
}


def main() -> None:
    """The whole loop."""
    print("This example has no clinical worth. Patients and images are made up.", flush=True)
    with local_service(_SETTINGS) as service:
        client = DICOMwebClient(service.url)
        history(service, client)
        level = learn(export(service, cohort(service)))
        study = detect(service, client, level)
        judge(service, study)


def say(step: str, text: str) -> None:
    """One line of the run."""
    print(f"{step:>12}  {text}", flush=True)


def history(service: LocalService, client: DICOMwebClient) -> None:
    """What the hospital has: patients and diagnoses, and CTs, which DICOMcast brings into FHIR."""
    for number, (who, nodules) in enumerate(_PAST):
        clinical.register(service.fhir, who, nodule=_TODAY - timedelta(days=90) if nodules else None)
        day = f"{_TODAY - timedelta(days=100):%Y%m%d}"
        client.store_instances(phantoms.study(who, day, phantoms.volume(nodules, number)))
    service.wait_for("the studies in FHIR", lambda: len(resources(service, "ImagingStudy")) == len(_PAST))
    say("history", f"{len(_PAST)} patients, each with a CT")


def cohort(service: LocalService) -> list[str]:
    """The studies of the cohort that the question means."""
    asked = {"text": QUESTION, "asOf": _TODAY.isoformat()}
    translated = post(f"{service.url}/cohorts/translate", asked)
    started = post(f"{service.url}/cohorts", translated["definition"])
    ended(service, started["href"], "the cohort")
    manifest = get(f"{service.url}/cohorts/{started['id']}/manifest")
    studies = [study["uid"] for each in manifest["patients"] for study in each["studies"]]
    say("cohort", f"“{QUESTION}”: {len(manifest['patients'])} patients, {len(studies)} studies")
    return studies


def export(service: LocalService, studies: list[str]) -> list[Dataset]:
    """The files of studies, de-identified."""
    container = ContainerClient(service.emulator, "export", credential=_KEY)
    container.create_container()
    address = f"AccountName=devstoreaccount1;BlobEndpoint={service.emulator}"
    body = {
        "source": {"type": "identifiers", "settings": {"values": studies}},
        "deidentify": {"profile": "basic", "options": ["retainLongitudinalModified"]},
        "destination": {
            "type": "azureBlob",
            "settings": {"connectionString": address, "blobContainerName": "export"},
        },
    }
    results = ended(service, post(f"{service.url}/export", body)["href"], "the export")["results"]
    names = [each.name for each in container.list_blobs() if each.name.endswith(".dcm")]
    files = [dcmread(io.BytesIO(container.download_blob(name).readall())) for name in names]
    named = {str(each.PatientName) for each in files} & {who["PatientName"] for who, _ in _PAST}
    say("export", f"{results['exported']} files, de-identified: {'; '.join(sorted(named)) or 'nobody is named'}")
    return files


def learn(files: list[Dataset]) -> float:
    """The level that the model learns from exported files."""
    series: dict[str, list[Dataset]] = {}
    for each in files:
        series.setdefault(each.SeriesInstanceUID, []).append(each)
    volumes = []
    for images in series.values():
        images.sort(key=lambda each: each.ImagePositionPatient[2])
        volumes.append(np.stack([each.pixel_array + float(each.RescaleIntercept) for each in images]))
    level = model.learn(volumes)
    say("model", f"learnt from {len(volumes)} CTs: tissue begins at {level:.0f} HU")
    return level


def detect(service: LocalService, client: DICOMwebClient, level: float) -> str:
    """A new CT becomes a workitem by a rule, and the performer finds nodules in it; the study."""
    post(f"{service.url}/worklist-rules", {**_RULE, "quietSeconds": 0})
    who, nodules = _NEW
    clinical.register(service.fhir, who, nodule=None)
    images = phantoms.study(who, f"{_TODAY:%Y%m%d}", phantoms.volume(nodules, len(_PAST)))
    client.store_instances(images)
    work = performing.worker(level)
    [workitem] = service.wait_for("the workitem", lambda: list(perform(service.url, work)))
    study = str(images[0].StudyInstanceUID)
    modalities = {each["00080060"]["Value"][0] for each in client.search_for_series(study)}
    say("performer", f"workitem {workitem[:18]}… is completed; the study has {', '.join(sorted(modalities))}")
    return study


def judge(service: LocalService, study: str) -> None:
    """The measurements in FHIR, and beside them what pathology measured."""

    def measured() -> list[dict[str, Any]]:
        found = [each for each in resources(service, "Observation") if "device" in each]
        return [each for each in found if f"urn:oid:{study}" in {key["value"] for key in each["identifier"]}]

    for each in service.wait_for("the Observations", measured):
        quantity, code = each["valueQuantity"], each["code"]["coding"][0]
        say("FHIR", f"Observation {code['display']}: {quantity['value']} {quantity['code']}, {each['status']}")
    [(diameter, _)] = _NEW[1]
    clinical.pathology(service.fhir, measured()[0]["subject"]["reference"], _TODAY + timedelta(days=1), diameter)
    asked = {"device": performing.DEVICE, "since": (_TODAY - timedelta(days=7)).isoformat()}
    answer = requests.get(f"{service.url}/feedback/model", params=asked, timeout=60)
    answer.raise_for_status()
    lines = [json.loads(line) for line in answer.text.splitlines()]
    for each in lines:
        if "summary" not in each:
            told = f"predicted {each['prediction']} mm, pathology {each['outcome']} mm, agree: {each.get('agree')}"
            say("feedback", told)
    say("feedback", f"{json.dumps(lines[-1]['summary'])}")


def resources(service: LocalService, kind: str) -> list[dict[str, Any]]:
    """All resources of a type in the FHIR server."""
    bundle = requests.get(f"{service.fhir}/{kind}", params={"_count": "200"}, timeout=60).json()
    return [each["resource"] for each in bundle.get("entry", [])]


def ended(service: LocalService, operation: str, what: str) -> dict[str, Any]:
    """An operation that has succeeded."""

    def look() -> dict[str, Any] | None:
        answer = requests.get(operation, timeout=60)
        return answer.json() if answer.status_code == 200 else None

    found: dict[str, Any] = service.wait_for(what, look)
    if found["status"] != "succeeded":
        sys.exit(f"{what} has failed: {found}")
    return found


def get(url: str) -> Any:
    """What a resource answers."""
    answer = requests.get(url, timeout=60)
    answer.raise_for_status()
    return answer.json()


def post(url: str, document: dict[str, Any]) -> Any:
    """What a request with that body answers."""
    answer = requests.post(url, json=document, timeout=60)
    if not answer.ok:
        sys.exit(f"{url}: {answer.status_code} {answer.text}")
    return answer.json()


if __name__ == "__main__":
    main()
