"""The variants of the deployment: what docs/operate/deploy.md tells people to set, as an azd environment each."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scripts.bicep.rendering import Deployment, from_azd, render
from scripts.bicep.syntax import parse

_ALWAYS: Final = {"AZURE_ENV_NAME": "trial", "AZURE_LOCATION": "westeurope", "AZURE_PRINCIPAL_ID": "deployer"}
_CLIENT: Final = {"DICOM_AUTH_CLIENT_ID": "11111111-2222-3333-4444-555555555555"}

VARIANTS: Final[Mapping[str, Mapping[str, str]]] = {
    "existing application": _CLIENT,
    "new application": {"DICOM_CREATE_ENTRA_APPLICATION": "true"},
    "further roles": {
        "DICOM_CREATE_ENTRA_APPLICATION": "true",
        "DICOM_APP_ROLES": "DICOM.Radiologist,DICOM.Researcher",
    },
    "other provider": {
        "DICOM_AUTH_AUTHORITY": "https://id.example/",
        "DICOM_AUTH_AUDIENCES": "dicom,https://dicom.example",
    },
    "trial": {**_CLIENT, "DICOM_DATA_REPLICATION": "Standard_LRS", "DICOM_DELETE_LOCK": "false"},
    "two regions": {**_CLIENT, "DICOM_DATA_REPLICATION": "Standard_RAGZRS"},
    "erase": {**_CLIENT, "DICOM_ERASURE_MODE": "erase", "DICOM_AUDIT_QUERY_VALUES": "drop"},
    "own key": {**_CLIENT, "DICOM_CUSTOMER_MANAGED_KEY": "true"},
    "private network": {**_CLIENT, "DICOM_PRIVATE_NETWORK": "true"},
    "secrets of exports": {**_CLIENT, "DICOM_EXPORT_SECRETS": "true"},
    "private secrets of exports": {
        **_CLIENT,
        "DICOM_EXPORT_SECRETS": "true",
        "DICOM_PRIVATE_NETWORK": "true",
    },
    "small instances": {**_CLIENT, "DICOM_INSTANCE_MEMORY_MB": "2048", "DICOM_HTTP_CONCURRENCY": "2"},
    "always ready": {**_CLIENT, "DICOM_ALWAYS_READY_HTTP": "1", "DICOM_ALWAYS_READY_BLOB": "1"},
    "without import": {**_CLIENT, "DICOM_BULK_IMPORT": "false"},
    "clinical data": {
        **_CLIENT,
        "DICOM_FHIR_ENDPOINT": "https://ws-fhir.fhir.azurehealthcareapis.com",
        "DICOM_PATIENT_ID_SYSTEM": "urn:oid:1.2.3",
    },
    "watched": {**_CLIENT, "DICOM_ALERT_EMAIL": "operators@example.org", "DICOM_TELEMETRY_LEVEL": "WARNING"},
    "everything": {
        "DICOM_CREATE_ENTRA_APPLICATION": "true",
        "DICOM_CUSTOMER_MANAGED_KEY": "true",
        "DICOM_PRIVATE_NETWORK": "true",
        "DICOM_STORAGE_DIAGNOSTICS": "true",
        "DICOM_DATA_PARTITIONS": "true",
        "DICOM_WORKLIST": "true",
        "DICOM_EXPORT_SECRETS": "true",
        "DICOM_ALWAYS_READY_HTTP": "2",
        "DICOM_ALWAYS_READY_BLOB": "1",
        "DICOM_ALERT_EMAIL": "operators@example.org",
        "DICOM_OPERATOR_GROUP_ID": "operators",
        "DICOM_CORS_ALLOWED_ORIGINS": "https://viewer.example",
    },
}


def main_deployment(root: Path, environment: Mapping[str, str]) -> Deployment:
    """The first phase in an azd environment. Raises BicepError."""
    parameters = json.loads((root / "main.parameters.json").read_text())["parameters"]
    main = root / "main.bicep"
    return render(main, from_azd(parse(main), parameters, {**_ALWAYS, **environment}))


def events_deployment(root: Path, *, bulk_import: bool = True, worklist: str = "wps-dicom") -> Deployment:
    """The second phase. Raises BicepError."""
    names = {"functionAppName": "app", "blobTopicName": "blobs", "dicomTopicName": "dicom", "dicomStorageName": "data"}
    return render(root / "events.bicep", {**names, "bulkImport": bulk_import, "worklistName": worklist})


def deployments(root: Path) -> dict[str, Deployment]:
    """Every variant of both phases. Raises BicepError."""
    made = {name: main_deployment(root, environment) for name, environment in VARIANTS.items()}
    return {**made, "events": events_deployment(root)}
