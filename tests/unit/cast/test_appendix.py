"""The worked example of the specification: exactly this transaction."""

import re

from tests.builders.cast import BASE, Cast, instance

DCM = "http://dicom.nema.org/resources/ontology/DCM"
STUDY = "2.25.7000.2"
ACCESSION = {
    "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]},
    "system": "urn:oid:2.25.100.2",
    "value": "A-2",
}
SOP_CLASS = {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"}


async def test_a_new_study_of_a_known_patient_is_this_transaction() -> None:
    cast = Cast(resolves_orders=True)
    cast.fhir.put(
        {
            "resourceType": "Patient",
            "id": "pat-1",
            "identifier": [{"system": "urn:oid:2.25.100.1", "value": "COH-001"}],
            "name": [{"family": "Family1", "given": ["G"]}],
            "gender": "female",
        }
    )
    await cast.cast(STUDY, instance(STUDY, 1, 2), instance(STUDY, 1, 1))
    (bundle,) = cast.fhir.bundles
    endpoint, study = bundle["entry"]
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", endpoint["fullUrl"])
    assert endpoint["request"] == {
        "method": "POST",
        "url": "Endpoint",
        "ifNoneExist": "identifier=urn%3Aietf%3Arfc%3A3986%7Chttps%3A%2F%2Fimaging.example.org%2Fv2",
    }
    assert endpoint["resource"] == {
        "resourceType": "Endpoint",
        "status": "active",
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": BASE}],
        "connectionType": {
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
            "code": "dicom-wado-rs",
        },
        "name": f"DICOM WADO-RS endpoint {BASE}",
        "payloadType": [{"text": "DICOM WADO-RS"}],
        "payloadMimeType": ["application/dicom"],
        "address": BASE,
    }
    assert study["request"] == {
        "method": "POST",
        "url": "ImagingStudy",
        "ifNoneExist": "identifier=urn%3Adicom%3Auid%7Curn%3Aoid%3A2.25.7000.2",
    }
    assert study["resource"] == {
        "resourceType": "ImagingStudy",
        "meta": {"source": BASE},
        "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:2.25.7000.2"}, ACCESSION],
        "status": "available",
        "modality": [{"system": DCM, "code": "CT"}],
        "subject": {"reference": "Patient/pat-1"},
        "basedOn": [{"type": "ServiceRequest", "identifier": ACCESSION}],
        "started": "2025-08-20T10:00:00+02:00",
        "endpoint": [{"reference": endpoint["fullUrl"]}],
        "numberOfSeries": 1,
        "numberOfInstances": 2,
        "note": [{"text": "CT chest follow-up"}],
        "description": "CT chest follow-up",
        "series": [
            {
                "uid": "2.25.7000.2.1",
                "number": 1,
                "modality": {"system": DCM, "code": "CT"},
                "description": "Axial 5 mm",
                "numberOfInstances": 2,
                "instance": [
                    {"uid": "2.25.7000.2.1.1", "sopClass": SOP_CLASS, "number": 1},
                    {"uid": "2.25.7000.2.1.2", "sopClass": SOP_CLASS, "number": 2},
                ],
            }
        ],
    }
    searches = [target for method, target, _, _ in cast.fhir.sent if method == "POST" and target]
    assert searches == [
        "Endpoint/_search",
        "Endpoint/_search",
        "Patient/_search",
        "ImagingStudy/_search",
        "ServiceRequest/_search",
    ]
    assert cast.fhir.transactions == 1
    assert await cast.dirty() == {}


async def test_casting_again_writes_nothing() -> None:
    cast = Cast()
    await cast.cast(STUDY, instance(STUDY, 1, 2), instance(STUDY, 1, 1))
    versions = cast.fhir.versions()
    await cast.studies.mark(cast.key(STUDY), 99, replay=True)
    await cast.worker.study(cast.key(STUDY))
    assert cast.fhir.versions() == versions
    assert cast.fhir.transactions == 1
