"""PS3.18 §10.3 and Table 10.3-1: which method and path is which transaction, as one table.

A row is an Azure function. Two properties of the host shape the table: it tries the templates in the alphabetical order
of the function names and takes the first whose method and path fit, and it has no 405. So no template may swallow
another, the last name belongs to a catch-all, and that one answers what the others do not.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from shared.dicomweb.versions import ApiVersion

_STUDY = "studies/{study}"
_SERIES = "studies/{study}/series/{series}"
_INSTANCE = "studies/{study}/series/{series}/instances/{instance}"
_READ = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Resource:
    """A row of the table. `name` is the name of the Azure function."""

    name: str
    methods: tuple[str, ...]
    """Empty: every method."""
    template: str
    """What follows the version and partition segments; with `versioned=False` the whole path."""
    action: str | None
    """The data action that a caller needs (AUTH-15); None: anybody may ask (AUTH-5)."""
    audit: str | None
    """Operation name in audit records (HDR-9); None: not audited (AUD-6)."""
    summary: str
    versioned: bool = True
    partitioned: bool = True
    create_partition: bool = False
    """The first request that names a partition creates it (PART-4)."""
    since: Mapping[str, ApiVersion] | None = None
    """Methods that only exist from a version on (PUT-5)."""

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


def _store(name: str, template: str, summary: str) -> Resource:
    return Resource(
        name,
        ("POST", "PUT"),
        template,
        "write",
        "store",
        summary,
        create_partition=True,
        since={"PUT": ApiVersion.V2},
    )


def _retrieve(name: str, template: str, summary: str, audit: str = "retrieve") -> Resource:
    return Resource(name, _READ, template, "read", audit, summary)


def _rendered(name: str, template: str, summary: str) -> Resource:
    return _retrieve(name, template, summary, "retrieve-rendered")


def _search(name: str, template: str, summary: str) -> Resource:
    return Resource(name, _READ, template, "read", "query", summary)


def _delete(name: str, template: str, summary: str) -> Resource:
    return Resource(name, ("DELETE",), template, "delete", "delete", summary)


def _global(name: str, template: str, audit: str, summary: str) -> Resource:
    """What is read of the service as a whole (GEN-8)."""
    return Resource(name, _READ, template, "read", audit, summary, partitioned=False)


def _public(name: str, methods: tuple[str, ...], template: str, summary: str, *, versioned: bool = True) -> Resource:
    return Resource(name, methods, template, None, None, summary, versioned=versioned, partitioned=False)


FALLBACK = _public("zz_fallback", (), "{*path}", "Everything that no other function answers", versioned=False)

RESOURCES: Mapping[str, Resource] = {
    row.name: row
    for row in (
        _store("store_studies", "studies", "Store instances (STOW-RS); PUT replaces existing ones"),
        _store("store_study", _STUDY, "Store instances of one study; PUT replaces existing ones"),
        _retrieve("retrieve_study", _STUDY, "Retrieve the instances of a study (WADO-RS)"),
        _retrieve("retrieve_series", _SERIES, "Retrieve the instances of a series"),
        _retrieve("retrieve_instance", _INSTANCE, "Retrieve an instance"),
        _retrieve("retrieve_frames", f"{_INSTANCE}/frames/{{frames}}", "Retrieve frames of an instance"),
        _retrieve("retrieve_study_metadata", f"{_STUDY}/metadata", "Metadata of a study", "retrieve-metadata"),
        _retrieve("retrieve_series_metadata", f"{_SERIES}/metadata", "Metadata of a series", "retrieve-metadata"),
        _retrieve(
            "retrieve_instance_metadata", f"{_INSTANCE}/metadata", "Metadata of an instance", "retrieve-metadata"
        ),
        _retrieve("retrieve_study_bulk_data", f"{_STUDY}/bulkdata", "Retrieve the bulk data of a study"),
        _retrieve("retrieve_series_bulk_data", f"{_SERIES}/bulkdata", "Retrieve the bulk data of a series"),
        _retrieve("retrieve_instance_bulk_data", f"{_INSTANCE}/bulkdata", "Retrieve the bulk data of an instance"),
        _retrieve("retrieve_instance_bulk_value", f"{_INSTANCE}/bulkdata/{{*path}}", "Retrieve one bulk value"),
        _retrieve("retrieve_study_pixel_data", f"{_STUDY}/pixeldata", "Retrieve the pixel data of a study"),
        _retrieve("retrieve_series_pixel_data", f"{_SERIES}/pixeldata", "Retrieve the pixel data of a series"),
        _retrieve("retrieve_instance_pixel_data", f"{_INSTANCE}/pixeldata", "Retrieve the pixel data of an instance"),
        _rendered("retrieve_study_rendered", f"{_STUDY}/rendered", "Retrieve a study as pictures"),
        _rendered("retrieve_study_thumbnail", f"{_STUDY}/thumbnail", "Retrieve a small picture of a study"),
        _rendered("retrieve_series_rendered", f"{_SERIES}/rendered", "Retrieve a series as pictures"),
        _rendered("retrieve_series_thumbnail", f"{_SERIES}/thumbnail", "Retrieve a small picture of a series"),
        _rendered("retrieve_instance_rendered", f"{_INSTANCE}/rendered", "Retrieve an instance as pictures"),
        _rendered("retrieve_instance_thumbnail", f"{_INSTANCE}/thumbnail", "Retrieve a small picture of an instance"),
        _rendered("retrieve_frames_rendered", f"{_INSTANCE}/frames/{{frames}}/rendered", "Retrieve frames as pictures"),
        _rendered("retrieve_frames_thumbnail", f"{_INSTANCE}/frames/{{frames}}/thumbnail", "Small pictures of frames"),
        _retrieve("retrieve_by_query", "wado", "Retrieve an instance, or a picture of it, by query (WADO-URI)"),
        _search("search_studies", "studies", "Search for studies (QIDO-RS)"),
        _search("search_series", "series", "Search for series"),
        _search("search_instances", "instances", "Search for instances"),
        _search("search_study_series", f"{_STUDY}/series", "Search for the series of a study"),
        _search("search_study_instances", f"{_STUDY}/instances", "Search for the instances of a study"),
        _search("search_series_instances", f"{_SERIES}/instances", "Search for the instances of a series"),
        _delete("delete_study", _STUDY, "Delete a study"),
        _delete("delete_series", _SERIES, "Delete a series"),
        _delete("delete_instance", _INSTANCE, "Delete an instance"),
        _global("change_feed", "changefeed", "change-feed", "The changes of all partitions, in order"),
        _global("change_feed_latest", "changefeed/latest", "change-feed", "The latest change"),
        _global("retrieve_operation", "operations/{operation}", "operation", "The state of a long-running operation"),
        _global("list_partitions", "partitions", "partition", "List the partitions"),
        _public("capabilities", ("OPTIONS",), "", "Retrieve capabilities"),
        _public("conformance", _READ, "conformance", "What this deployment can do"),
        _public("openapi_yaml", _READ, "api.yaml", "This description as YAML"),
        _public("openapi_json", _READ, "api.json", "This description as JSON"),
        _public("health_check", _READ, "health/check", "Whether the service is well", versioned=False),
        FALLBACK,
    )
}


@dataclass(frozen=True, slots=True)
class Match:
    """A row that answers a request, with the decoded values of its template."""

    resource: Resource
    route: Mapping[str, str]


def templates(data_partitions: bool) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Function name to its route template and methods (empty: all)."""
    return {row.name: (row.path(data_partitions=data_partitions), row.methods) for row in RESOURCES.values()}


@lru_cache(maxsize=2)
def _compiled(data_partitions: bool) -> tuple[tuple[Resource, re.Pattern[str]], ...]:
    rows = sorted(RESOURCES.values(), key=lambda row: row.name.upper())
    return tuple((row, _pattern(row.path(data_partitions=data_partitions))) for row in rows if row is not FALLBACK)


def _pattern(template: str) -> re.Pattern[str]:
    """Literals compare without regard to case, a trailing slash is tolerated, a value is one segment (URL-6).

    The host takes a catch-all, which may only come last, for what is left of the path, even for nothing.
    """
    return re.compile("/".join(map(_segment, template.split("/"))) + "/?", re.IGNORECASE)


def _segment(segment: str) -> str:
    if not segment.startswith("{"):
        return re.escape(segment)
    return f"(?P<{segment[2:-1]}>.*)" if segment.startswith("{*") else f"(?P<{segment[1:-1]}>[^/]+)"


def _decoded(value: str) -> str:
    """The host decodes everything in a segment except an encoded slash."""
    return unquote(re.sub("(?i)%2f", "%252F", value)) if "%" in value else value


def match(method: str, path: str, *, data_partitions: bool) -> Match | None:
    """The row that answers `method` on `path` (percent-encoded, leading slash optional), by the host's rule."""
    path = path.removeprefix("/")
    for row, pattern in _compiled(data_partitions):
        if method in row.methods and (found := pattern.fullmatch(path)):
            return Match(row, {name: _decoded(value) for name, value in found.groupdict().items()})
    return None


def allowed_methods(path: str, *, data_partitions: bool, version: ApiVersion | None) -> tuple[str, ...]:
    """The methods that `path` answers in `version`, in alphabetical order, for `Allow`; empty if no row knows it.

    Without a version only the unversioned resources count.
    """
    path = path.removeprefix("/")
    found = {
        method
        for row, pattern in _compiled(data_partitions)
        if row.versioned == (version is not None) and pattern.fullmatch(path)
        for method in row.methods
        if version is None or row.exists_in(version, method)
    }
    return tuple(sorted(found))
