"""The row and the documentation of export (azure-apis §7)."""

from typing import Final

from shared.dicom.media_types import ANY, JSON
from shared.dicomweb.documentation import OPERATION_REFERENCE, Documentation, Parameter, Schema, failures
from shared.dicomweb.resource import Resource

_OPTIONS: Final = [
    "retainLongitudinalModified",
    "retainPatientCharacteristics",
    "retainDevice",
    "retainSafePrivate",
    "cleanDescriptors",
    "cleanGraphics",
    "cleanStructuredContent",
]
NEW_EXPORT: Final = Schema(
    "NewExport",
    {
        "type": "object",
        "required": ["destination"],
        "additionalProperties": False,
        "properties": {
            "source": {
                "type": "object",
                "required": ["type", "settings"],
                "additionalProperties": False,
                "properties": {
                    "type": {"enum": ["identifiers"]},
                    "settings": {
                        "type": "object",
                        "required": ["values"],
                        "additionalProperties": False,
                        "properties": {
                            "values": {
                                "type": "array",
                                "minItems": 1,
                                "items": {"type": "string", "pattern": "^[0-9.]{0,63}[0-9](/[0-9.]{0,63}[0-9]){0,2}$"},
                            }
                        },
                    },
                },
            },
            "deidentify": {
                "type": "object",
                "required": ["profile"],
                "additionalProperties": False,
                "properties": {
                    "profile": {"enum": ["basic"]},
                    "options": {"type": "array", "items": {"enum": _OPTIONS}},
                    "subjects": {"enum": ["map", "drop"], "default": "map"},
                    "burnedIn": {"enum": ["refuse", "report"], "default": "refuse"},
                },
            },
            "destination": {
                "type": "object",
                "required": ["type", "settings"],
                "additionalProperties": False,
                "properties": {
                    "type": {"enum": ["azureBlob"]},
                    "settings": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {
                            "blobContainerUri": {"type": "string", "format": "uri"},
                            "useManagedIdentity": {"type": "boolean"},
                            "connectionString": {"type": "string"},
                            "blobContainerName": {"type": "string"},
                        },
                    },
                },
            },
        },
    },
    {
        "source": {"type": "identifiers", "settings": {"values": ["1.2.826.0.1.3680043.8.498.1"]}},
        "destination": {
            "type": "azureBlob",
            "settings": {
                "blobContainerUri": "https://account.blob.core.windows.net/container",
                "useManagedIdentity": True,
            },
        },
    },
)
EXPORT: Final = Documentation(
    "Studies, series and instances, or without `source` the whole partition, are copied into a container that the "
    "service is allowed to write to; the operation tells how far it is. Only one credential may be given: a managed "
    "identity, a shared access signature in the URL, or a connection string with one. With `deidentify` files are made "
    "that name nobody (PS3.15 Annex E).",
    produces=(JSON,),
    consumes=(JSON,),
    body=NEW_EXPORT,
    successes=(202,),
    failures=failures(404, 406, 413, 415, 424),
    parameters=(
        Parameter(
            "accept",
            "query",
            "The media type of the answer, instead of the Accept header",
            {"type": "string", "enum": [JSON, ANY]},
            JSON,
        ),
    ),
    schema=OPERATION_REFERENCE,
)

ROWS: Final = (
    Resource(
        "export_instances",
        ("POST",),
        "export",
        "export",
        "export",
        "Copy instances into a container of Blob Storage",
        EXPORT,
        in_prerelease=False,
    ),
)
