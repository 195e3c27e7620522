"""Step 1 of every request: which row of the resource table serves it, in which version (URL-1 to URL-7, URL-11)."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from shared.dicomweb.resources import FALLBACK, LIST_PARTITIONS, Resource
from shared.dicomweb.routes import allowed_methods, match
from shared.dicomweb.versions import ApiVersion, Unsupported, parse_version
from shared.errors import DicomServiceError, InvalidRequest, NotFound
from shared.http.messages import Request

PARTITIONS_DISABLED = "Data partitions feature is disabled."
PARTITION_MISSING = "PartitionName value is missing in the route segment."

_UNKNOWN = "The resource does not exist."


class MethodNotAllowed(DicomServiceError):
    """The path is known, but not with this method (URL-11)."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__("The resource does not support the method of the request.")
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

    Raises NotFound, MethodNotAllowed, UnsupportedVersion.
    """
    if resource is FALLBACK:
        return _unrouted(request, data_partitions=data_partitions)
    if not resource.versioned:
        return Routed(resource, request.route, ApiVersion.V2, "")
    segment = request.route.get("version", "")
    version = _version(segment)
    if not resource.exists_in(version, request.method):
        raise MethodNotAllowed(allowed_methods(request.path, data_partitions=data_partitions, version=version))
    return Routed(resource, request.route, version, segment)


def _version(segment: str) -> ApiVersion:
    version = parse_version(segment)
    if version is None:
        raise NotFound(_UNKNOWN)
    if isinstance(version, Unsupported):
        raise UnsupportedVersion(f"The API version '{version.version}' is not supported.")
    return version


def _unrouted(request: Request, *, data_partitions: bool) -> Routed:
    segments = [unquote(segment) for segment in request.path.strip("/").split("/")]
    if allowed := allowed_methods(request.path, data_partitions=data_partitions, version=None):
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
    raise NotFound(_UNKNOWN)
