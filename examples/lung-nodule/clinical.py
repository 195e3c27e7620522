"""What a hospital knows of the patients, as FHIR resources: it is there before the images come."""

from datetime import date

import requests

SYSTEM = "urn:oid:2.25.100.1"
"""Of the PatientIDs, here and in the settings of DICOMcast."""
NODULE = {"system": "http://snomed.info/sct", "code": "427359005", "display": "Solitary nodule of lung"}
SIZE = {"system": "http://loinc.org", "code": "21889-1", "display": "Size Tumor"}


def patient(identifier: str, name: str, born: str, sex: str) -> dict[str, str]:
    """A patient as DICOM has it."""
    return {"PatientID": identifier, "PatientName": name, "PatientBirthDate": born, "PatientSex": sex}


def register(fhir: str, who: dict[str, str], *, nodule: date | None) -> str:
    """Make the Patient, and the Condition of that day if there is one; the reference of the Patient."""
    family, given = who["PatientName"].split("^")
    born = who["PatientBirthDate"]
    resource = {
        "resourceType": "Patient",
        "identifier": [{"system": SYSTEM, "value": who["PatientID"]}],
        "name": [{"family": family, "given": [given]}],
        "birthDate": f"{born[:4]}-{born[4:6]}-{born[6:]}",
        "gender": {"M": "male", "F": "female"}[who["PatientSex"]],
    }
    reference = f"Patient/{_create(fhir, resource)}"
    if nodule:
        clinical = "http://terminology.hl7.org/CodeSystem/condition-clinical"
        verified = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
        condition = {
            "resourceType": "Condition",
            "clinicalStatus": {"coding": [{"system": clinical, "code": "active"}]},
            "verificationStatus": {"coding": [{"system": verified, "code": "confirmed"}]},
            "code": {"coding": [NODULE], "text": NODULE["display"]},
            "subject": {"reference": reference},
            "onsetDateTime": nodule.isoformat(),
            "recordedDate": nodule.isoformat(),
        }
        _create(fhir, condition)
    return reference


def pathology(fhir: str, reference: str, day: date, millimetres: float) -> None:
    """Make the Observation of what pathology measured in the end."""
    quantity = {"value": millimetres, "unit": "mm", "system": "http://unitsofmeasure.org", "code": "mm"}
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [SIZE]},
        "subject": {"reference": reference},
        "effectiveDateTime": day.isoformat(),
        "valueQuantity": quantity,
    }
    _create(fhir, observation)


def _create(fhir: str, resource: dict) -> str:
    headers = {"Content-Type": "application/fhir+json"}
    answer = requests.post(f"{fhir}/{resource['resourceType']}", json=resource, headers=headers, timeout=60)
    answer.raise_for_status()
    return answer.json()["id"]
