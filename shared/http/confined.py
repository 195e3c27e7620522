"""The requests that the bearer of a share's token may make (SHR-2, SHR-3). Everything else does not exist for it."""

from typing import Final

from shared.dicom.identifiers import ResourceIdentifier, is_uid, trim_uid
from shared.dicomweb.confinement import Confinement
from shared.dicomweb.partitions import DEFAULT_NAME
from shared.errors import NotFound
from shared.http.routing import Routed

_NOT_THERE: Final = "The resource does not exist."
_REMEDY: Final = "A share has searches of its studies, their metadata and pictures; GET /v2/studies lists the studies."


def check_confined(within: Confinement, found: Routed) -> None:
    """Raises NotFound for a resource, a data partition, a study or a series that the share does not have."""
    wanted = found.resource.under_share
    allowed = wanted == "any" or (wanted == "download" and within.downloads)
    partition = found.route.get("partition", DEFAULT_NAME)
    if not allowed or partition.casefold() != within.partition.casefold() or not _has_scope(within, found):
        raise NotFound(_NOT_THERE, remedy=_REMEDY)


def _has_scope(within: Confinement, found: Routed) -> bool:
    study, series = found.route.get("study"), found.route.get("series")
    if study is None or not is_uid(study):  # what is no UID is refused for that
        return True
    known = trim_uid(series) if series is not None and is_uid(series) else None
    return within.has(ResourceIdentifier(trim_uid(study), known))
