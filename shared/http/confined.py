"""The requests that the bearer of a share's token may make (SHR-2, SHR-3). Everything else does not exist for it."""

from typing import Final

from shared.dicom.identifiers import ResourceIdentifier, is_uid, trim_uid
from shared.dicomweb.confinement import Confinement
from shared.dicomweb.partitions import DEFAULT_NAME
from shared.errors import NotFound, Unavailable
from shared.http.routing import Routed

_NOT_THERE: Final = "The resource does not exist."
_BEING_MADE: Final = "The de-identified copy of the shared studies is being made."
_WAIT: Final = "Ask again later; GET /v2/shares tells who has made the share how it stands."
_LATER: Final = (("Retry-After", "30"),)
_REMEDY: Final = "A share has searches of its studies, their metadata and pictures; GET /v2/studies lists the studies."


def check_confined(within: Confinement, found: Routed) -> None:
    """Raises NotFound for a resource, a data partition, a study or a series that the share does not have, Unavailable
    while its copies are being made (SHR-7).
    """
    wanted = found.resource.under_share
    allowed = wanted == "any" or (wanted == "download" and within.downloads)
    partition = found.route.get("partition", DEFAULT_NAME)
    if not allowed or partition.casefold() != within.partition.casefold():
        raise NotFound(_NOT_THERE, remedy=_REMEDY)
    if not within.complete:
        raise Unavailable(_BEING_MADE, remedy=_WAIT, fields=_LATER)
    if not _has_scope(within, found):
        raise NotFound(_NOT_THERE, remedy=_REMEDY)


def _has_scope(within: Confinement, found: Routed) -> bool:
    study, series = found.route.get("study"), found.route.get("series")
    if study is None or not is_uid(study):  # what is no UID is refused for that
        return True
    known = trim_uid(series) if series is not None and is_uid(series) else None
    return within.has(ResourceIdentifier(trim_uid(study), known))
