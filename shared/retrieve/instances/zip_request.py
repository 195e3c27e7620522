"""Which archive is asked for, and whether one is (ZIP-1, ZIP-3, ZIP-4). Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shared.dicom.media_types import ANY, ANY_APPLICATION, ANY_MULTIPART, DICOM, MULTIPART_RELATED, ZIP
from shared.dicomweb.content_negotiation import Accept, MediaType
from shared.dicomweb.query_parameters import boolean, invalid_parameter, pairs
from shared.dicomweb.versions import ApiVersion
from shared.http.messages import Request
from shared.retrieve.negotiation import AS_STORED, RetrievedResource, TransferSyntaxChoice, choices

_DICOMDIR: Final = "dicomdir"
_SENT: Final = frozenset({ZIP, DICOM, ANY, ANY_APPLICATION, ANY_MULTIPART})
"""The media types, and ranges of them, that answers with instances can have, beside multipart ones."""


@dataclass(frozen=True, slots=True)
class Asked[P]:
    """The query of a request: all that it says besides its path and Accept."""

    other: P
    """Of an answer that is no archive."""
    head_only: bool
    """HEAD: its answer tells the length of an archive."""
    dicomdir: bool
    """The archive is to have a DICOMDIR."""

    def check_no_archive(self) -> None:
        """Raise InvalidRequest for what only an archive can have, now that the answer is none (ZIP-4)."""
        if self.dicomdir:
            raise invalid_parameter(_DICOMDIR, "Only archives, of the type application/zip, have a DICOMDIR.")


def also_zip[P](parse: Callable[[Request, ApiVersion], P]) -> Callable[[Request, ApiVersion], Asked[P]]:
    """The `parse` of a resource that can be an archive as well. It raises InvalidRequest, and what `parse` does."""

    def parsed(request: Request, version: ApiVersion) -> Asked[P]:
        given = {name.lower(): value for name, value in pairs(request.query)} if request.query else {}
        dicomdir = boolean(given.get(_DICOMDIR), _DICOMDIR, default=False)
        return Asked(parse(request, version), request.method == "HEAD", dicomdir)

    return parsed


def _can_be_sent(accepted: MediaType) -> bool:
    """Whether instances can be of that type: what they cannot be is no reason to send no archive (RFC 9110 §12.5.1)."""
    if accepted.type == MULTIPART_RELATED:
        return (accepted.get("type") or DICOM) in {DICOM, ANY}
    return accepted.type in _SENT


def zip_choices(accept: Accept) -> tuple[TransferSyntaxChoice, ...]:
    """The transfer syntaxes of an archive's files, best first; () if no archive is what is accepted best.

    Any syntax unless one is named. Raises NotAcceptable.
    """
    if not any("zip" in field.lower() for field in (*accept.fields, accept.query)):
        return ()
    types = [each for each in accept.types() if _can_be_sent(each)]
    best = max((each.quality for each in types), default=0.0)
    zip_types = [each for each in types if each.type == ZIP and each.quality > 0]
    if all(each.quality < best for each in zip_types):
        return ()
    wanted = [(each.get("transfer-syntax") or AS_STORED, each.quality) for each in zip_types]
    return choices(
        RetrievedResource.INSTANCES,
        [MediaType(MULTIPART_RELATED, {"type": DICOM, "transfer-syntax": syntax}, weight) for syntax, weight in wanted],
    )
