"""dicomcast §4.3 The Endpoint of the DICOMweb service. Pure."""

from typing import Any

from shared.cast.mapping.codes import URI
from shared.dicom.media_types import DICOM
from shared.fhir.resources import Resource, identifiers

CONNECTION_TYPE = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
_WADO_RS = "dicom-wado-rs"


def address_of(base: str, partition: str) -> str:
    """The address of the Endpoint; `partition` is empty where data partitions are no matter."""
    return f"{base}/partitions/{partition}" if partition else base


def endpoint_name(address: str) -> str:
    """The name of an Endpoint, which is what the archived DICOMcast finds it by."""
    return f"DICOM WADO-RS endpoint {address}"


def new_endpoint(address: str) -> dict[str, Any]:
    """The Endpoint that is created."""
    return {
        "resourceType": "Endpoint",
        "identifier": [{"system": URI, "value": address}],
        "status": "active",
        "connectionType": {"system": CONNECTION_TYPE, "code": _WADO_RS},
        "name": endpoint_name(address),
        "payloadType": [{"text": "DICOM WADO-RS"}],
        "payloadMimeType": [DICOM],
        "address": address,
    }


def adopted_endpoint(existing: Resource, address: str) -> dict[str, Any]:
    """An Endpoint that was found by its name, with the identifier that finds it from now on."""
    held = list(existing.get("identifier", []))
    if (URI, address) not in set(identifiers(existing)):
        held.append({"system": URI, "value": address})
    return {**existing, "identifier": held}
