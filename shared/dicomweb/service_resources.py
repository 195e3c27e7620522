"""The resources of the service as a whole (azure-apis §2, §4, §13): rows of the table."""

from typing import Final

from shared.dicomweb import service_documentation as told
from shared.dicomweb.documentation import Documentation
from shared.dicomweb.resource import READ, Resource
from shared.dicomweb.versions import ApiVersion


def _global(name: str, template: str, audit: str, summary: str, documentation: Documentation) -> Resource:
    """The resources of the service as a whole (GEN-8)."""
    return Resource(name, READ, template, "read", audit, summary, documentation, partitioned=False, shows_own_part=True)


def _public(name: str, template: str, summary: str, documentation: Documentation) -> Resource:
    return Resource(name, READ, template, None, None, summary, documentation, partitioned=False)


LIST_PARTITIONS = Resource(
    "list_partitions",
    READ,
    "partitions",
    "read",
    "partition",
    "List the partitions",
    told.PARTITION_LIST,
    partitioned=False,
    shows_own_part=True,
    lists_partitions=True,
)
REBUILD = Resource(
    "rebuild_index",
    ("POST",),
    "admin/rebuild",
    "manageRetention",
    "rebuild-index",
    "Make the index anew from the files",
    told.REBUILD,
    partitioned=False,
    since={"POST": ApiVersion.V2},
)
PAGES = Resource(
    "browser_pages",  # in front of the rows that would take `ui` for a version
    READ,
    "ui/{*file}",
    None,
    None,
    "The pages for browsers",
    None,  # no part of the API
    versioned=False,
    partitioned=False,
)
FALLBACK = Resource(
    "zz_fallback",
    (),
    "{*path}",
    None,
    None,
    "Everything that no other function answers",
    None,
    versioned=False,
    partitioned=False,
)

ROWS: Final = (
    _global("change_feed", "changefeed", "change-feed", "The changes of all partitions, in order", told.CHANGE_FEED),
    _global("change_feed_latest", "changefeed/latest", "change-feed", "The latest change", told.LATEST_CHANGE),
    _global(
        "retrieve_operation",
        "operations/{operation}",
        "operation",
        "The state of a long-running operation",
        told.OPERATION_STATE,
    ),
    Resource(
        "list_operations",
        READ,
        "admin/operations",
        "read",
        "list-operations",
        "The operations of the last 30 days",
        told.OPERATION_LIST,
        partitioned=False,
        since=dict.fromkeys(READ, ApiVersion.V2),
    ),
    LIST_PARTITIONS,
    REBUILD,
    PAGES,
    Resource(
        "capabilities",
        ("OPTIONS",),
        "",
        None,
        None,
        "Retrieve capabilities",
        told.CAPABILITIES,
        partitioned=False,
    ),
    _public("conformance", "conformance", "What this deployment can do", told.CONFORMANCE),
    _public("openapi_yaml", "api.yaml", "This description as YAML", told.DESCRIPTION_YAML),
    _public("openapi_json", "api.json", "This description as JSON", told.DESCRIPTION_JSON),
    _public("health_check_of_version", "health/check", "Whether the service is well", told.HEALTH_REPORT),
    Resource(
        "health_check",
        READ,
        "health/check",
        None,
        None,
        "Whether the service is well",
        None,  # documents of a version show the path that begins with it
        versioned=False,
        partitioned=False,
    ),
)
