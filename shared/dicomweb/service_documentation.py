"""The documentation of the resources of the service as a whole: change feed, operations, documents, health."""

from typing import Final

from shared.dicom.media_types import (
    DICOM_JSON,
    JSON,
    WADL,
    YAML,
)
from shared.dicomweb.documentation import (
    CHANGE,
    CHANGES,
    HEALTH,
    OPERATION,
    OPERATION_REFERENCE,
    OPERATIONS,
    PARTITIONS,
    WHOLE,
    Documentation,
    Parameter,
    accept,
    failures,
    query,
)
from shared.dicomweb.versions import ApiVersion

_TIME: Final = {"type": "string", "format": "date-time"}

_INCLUDE_METADATA: Final = query(
    "includeMetadata", "The present metadata of each instance are returned", {"type": "boolean", "default": True}
)


def _limit(version: ApiVersion, text: str) -> Parameter:
    default, most = version.feed_limits
    schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return query("limit", text, schema, only=version)


CHANGE_FEED: Final = Documentation(
    "The changes of all partitions in their order: v1 by windows of sequences, v2 by windows of time.",
    produces=(JSON,),
    failures=failures(406),
    parameters=(
        query("offset", "The sequence after which the window begins", WHOLE, only=ApiVersion.V1),
        _limit(ApiVersion.V1, "The number of sequences in the window"),
        query("startTime", "The earliest timestamp", _TIME, "2026-01-31T12:00:00Z", only=ApiVersion.V2),
        query("endTime", "The time that follows all timestamps", _TIME, "2026-02-01T00:00:00Z", only=ApiVersion.V2),
        query("offset", "The number of entries to skip", WHOLE, only=ApiVersion.V2),
        _limit(ApiVersion.V2, "The number of entries"),
        _INCLUDE_METADATA,
        accept(JSON),
    ),
    schema=CHANGES,
)
LATEST_CHANGE: Final = Documentation(
    "The entry of the change feed with the highest sequence.",
    produces=(JSON,),
    successes=(200, 204),
    failures=failures(406),
    parameters=(_INCLUDE_METADATA, accept(JSON)),
    schema=CHANGE,
)
OPERATION_STATE: Final = Documentation(
    "202 while the operation is active, 200 when it has ended.",
    produces=(JSON,),
    successes=(200, 202),
    failures=failures(404, 406),
    parameters=(accept(JSON),),
    schema=OPERATION,
)
REBUILD: Final = Documentation(
    "Makes the rows of the index from the files, in all partitions; what is there already stays. Health is Degraded "
    "until it has come to its end. The results of the operation tell what became of the files, in numbers. It needs "
    "every data action in the whole service.",
    produces=(JSON,),
    successes=(202,),
    failures=failures(406, 409),
    schema=OPERATION_REFERENCE,
)
OPERATION_LIST: Final = Documentation(
    "The operations of the last 30 days, the newest first. The caller needs every data action in the whole service.",
    produces=(JSON,),
    failures=failures(406),
    parameters=(
        query("limit", "The number of operations", {"type": "integer", "minimum": 1, "maximum": 200, "default": 100}),
        query("offset", "The number of operations to skip", WHOLE),
        accept(JSON),
    ),
    schema=OPERATIONS,
)
PARTITION_LIST: Final = Documentation(
    "Every partition that a store has created, and Microsoft.Default.",
    produces=(JSON,),
    failures=failures(),
    schema=PARTITIONS,
)
CAPABILITIES: Final = Documentation(
    "WADL, or the facts of `conformance` for a client that prefers JSON (PS3.18 §8.9).",
    produces=(WADL, DICOM_JSON),
    failures=(400, 406),
    parameters=(accept(WADL, DICOM_JSON),),
)
CONFORMANCE: Final = Documentation(
    "Features, limits, resources, transfer syntaxes and search keys of this deployment.",
    produces=(JSON,),
    failures=(400,),
)
HEALTH_REPORT: Final = Documentation(
    "The state of each part of the service; 503 when one of them is unhealthy.",
    produces=(JSON,),
    failures=(400, 503),
    failure_bodies=((503, JSON, HEALTH),),
    schema=HEALTH,
)
DESCRIPTION_YAML: Final = Documentation(
    "The OpenAPI 3.1 description of this version.", produces=(YAML,), failures=(400,)
)
DESCRIPTION_JSON: Final = Documentation(
    "The OpenAPI 3.1 description of this version.", produces=(JSON,), failures=(400,)
)
