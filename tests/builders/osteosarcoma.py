"""The data of cohorts §9: what an EHR has of seventeen patients, and their studies as ImagingStudy resources."""

from collections.abc import Iterator, Mapping
from typing import Any

SNOMED = "http://snomed.info/sct"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
MRN, ACCESSION = "urn:oid:2.25.100.1", "urn:oid:2.25.100.2"
BASE = "https://imaging.example.org/v2"
READ_BY_TELE_1 = {"resultsInterpreter": [{"reference": "Practitioner/tele-1"}]}
ACSN = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}

_PATIENTS: dict[int, tuple[str, str, dict[str, Any]]] = {
    1: ("1970-03-12", "female", {"onsetDateTime": "2025-02-10"}),
    2: ("1962-11", "male", {"recordedDate": "2024-09-01"}),
    3: ("1980-06-30", "male", {"onsetDateTime": "2024-06-30"}),
    4: ("1980-07-01", "female", {"onsetDateTime": "2025-05-05"}),
    5: ("1958-01-20", "female", {"onsetDateTime": "2021-04-01", "recordedDate": "2021-04-02"}),
    6: ("1965-09-09", "male", {"onsetDateTime": "2025-04-01", "code": "76909002"}),
    7: ("1955-05-05", "male", {"onsetDateTime": "2025-04-01", "verification": "refuted"}),
    8: ("1949-02-02", "female", {"onsetDateTime": "2025-11-11"}),
    9: ("1972-10-10", "female", {"onsetDateTime": "2026-03-03"}),
    10: ("1980", "male", {"onsetDateTime": "2025-10-10"}),
    11: ("1968-08-08", "male", {"onsetDateTime": "2025-04-01", "verification": "entered-in-error"}),
    12: ("1990-01-01", "female", {"onsetDateTime": "2025-04-01"}),
    13: ("1960-01-01", "male", {"onsetDateTime": "2015-01-01", "recordedDate": "2025-06-01"}),
    14: ("1960-02-01", "male", {"onsetAge": 65}),
    15: ("1961-01-01", "female", {}),
    16: ("1950-01-01", "female", {"onsetString": "last winter", "recordedDate": "2025-12-01"}),
    17: ("1955-01-01", "male", {"onsetAge": 30, "recordedDate": "2025-06-01"}),
}
STUDIES: dict[int, tuple[int, str, str]] = {
    1: (1, "CT", "2025-02-12T09:30:00+01:00"),
    2: (1, "CT", "2025-08-20T10:00:00+02:00"),
    3: (1, "MR", "2025-02-13T09:00:00+01:00"),
    4: (2, "CT", "2024-09-03"),
    5: (3, "CT", "2026-01-10T08:00:00+00:00"),
    6: (4, "CT", "2025-05-06"),
    7: (5, "CT", "2025-01-05"),
    8: (6, "CT", "2025-04-03"),
    9: (7, "CT", "2025-04-03"),
    10: (8, "MR", "2025-11-12"),
    11: (9, "CT", "2026-03-04"),
    12: (10, "CT", "2025-10-11"),
    13: (11, "CT", "2025-04-03"),
    14: (12, "CT", "2025-04-03"),
    15: (0, "CT", "2025-06-01"),
    16: (13, "CT", "2025-06-02"),
    17: (14, "CT", "2025-09-03"),
    18: (15, "CT", "2025-06-04"),
    19: (16, "CT", "2025-12-03"),
    20: (17, "CT", "2025-06-05"),
}
_REQUESTS: dict[int, tuple[int, str, str, str]] = {
    1: (1, "3639", "2025-03-01", "active"),
    2: (1, "2555", "2025-03-01", "completed"),
    3: (2, "mtx", "2024-09-20", "active"),
    4: (2, "5640", "2019-01-01", "stopped"),
    5: (3, "6851", "2026-02-01", "active"),
    6: (8, "3639", "2025-12-01", "active"),
}
_DRUGS = {"3639": "doxorubicin", "2555": "cisplatin", "6851": "methotrexate", "5640": "ibuprofen"}
_CONDITIONS = {"307576001": "Osteosarcoma of bone (disorder)", "76909002": "Sarcoma of another kind"}


def patient(number: int) -> dict[str, Any]:
    """An EHR's Patient."""
    birth, gender, _ = _PATIENTS[number]
    return {
        "resourceType": "Patient",
        "id": f"pat-{number}",
        "identifier": [{"system": MRN, "value": f"COH-{number:03}"}],
        "name": [{"use": "usual", "family": f"Family{number}", "given": ["G"]}],
        "birthDate": birth,
        "gender": gender,
    }


def condition(number: int) -> dict[str, Any]:
    """The Condition of a patient."""
    told = dict(_PATIENTS[number][2])
    code, verification = told.pop("code", "307576001"), told.pop("verification", "confirmed")
    if "onsetAge" in told:
        age = {"value": told["onsetAge"], "unit": "a", "system": "http://unitsofmeasure.org", "code": "a"}
        told["onsetAge"] = age
    ver = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
    clinical = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    found = {
        "resourceType": "Condition",
        "id": f"cond-{number}",
        "subject": {"reference": f"Patient/pat-{number}"},
        "code": {"coding": [{"system": SNOMED, "code": code, "display": _CONDITIONS[code]}]},
        "verificationStatus": {"coding": [{"system": ver, "code": verification}]},
        **told,
    }
    if verification != "entered-in-error":
        status = "inactive" if verification == "refuted" else "active"
        found["clinicalStatus"] = {"coding": [{"system": clinical, "code": status}]}
    return found


def request(number: int) -> dict[str, Any]:
    """A MedicationRequest."""
    of, drug, written, status = _REQUESTS[number]
    found: dict[str, Any] = {
        "resourceType": "MedicationRequest",
        "id": f"med-{number}",
        "subject": {"reference": f"Patient/pat-{of}"},
        "status": status,
        "intent": "order",
        "authoredOn": written,
    }
    if drug == "mtx":
        return {**found, "medicationReference": {"reference": "Medication/mtx"}}
    return {**found, "medicationCodeableConcept": _drug(drug)}


def _drug(code: str) -> dict[str, Any]:
    return {"coding": [{"system": RXNORM, "code": code, "display": _DRUGS[code]}]}


def study(number: int) -> dict[str, Any]:
    """The ImagingStudy that DICOMcast makes of a study."""
    of, modality, started = STUDIES[number]
    uid = f"2.25.7000.{number}"
    modalities = [modality, "SR"] if number == 1 else [modality]
    series = [_series(f"{uid}.{at}", each, 1 if each == "SR" else 2) for at, each in enumerate(modalities, 1)]
    based_on: dict[str, Any] = {"type": "ServiceRequest", "identifier": _accession(number)}
    if number == 4:
        based_on = {"reference": "ServiceRequest/sr-2"}
    return {
        "resourceType": "ImagingStudy",
        "id": f"img-{number}",
        "meta": {"source": BASE},
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}, _accession(number)],
        "status": "available",
        "modality": [{"system": DCM, "code": each} for each in modalities],
        "subject": {"reference": f"Patient/pat-{of or '99'}"},
        "basedOn": [based_on],
        "started": started,
        "endpoint": [{"reference": "Endpoint/dicom"}],
        "numberOfSeries": len(series),
        "numberOfInstances": sum(each["numberOfInstances"] for each in series),
        "description": f"{modality} chest follow-up" if number == 2 else f"{modality} chest",
        "series": series,
    }


def _series(uid: str, modality: str, count: int) -> dict[str, Any]:
    sop = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4", "SR": "1.2.840.10008.5.1.4.1.1.88.67"}
    instance_class = {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{sop[modality]}"}
    return {
        "uid": uid,
        "modality": {"system": DCM, "code": modality},
        "numberOfInstances": count,
        "instance": [{"uid": f"{uid}.{at}", "sopClass": instance_class, "number": at} for at in range(1, count + 1)],
    }


def _accession(number: int) -> dict[str, Any]:
    return {"type": ACSN, "system": ACCESSION, "value": f"A-{number}"}


def report(number: int, ids: Mapping[int, str] | None = None) -> dict[str, Any]:
    """A DiagnosticReport of cohorts §9.3; `ids`: of ImagingStudies, by study, where a server has chosen them."""
    chosen = ids or {1: "img-1", 3: "img-3"}
    of, day, code, link = {
        1: (
            1,
            "2025-02-12",
            "24627-2",
            READ_BY_TELE_1 | {"imagingStudy": [{"reference": f"ImagingStudy/{chosen[1]}"}]},
        ),
        2: (1, "2025-08-20", "24627-2", {"identifier": [_accession(2)]}),
        3: (1, "2025-02-13", "24725-4", {"imagingStudy": [{"reference": f"ImagingStudy/{chosen[3]}"}]}),
        4: (2, "2024-09-03", "24627-2", {"basedOn": [{"reference": "ServiceRequest/sr-2"}]}),
    }[number]
    category = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD"}]}
    return {
        "resourceType": "DiagnosticReport",
        "id": f"rep-{number}",
        "status": "final",
        "category": [category],
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/pat-{of}"},
        "effectiveDateTime": day,
        "conclusion": "Text of the report.",
        **link,
    }


def clinical() -> Iterator[dict[str, Any]]:
    """What an EHR has before there are images (cohorts §9.1)."""
    for number in _PATIENTS:
        yield patient(number)
        yield condition(number)
    yield {"resourceType": "Practitioner", "id": "tele-1", "name": [{"family": "Reader"}]}
    yield {"resourceType": "Medication", "id": "mtx", "code": _drug("6851")}
    yield from map(request, _REQUESTS)
    yield {
        "resourceType": "ServiceRequest",
        "id": "sr-2",
        "status": "completed",
        "intent": "order",
        "identifier": [_accession(4)],
        "code": {"text": "CT chest"},
        "subject": {"reference": "Patient/pat-2"},
    }


def resources() -> Iterator[dict[str, Any]]:
    """Everything of the chapter."""
    yield from clinical()
    yield {"resourceType": "Patient", "id": "pat-99", "identifier": [{"system": MRN, "value": "COH-099"}]}
    kind = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
    yield {
        "resourceType": "Endpoint",
        "id": "dicom",
        "status": "active",
        "connectionType": {"system": kind, "code": "dicom-wado-rs"},
        "payloadType": [{"text": "DICOM WADO-RS"}],
        "address": BASE,
    }
    yield from map(study, STUDIES)
    yield from map(report, range(1, 5))


# ----------------------------------------------------------------------------------------- feedback (cohorts §9.4 (14))

STENT_PLANNER = {
    "model": {"deviceName": "StentPlanner"},
    "prediction": {"code": {"text": "recommended stent diameter"}, "value": "Quantity"},
    "outcome": {"resource": "Observation", "code": {"text": "implanted stent diameter"}, "within": "P90D"},
    "compare": {"kind": "numeric", "tolerance": 0.25, "unit": "mm"},
}
"""An entry of `Feedback:Models`."""


def outcomes_of_rep_1() -> Iterator[dict[str, Any]]:
    """What is found out about patient 1 three weeks after report 1."""
    subject = {"reference": "Patient/pat-1"}
    yield {
        "resourceType": "Procedure",
        "id": "biopsy-1",
        "status": "completed",
        "code": {"text": "biopsy"},
        "subject": subject,
        "performedDateTime": "2025-03-05",
        "reasonReference": [{"reference": "DiagnosticReport/rep-1"}],
    }
    category = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "SP"}]}
    yield {
        "resourceType": "DiagnosticReport",
        "id": "path-1",
        "status": "final",
        "category": [category],
        "code": {"coding": [{"system": "http://loinc.org", "code": "11529-5"}]},
        "subject": subject,
        "effectiveDateTime": "2025-03-05",
        "conclusion": "High-grade osteosarcoma.",
    }


def stent_observations() -> Iterator[dict[str, Any]]:
    """A prediction of 3.0 mm for patient 9, and what was implanted."""
    yield {
        "resourceType": "Device",
        "id": "stent-planner",
        "deviceName": [{"name": "StentPlanner", "type": "model-name"}],
        "version": [{"value": "1.0"}],
    }
    study = [{"reference": "ImagingStudy/img-11"}]
    yield {
        **stent("stent-predicted", "recommended stent diameter", 3.0, "2026-03-05", "preliminary"),
        "device": {"reference": "Device/stent-planner"},
        "partOf": study,
        "derivedFrom": study,
    }
    yield stent("stent-implanted", "implanted stent diameter", 3.5, "2026-03-20", "final")


def stent(known: str, text: str, value: float, day: str, status: str) -> dict[str, Any]:
    """An Observation of a diameter."""
    return {
        "resourceType": "Observation",
        "id": known,
        "status": status,
        "code": {"text": text},
        "subject": {"reference": "Patient/pat-9"},
        "effectiveDateTime": day,
        "valueQuantity": {"value": value, "unit": "mm", "system": "http://unitsofmeasure.org", "code": "mm"},
    }
