"""A transaction as the boundary runs it, and what it is told about its request (PS3.18 §8.1).

A request is read once, in two steps that have their places in the order of checks (dicomweb §4.2): `parse` and
`accept`. What they return is all that the answer sees of it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.dicomweb.confinement import Confinement
from shared.dicomweb.content_negotiation import (
    Accept,
    negotiate_data_sets,
    negotiate_dicom_json,
    negotiate_plain_json,
)
from shared.dicomweb.partitions import Partition
from shared.dicomweb.urls import Urls
from shared.dicomweb.versions import ApiVersion
from shared.http.caller import Caller
from shared.http.entity_tags import EntityTags
from shared.http.messages import Request, Response
from shared.http.roles import WHOLE_SERVICE, Scope


@dataclass(frozen=True, slots=True)
class Context:
    """The context of a request that has passed the checks of the boundary."""

    version: ApiVersion
    partition: Partition
    caller: Caller
    urls: Urls
    request_id: str
    uids: Mapping[str, str]
    """The UIDs of the path, checked and trimmed, by their names in its template: `study`, `series`, `instance`."""
    if_none_match: EntityTags
    """The representations that the client holds (If-None-Match)."""
    host: str
    """As the request names it, with its port; empty when it does not."""
    visible: Scope = WHOLE_SERVICE
    """The data partitions in which the caller has the action of the resource (AUTH-22)."""
    original: bool = False
    """The versions of instances are asked for that were stored, not those that updates have made of them (WADO-32)."""

    @property
    def confinement(self) -> Confinement | None:
        """The studies that the caller is confined to; None: nothing but its role."""
        return self.caller.confinement

    @property
    def scope(self) -> ResourceIdentifier:
        """The study, series or instance that the path names. Raises KeyError when it names no study."""
        return ResourceIdentifier(self.uids["study"], self.uids.get("series"), self.uids.get("instance"))

    @property
    def instance(self) -> InstanceIdentifier:
        """The instance that the path names. Raises KeyError when it names none."""
        return InstanceIdentifier(self.uids["study"], self.uids["series"], self.uids["instance"])

    def warning(self, text: str) -> tuple[str, str]:
        """The header field that warns with `text` (STOW-41; RFC 7234 §5.5)."""
        host = self.host
        name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        return "Warning", f'299 {f"{name}:" if name else "-"} "{quoted}"'


@dataclass(frozen=True, slots=True)
class Transaction[P, A]:
    """The three steps in which a resource is answered. `P`: the request; `A`: the representation that is accepted."""

    parse: Callable[[Request, ApiVersion], P]
    """Step 4: Content-Type, other headers, query parameters, lists in the path. Raises UnsupportedMedia,
    InvalidRequest. UIDs of the path are the boundary's."""
    accept: Callable[[Request, ApiVersion], A]
    """Step 6: the Accept header and parameter. Raises NotAcceptable."""
    answer: Callable[[P, A, Context], Awaitable[Response]]
    """The last step. What can only be said now may still be refused, with any error of `shared.errors`."""


def wants_original(request: Request) -> bool:
    """Whether the header msdicom-request-original says so: only by `true`, in any case (WADO-32)."""
    return (request.headers.get("msdicom-request-original") or "").strip().lower() == "true"


def nothing(_request: Request, _version: ApiVersion) -> None:
    """The `parse` of a request that says no more than its path; the `accept` of one kind of answer for everybody."""


def accepted(request: Request, _version: ApiVersion) -> Accept:
    """The `accept` of a resource whose answer is negotiated with what is stored (dicomweb §4.2, steps 9 to 12)."""
    return Accept(tuple(request.headers.all("accept")), request.query)


def accepted_data_sets(request: Request, version: ApiVersion) -> str:
    """The `accept` of what is answered with data sets: DICOM_JSON or DICOM_XML (ACC-1 to ACC-6, STOW-9).

    Raises NotAcceptable.
    """
    return negotiate_data_sets(accepted(request, version).types())


def accepted_dicom_json(request: Request, version: ApiVersion) -> str:
    """The `accept` of data sets that there are as DICOM JSON alone (WL-3). Raises NotAcceptable."""
    return negotiate_dicom_json(accepted(request, version).types())


def accepted_plain_json(request: Request, version: ApiVersion) -> str:
    """The `accept` of JSON that is no data set. Raises NotAcceptable."""
    return negotiate_plain_json(accepted(request, version).types())
