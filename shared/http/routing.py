"""Step 1 of every request: which row of the resource table serves it, in which version (URL-1 to URL-7, URL-11,
URL-13, URL-16), and what to say of a path that none serves.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Final
from urllib.parse import unquote

from shared.dicom.media_types import HTML
from shared.dicomweb.resource import Resource
from shared.dicomweb.resources import RESOURCES
from shared.dicomweb.routes import allowed_methods, match
from shared.dicomweb.service_resources import FALLBACK, LIST_PARTITIONS, PAGES
from shared.dicomweb.update_resources import BULK_UPDATE
from shared.dicomweb.versions import ApiVersion, Unsupported, parse_version
from shared.errors import DicomServiceError, InvalidRequest, NotFound, NotInRelease
from shared.http.messages import Request

PARTITIONS_DISABLED = "Data partitions feature is disabled."
PARTITION_MISSING = "PartitionName value is missing in the route segment."

_UNKNOWN = "The resource does not exist."
_VERSIONED: Final = "Begin the path with a version, such as /v2/studies; /v2/api.yaml lists every resource."
_EMPTY_SEGMENTS: Final = re.compile("/{2,}")
_ABSENT: Final = {
    "workitem-instances": "The worklist service (UPS-RS)",
    "commitment-requests": "Storage commitment",
    "color-palettes": "The non-patient instance service",
    "defined-procedure-protocols": "The non-patient instance service",
    "hanging-protocols": "The non-patient instance service",
    "implant-templates": "The non-patient instance service",
    "protocol-approvals": "The non-patient instance service",
}
"""Paths that PS3.18, or the server that this one succeeds, has behind the version under these names (URL-16)."""
_BULK_UPDATE: Final = "$bulkupdate"
_PRERELEASE: Final = "prerelease"
_SHOWN: Final = 64
"""Characters of a segment that is compared with the names of resources."""


class MethodNotAllowed(DicomServiceError):
    """The path is known, but not with this method (URL-11)."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        methods = ", ".join(allowed)
        super().__init__(
            f"The resource does not support the method of the request; it supports {methods}.",
            remedy=f"Use one of {methods}.",
            fields=(("Allow", methods),),
        )
        self.allowed = allowed


class UnsupportedVersion(InvalidRequest):
    """The version segment is well-formed and names no version of ours (URL-3, W-1)."""


@dataclass(frozen=True, slots=True)
class Routed:
    """The row that serves a request."""

    resource: Resource
    route: Mapping[str, str]
    version: ApiVersion
    """Of an unversioned resource: the latest."""
    segment: str
    """The version as the client wrote it; empty for an unversioned resource."""


def routed(resource: Resource, request: Request, *, data_partitions: bool) -> Routed:
    """Check the version and method of a request that the host gave to the function of `resource`.

    What the host gave to the fallback either fails here, or belongs to a row whose template has the partition segment
    where the request has none, or the reverse: that row is returned, so that the request fails at the step where
    partitions are checked, after its caller.

    A path with empty segments is served by the row of the path without them, whichever row the host has chosen
    (URL-13).

    Raises NotFound, MethodNotAllowed, UnsupportedVersion, NotInRelease.
    """
    if "//" in request.path:
        request = replace(request, path=_EMPTY_SEGMENTS.sub("/", request.path))
        found = match(request.method, request.path, data_partitions=data_partitions)
        resource = found.resource if found else FALLBACK
        request = replace(request, route=found.route if found else {})
    if resource is FALLBACK:
        return _unrouted(request, data_partitions=data_partitions)
    if not resource.versioned:
        return Routed(resource, request.route, ApiVersion.V2, "")
    segment = request.route.get("version", "")
    version = _version(segment)
    if not resource.in_prerelease and _PRERELEASE in segment.lower():
        raise NotFound(_UNKNOWN)
    if request.route.get("study", "").lower() == _BULK_UPDATE:  # URL-7: never a study
        return _bulk_update(resource, request, version, segment)
    if resource is BULK_UPDATE and version is ApiVersion.V1:
        raise NotFound(_UNKNOWN)
    if not resource.exists_in(version, request.method):
        raise MethodNotAllowed(allowed_methods(request.path, data_partitions=data_partitions, version=version))
    return Routed(resource, request.route, version, segment)


def _wants_page(request: Request) -> bool:
    """Whether a browser asks, for somebody to look at: programs accept anything, and name no text/html."""
    return any(HTML in value.lower() for value in request.headers.all("accept"))


def _bulk_update(resource: Resource, request: Request, version: ApiVersion, segment: str) -> Routed:
    """A bulk update that the host took for a study of that name, because of how it compares percent-encoded names."""
    if version is ApiVersion.V1 or resource.template != "studies/{study}":
        raise NotFound(_UNKNOWN)
    if request.method not in BULK_UPDATE.methods:
        raise MethodNotAllowed(BULK_UPDATE.methods)
    return Routed(
        BULK_UPDATE, {name: value for name, value in request.route.items() if name != "study"}, version, segment
    )


def _version(segment: str) -> ApiVersion:
    version = parse_version(segment)
    if version is None:
        raise NotFound(_UNKNOWN, remedy=_VERSIONED)
    if isinstance(version, Unsupported):
        raise UnsupportedVersion(
            f"The API version '{version.version}' is not supported.",
            where="path",
            remedy="Begin the path with one of the versions of the header api-supported-versions, such as /v2.",
        )
    return version


def _unrouted(request: Request, *, data_partitions: bool) -> Routed:
    segments = [unquote(segment) for segment in request.path.strip("/").split("/")]
    if request.method in PAGES.methods and (segments == [_VIEWER] or (not segments[0] and _wants_page(request))):
        return Routed(PAGES, {}, ApiVersion.V2, "")
    if allowed := allowed_methods(request.path, data_partitions=data_partitions, version=None):
        if request.method in allowed:  # the host has its function switched off
            raise NotFound(_UNKNOWN)
        raise MethodNotAllowed(allowed)
    version = _version(segments[0])
    if allowed := allowed_methods(request.path, data_partitions=data_partitions, version=version):
        if request.method in allowed:  # the host has its function switched off
            raise NotFound(_UNKNOWN)
        raise MethodNotAllowed(allowed)
    other = match(request.method, request.path, data_partitions=not data_partitions)
    if other is not None and other.resource.exists_in(version, request.method):
        return Routed(other.resource, other.route, version, segments[0])
    if allowed := allowed_methods(request.path, data_partitions=not data_partitions, version=version):
        raise MethodNotAllowed(allowed)
    if not data_partitions and len(segments) > 2 and segments[1].lower() == "partitions":
        return Routed(LIST_PARTITIONS, {"partition": segments[2]}, version, segments[0])
    first = _after_partition(segments)
    if name := _ABSENT.get(first):
        raise _not_in_release(name)
    raise NotFound(_UNKNOWN, remedy=_nearest(first, segments[0]))


def _after_partition(segments: Sequence[str]) -> str:
    """The first segment, in lower case, behind version and partition; empty if there is none."""
    behind = segments[3:] if segments[1:2] and segments[1].lower() == "partitions" else segments[1:]
    return behind[0].lower() if behind else ""


def _nearest(name: str, version: str) -> str:
    """The advice for a path that no row serves."""
    every = f"/{version}/api.yaml lists every resource."
    if name in {"patients", "patient"}:
        return f"Search for the studies of a patient: GET /{version}/studies?PatientID=ID. {every}"
    near = get_close_matches(name[:_SHOWN], _NAMES, 1, 0.6) if name not in _NAMES else []
    return f"Did you mean /{version}/{near[0]}? {every}" if near else every


def _not_in_release(name: str) -> NotInRelease:
    return NotInRelease(f"Not part of this release: {name}.")


_VIEWER: Final = "viewer"
"""A short address of the viewer, which leads to it (VIEW-4)."""
_NAMES: Final = tuple({row.template.partition("/")[0] for row in RESOURCES.values() if row.versioned} - {""})
"""The first segments of the rows."""
