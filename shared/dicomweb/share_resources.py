"""The rows and the documentation of shares (exchange §1)."""

from typing import Final

from shared.dicom.media_types import FHIR_JSON, JSON
from shared.dicomweb.documentation import UID, Documentation, Schema, accept, failures
from shared.dicomweb.resource import READ, Resource
from shared.dicomweb.versions import ApiVersion

_TIME: Final = {"type": "string", "format": "date-time"}
_UIDS: Final = {"type": "array", "minItems": 1, "maxItems": 1000, "items": UID.reference}
_CLINICAL: Final = {"enum": ["none", "reports", "timeline"], "default": "none"}
_ID: Final = {"type": "string", "pattern": "^[a-z0-9]{1,12}_[A-Za-z0-9_-]{22}$"}
_EXAMPLE: Final = "0_mGr0eYNsT6uBdHk2vWq4bA"

NEW_SHARE: Final = Schema(
    "NewShare",
    {
        "type": "object",
        "required": ["expiresIn"],
        "additionalProperties": False,
        "description": "Exactly one of studies, cohort and partition says what is shared",
        "oneOf": [{"required": ["studies"]}, {"required": ["cohort"]}, {"required": ["partition"]}],
        "properties": {
            "studies": _UIDS,
            "cohort": {"type": "string", "description": "Id of a cohort: its studies at this time"},
            "partition": {"const": True, "description": "All studies of the data partition, at each request"},
            "series": {**_UIDS, "description": "Of the studies; without it all their series"},
            "expiresIn": {"type": "string", "description": "ISO 8601 duration of at most P90D"},
            "label": {"type": "string", "maxLength": 64},
            "recipient": {"type": "string", "description": "SHA-256 of an e-mail address, or an object id"},
            "download": {"type": "boolean", "default": True, "description": "Whole instances, too, not only pictures"},
            "ehr": _CLINICAL,
            "deidentified": {
                "type": "boolean",
                "default": False,
                "description": "A copy that names nobody, made once; not of a partition",
            },
        },
    },
    {"studies": ["1.2.826.0.1.3680043.8.498.1"], "expiresIn": "P7D", "label": "second opinion"},
    (UID,),
)
MADE_SHARE: Final = Schema(
    "MadeShare",
    {
        "type": "object",
        "required": ["id", "url", "token", "expires"],
        "properties": {
            "id": _ID,
            "url": {"type": "string", "format": "uri", "description": "For a browser; its fragment holds the token"},
            "token": {"type": "string", "description": "For the header Authorization: shown this once"},
            "expires": _TIME,
        },
    },
    {
        "id": _EXAMPLE,
        "url": f"https://dicom.example/ui/#/share/shr_{_EXAMPLE}TOKEN",
        "token": f"shr_{_EXAMPLE}TOKEN",
        "expires": "2026-02-07T09:15:00Z",
    },
)
SHARE: Final = Schema(
    "Share",
    {
        "type": "object",
        "required": ["id", "selection", "created", "expires", "download", "ehr", "deidentified", "uses"],
        "properties": {
            "id": _ID,
            "label": {"type": "string"},
            "selection": {
                "type": "object",
                "properties": {
                    "studies": {"type": "array", "items": UID.reference, "description": "The first ten"},
                    "series": {"type": "array", "items": UID.reference, "description": "The first ten"},
                    "count": {"type": "integer", "minimum": 1, "description": "Number of studies"},
                    "cohort": {"type": "string"},
                    "partition": {"const": True},
                },
            },
            "created": _TIME,
            "expires": _TIME,
            "download": {"type": "boolean"},
            "ehr": _CLINICAL,
            "deidentified": {"type": "boolean"},
            "copy": {"enum": ["making", "complete", "failed"], "description": "Of a de-identified share"},
            "operation": {"type": "string", "description": "Id of the operation that makes the copy"},
            "recipient": {"type": "string"},
            "uses": {"type": "integer", "minimum": 0, "description": "Requests, a minute behind at most"},
            "lastUse": _TIME,
        },
    },
    {
        "id": _EXAMPLE,
        "label": "second opinion",
        "selection": {"studies": ["1.2.826.0.1.3680043.8.498.1"], "count": 1},
        "created": "2026-01-31T09:15:00Z",
        "expires": "2026-02-07T09:15:00Z",
        "download": True,
        "ehr": "none",
        "deidentified": False,
        "uses": 12,
        "lastUse": "2026-02-01T10:00:00Z",
    },
    (UID,),
)
SHARES: Final = Schema("Shares", {"type": "array", "items": SHARE.reference}, [SHARE.example], (SHARE,))

CREATE: Final = Documentation(
    "Whoever has the answer's link, or its token as a bearer token, may see the studies until the share expires or is "
    "revoked, and nothing else. The token is shown this once. With deidentified answers are 503 until an operation, "
    "which GET shares names, has made the copy.",
    produces=(JSON,),
    consumes=(JSON,),
    body=NEW_SHARE,
    successes=(201,),
    failures=failures(404, 406, 409, 413, 415),
    parameters=(accept(JSON),),
    schema=MADE_SHARE,
)
LIST: Final = Documentation(
    "The newest first, without their tokens; those that have expired for thirty days.",
    produces=(JSON,),
    failures=failures(406),
    parameters=(accept(JSON),),
    schema=SHARES,
)
REVOKE: Final = Documentation(
    "No request that comes later is answered under the share.", successes=(204,), failures=failures(404)
)

CLINICAL: Final = Documentation(
    "For the bearer of the token of a share that was made with `ehr`: a Bundle with the reports of its studies, or "
    "with what the timelines of their patients list. It has no resource of anybody else, and no reference to one.",
    produces=(FHIR_JSON,),
    failures=failures(404, 424),
)


def _share(name: str, request: str, audit: str, summary: str, documentation: Documentation) -> Resource:
    """`request` is method and path."""
    method, _, path = request.partition(" ")
    methods = READ if method == "GET" else (method,)
    since = dict.fromkeys(methods, ApiVersion.V2)
    return Resource(name, methods, path, "share", audit, summary, documentation, since=since)


ROWS: Final = (
    _share("create_share", "POST shares", "add-share", "Share studies", CREATE),
    _share("list_shares", "GET shares", "list-shares", "List the shares", LIST),
    Resource(
        "retrieve_share_ehr",
        READ,
        "shares/{share}/ehr",
        "read",
        "retrieve-share-ehr",
        "The clinical data of a share",
        CLINICAL,
        since=dict.fromkeys(READ, ApiVersion.V2),
        under_share="any",
    ),
    _share("revoke_share", "DELETE shares/{share}", "revoke-share", "Revoke a share", REVOKE),
)
