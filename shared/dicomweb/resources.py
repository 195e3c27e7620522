"""PS3.18 §10.3 and Table 10.3-1: the transactions of the service, as one table.

A row is an Azure function, and all that is said of it: its URL, who may call it, how it is audited, what documents
tell. Routing, the boundary, audit records and the documents read the row; `shared.dicomweb.routes` matches requests.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.dicomweb import cast_documentation as cast
from shared.dicomweb import cohort_documentation as cohorts
from shared.dicomweb import transaction_documentation as told
from shared.dicomweb import update_documentation as updates
from shared.dicomweb import worklist_documentation as worklist
from shared.dicomweb.documentation import UID, Documentation, PathParameter
from shared.dicomweb.export_documentation import EXPORT
from shared.dicomweb.versions import ApiVersion

_READ = ("GET", "HEAD")

PATH_PARAMETERS: Mapping[str, PathParameter] = {
    "partition": PathParameter(
        "Data partition", {"type": "string", "pattern": "^[A-Za-z0-9.\\-_]{1,64}$"}, "Microsoft.Default"
    ),
    "study": PathParameter("StudyInstanceUID", UID.reference, "1.2.826.0.1.3680043.8.498.1", "StudyInstanceUID"),
    "series": PathParameter("SeriesInstanceUID", UID.reference, "1.2.826.0.1.3680043.8.498.2", "SeriesInstanceUID"),
    "instance": PathParameter("SOPInstanceUID", UID.reference, "1.2.826.0.1.3680043.8.498.3", "SOPInstanceUID"),
    "workitem": PathParameter(
        "SOPInstanceUID of a workitem", UID.reference, "1.2.826.0.1.3680043.8.498.4", "SOPInstanceUID"
    ),
    "requester": PathParameter(
        "AE title of who asks, which says nothing here",
        {"type": "string", "pattern": "^[^/\\\\\\x00-\\x1f]{1,64}$"},
        "PERFORMER",
    ),
    "frames": PathParameter(
        "Frame numbers, separated by commas; the first one is 1",
        {"type": "string", "pattern": "^[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*$"},
        "1,2",
    ),
    "path": PathParameter(
        "Place of a value in the data set, as in BulkDataURI: tags, with item numbers in between",
        {"type": "string", "pattern": "^[0-9A-F]{8}(/[1-9][0-9]*/[0-9A-F]{8})*$"},
        "7FE00010",
    ),
    "file": PathParameter("File of the pages for browsers", {"type": "string"}, "configuration.json"),
    "tag": PathParameter(
        "Extended query tag: a keyword, or 8 hexadecimal digits, or two of them joined by a dot",
        {"type": "string", "pattern": "^[A-Za-z0-9]{1,64}(\\.[A-Za-z0-9]{1,64})?$"},
        "00101010",
    ),
    **cast.PATH_PARAMETERS,
    **cohorts.PATH_PARAMETERS,
    "operation": PathParameter(
        "Operation id, a GUID",
        {"type": "string", "pattern": "^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$"},
        "9b1c0d5e8f2a4b6c8d0e1f2a3b4c5d6e",
    ),
}
"""The variable segments of the templates, by name."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A row of the table. `name` is the name of the Azure function."""

    name: str
    methods: tuple[str, ...]
    """Empty: every method."""
    template: str
    """The path behind the version and partition segments; with `versioned=False` the whole path."""
    action: str | None
    """The data action that a caller needs (AUTH-15); None: anybody may ask (AUTH-5)."""
    audit: str | None
    """Operation name in audit records (HDR-9); None: not audited (AUD-6)."""
    summary: str
    documentation: Documentation | None
    """None: documents leave the row out."""
    versioned: bool = True
    partitioned: bool = True
    create_partition: bool = False
    """The first request that names a partition creates it (PART-4)."""
    shows_own_part: bool = False
    """It belongs to no partition, and a caller sees of it what lies in those where it has the action (AUTH-22). Else
    what belongs to no partition needs the action in the whole service.
    """
    lists_partitions: bool = False
    """It exists for deployments with data partitions (PART-1)."""
    since: Mapping[str, ApiVersion] | None = None
    """Methods that only exist from a version on (PUT-5)."""
    in_prerelease: bool = True
    """It exists in `v1.0-prerelease`, too (GEN-5)."""
    uids: Mapping[str, str] = field(init=False)
    """The path parameters that are UIDs, to their keywords."""

    def __post_init__(self) -> None:
        """Find the UIDs among the path parameters. Raises KeyError for a parameter that nobody has described."""
        described = {name: PATH_PARAMETERS[name] for name in path_parameters(self.template)}
        object.__setattr__(self, "uids", {name: each.uid for name, each in described.items() if each.uid})

    def exists_in(self, version: ApiVersion, method: str) -> bool:
        """Whether `method` is part of the resource in `version`."""
        first = (self.since or {}).get(method)
        return first is None or version.value >= first.value

    def path(self, *, data_partitions: bool) -> str:
        """The route template, with the partition segment exactly when partitions are switched on."""
        if not self.versioned:
            return self.template
        middle = "partitions/{partition}/" if self.partitioned and data_partitions else ""
        return f"{{version}}/{middle}{self.template}".rstrip("/")


def path_parameters(template: str) -> list[str]:
    """The names of the variable segments of a template, in order."""
    return [segment[1:-1].removeprefix("*") for segment in template.split("/") if segment.startswith("{")]


# ------------------------------------------------------------------------------------------------ kinds of transaction

_STUDY = "studies/{study}"
_SERIES = "studies/{study}/series/{series}"
_INSTANCE = "studies/{study}/series/{series}/instances/{instance}"


def _store(name: str, template: str, summary: str) -> Resource:
    put = {"PUT": ApiVersion.V2}
    methods = ("POST", "PUT")
    return Resource(name, methods, template, "write", "store", summary, told.STORE, create_partition=True, since=put)


def _retrieve(
    name: str, template: str, summary: str, documentation: Documentation, audit: str = "retrieve"
) -> Resource:
    return Resource(name, _READ, template, "read", audit, summary, documentation)


def _metadata(name: str, template: str, summary: str) -> Resource:
    return _retrieve(name, f"{template}/metadata", summary, told.METADATA, "retrieve-metadata")


def _bulk(name: str, template: str, summary: str) -> Resource:
    """All bulk data, or all pixel data, of a study, series or instance."""
    values = "pixeldata" if name.endswith("pixel_data") else "bulkdata"
    return _retrieve(name, f"{template}/{values}", summary, told.BULK_DATA)


def _rendered(name: str, template: str, summary: str) -> Resource:
    return _retrieve(name, f"{template}/rendered", summary, told.RENDERED, "retrieve-rendered")


def _thumbnail(name: str, template: str, summary: str) -> Resource:
    return _retrieve(name, f"{template}/thumbnail", summary, told.THUMBNAIL, "retrieve-rendered")


def _search(name: str, template: str, summary: str) -> Resource:
    return Resource(name, _READ, template, "read", "query", summary, told.SEARCH)


def _delete(name: str, template: str, summary: str) -> Resource:
    return Resource(name, ("DELETE",), template, "delete", "delete", summary, told.DELETE)


def _global(name: str, template: str, audit: str, summary: str, documentation: Documentation) -> Resource:
    """The resources of the service as a whole (GEN-8)."""
    return Resource(
        name, _READ, template, "read", audit, summary, documentation, partitioned=False, shows_own_part=True
    )


def _tags(name: str, method: str, audit: str, summary: str, documentation: Documentation) -> Resource:
    """The resources of extended query tags (azure-apis §3): all of them, or the one that the path names."""
    methods = _READ if method == "GET" else (method,)
    action = "read" if method == "GET" else "manageExtendedQueryTags"
    path = "extendedquerytags" if name.endswith("tags") else "extendedquerytags/{tag}"
    operation = f"{audit}-extended-query-tag"
    if name.endswith("errors"):
        path, operation = f"{path}/errors", f"{operation}-errors"
    return Resource(name, methods, path, action, operation, summary, documentation, partitioned=False)


def _worklist(name: str, request: str, audit: str, summary: str, documentation: Documentation) -> Resource:
    """The resources of the Worklist Service (PS3.18 Table 11.1.1-1); `request` is method and path."""
    method, _, path = request.partition(" ")
    methods, action = (_READ, "read") if method == "GET" else ((method,), "write")
    creates = name == "create_workitem"
    return Resource(name, methods, path, action, f"{audit}-workitem", summary, documentation, create_partition=creates)


def _update(name: str, template: str, audit: str, summary: str, documentation: Documentation) -> Resource:
    """Operations that give instances new versions (azure-apis §6, data-safety §8)."""
    return Resource(name, ("POST",), template, "write", audit, summary, documentation, since={"POST": ApiVersion.V2})


def _public(name: str, template: str, summary: str, documentation: Documentation) -> Resource:
    return Resource(name, _READ, template, None, None, summary, documentation, partitioned=False)


# ----------------------------------------------------------------------------------------------------------- the table

LIST_PARTITIONS = Resource(
    "list_partitions",
    _READ,
    "partitions",
    "read",
    "partition",
    "List the partitions",
    told.PARTITION_LIST,
    partitioned=False,
    shows_own_part=True,
    lists_partitions=True,
)
PAGES = Resource(
    "browser_pages",  # in front of the rows that would take `ui` for a version
    _READ,
    "ui/{*file}",
    None,
    None,
    "The pages for browsers",
    None,  # no part of the API
    versioned=False,
    partitioned=False,
)
BULK_UPDATE = _update(
    "bulk_update_studies", "studies/$bulkUpdate", "update-study", "Change attributes of studies", updates.BULK_UPDATE
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

RESOURCES: Mapping[str, Resource] = {
    row.name: row
    for row in (
        _store("store_studies", "studies", "Store instances (STOW-RS); PUT replaces existing ones"),
        _store("store_study", _STUDY, "Store instances of one study; PUT replaces existing ones"),
        _retrieve("retrieve_study", _STUDY, "Retrieve the instances of a study (WADO-RS)", told.INSTANCES),
        _retrieve("retrieve_series", _SERIES, "Retrieve the instances of a series", told.INSTANCES),
        _retrieve("retrieve_instance", _INSTANCE, "Retrieve an instance", told.INSTANCE),
        _retrieve("retrieve_frames", f"{_INSTANCE}/frames/{{frames}}", "Retrieve frames of an instance", told.FRAMES),
        _metadata("retrieve_study_metadata", _STUDY, "Metadata of a study"),
        _metadata("retrieve_series_metadata", _SERIES, "Metadata of a series"),
        _metadata("retrieve_instance_metadata", _INSTANCE, "Metadata of an instance"),
        _bulk("retrieve_study_bulk_data", _STUDY, "Retrieve the bulk data of a study"),
        _bulk("retrieve_series_bulk_data", _SERIES, "Retrieve the bulk data of a series"),
        _bulk("retrieve_instance_bulk_data", _INSTANCE, "Retrieve the bulk data of an instance"),
        _retrieve(
            "retrieve_instance_bulk_value",
            f"{_INSTANCE}/bulkdata/{{*path}}",
            "Retrieve one bulk value",
            told.BULK_VALUE,
        ),
        _bulk("retrieve_study_pixel_data", _STUDY, "Retrieve the pixel data of a study"),
        _bulk("retrieve_series_pixel_data", _SERIES, "Retrieve the pixel data of a series"),
        _bulk("retrieve_instance_pixel_data", _INSTANCE, "Retrieve the pixel data of an instance"),
        _rendered("retrieve_study_rendered", _STUDY, "Retrieve a study as pictures"),
        _thumbnail("retrieve_study_thumbnail", _STUDY, "Retrieve a small picture of a study"),
        _rendered("retrieve_series_rendered", _SERIES, "Retrieve a series as pictures"),
        _thumbnail("retrieve_series_thumbnail", _SERIES, "Retrieve a small picture of a series"),
        _rendered("retrieve_instance_rendered", _INSTANCE, "Retrieve an instance as pictures"),
        _thumbnail("retrieve_instance_thumbnail", _INSTANCE, "Retrieve a small picture of an instance"),
        _rendered("retrieve_frames_rendered", f"{_INSTANCE}/frames/{{frames}}", "Retrieve frames as pictures"),
        _thumbnail("retrieve_frames_thumbnail", f"{_INSTANCE}/frames/{{frames}}", "Small pictures of frames"),
        _retrieve(
            "retrieve_by_query",
            "wado",
            "Retrieve an instance, or a picture of it, by query (WADO-URI)",
            told.WADO_URI,
        ),
        _search("search_studies", "studies", "Search for studies (QIDO-RS)"),
        _search("search_series", "series", "Search for series"),
        _search("search_instances", "instances", "Search for instances"),
        _search("search_study_series", f"{_STUDY}/series", "Search for the series of a study"),
        _search("search_study_instances", f"{_STUDY}/instances", "Search for the instances of a study"),
        _search("search_series_instances", f"{_SERIES}/instances", "Search for the instances of a series"),
        _delete("delete_study", _STUDY, "Delete a study"),
        _delete("delete_series", _SERIES, "Delete a series"),
        _delete("delete_instance", _INSTANCE, "Delete an instance"),
        _global(
            "change_feed", "changefeed", "change-feed", "The changes of all partitions, in order", told.CHANGE_FEED
        ),
        _global("change_feed_latest", "changefeed/latest", "change-feed", "The latest change", told.LATEST_CHANGE),
        _global(
            "retrieve_operation",
            "operations/{operation}",
            "operation",
            "The state of a long-running operation",
            told.OPERATION_STATE,
        ),
        _tags("add_extended_query_tags", "POST", "add", "Add extended query tags", told.ADD_TAGS),
        _tags("list_extended_query_tags", "GET", "get-all", "List the extended query tags", told.TAG_LIST),
        _tags("retrieve_extended_query_tag", "GET", "get", "Retrieve an extended query tag", told.TAG),
        _tags(
            "update_extended_query_tag",
            "PATCH",
            "update",
            "Let searches use an extended query tag, or not",
            told.UPDATE_TAG,
        ),
        _tags(
            "list_extended_query_tag_errors",
            "GET",
            "get",
            "The values that could not be indexed for an extended query tag",
            told.TAG_ERRORS,
        ),
        _tags("delete_extended_query_tag", "DELETE", "remove", "Delete an extended query tag", told.DELETE_TAG),
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
        _worklist("create_workitem", "POST workitems", "add", "Create a workitem (UPS-RS)", worklist.CREATE_WORKITEM),
        _worklist("search_workitems", "GET workitems", "query", "Search for workitems", worklist.SEARCH_WORKITEMS),
        _worklist(
            "retrieve_workitem",
            "GET workitems/{workitem}",
            "retrieve",
            "Retrieve a workitem",
            worklist.RETRIEVE_WORKITEM,
        ),
        _worklist(
            "update_workitem", "POST workitems/{workitem}", "update", "Update a workitem", worklist.UPDATE_WORKITEM
        ),
        _worklist(
            "change_workitem_state",
            "PUT workitems/{workitem}/state",
            "change-state",
            "Change the state of a workitem",
            worklist.CHANGE_WORKITEM_STATE,
        ),
        _worklist(
            "change_workitem_state_by",
            "PUT workitems/{workitem}/state/{requester}",
            "change-state",
            "Change the state of a workitem",
            worklist.CHANGE_WORKITEM_STATE,
        ),
        _worklist(
            "request_workitem_cancellation",
            "POST workitems/{workitem}/cancelrequest",
            "cancel",
            "Request the cancellation of a workitem",
            worklist.CANCEL_WORKITEM,
        ),
        _worklist(
            "request_workitem_cancellation_by",
            "POST workitems/{workitem}/cancelrequest/{requester}",
            "cancel",
            "Request the cancellation of a workitem",
            worklist.CANCEL_WORKITEM,
        ),
        *(Resource(*row, partitioned=False) for row in cast.ROWS),
        BULK_UPDATE,
        _update("merge_patients", "patients/$merge", "merge-patients", "Merge patients", updates.MERGE),
        _update("move_study", "studies/$move", "move-study", "Give a study to another patient", updates.MOVE),
        *(Resource(*row, **cohorts.SHARED) for row in cohorts.ROWS),
        LIST_PARTITIONS,
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
            _READ,
            "health/check",
            None,
            None,
            "Whether the service is well",
            None,  # documents of a version show the path that begins with it
            versioned=False,
            partitioned=False,
        ),
        FALLBACK,
    )
}
