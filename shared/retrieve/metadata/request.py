"""Metadata that are asked for (PS3.18 §10.4.1.1.2)."""

from dataclasses import dataclass

from shared.dicomweb.versions import ApiVersion
from shared.http.messages import Request
from shared.retrieve.metadata.selection import Selection, parse_selection


@dataclass(frozen=True, slots=True)
class MetadataRequest:
    """The request beside its path."""

    original: bool
    """The version before any bulk update (WADO-32)."""
    selection: Selection | None
    """The attributes that are asked for (META-11); None: all."""


def parse_metadata(request: Request, _version: ApiVersion) -> MetadataRequest:
    """The header msdicom-request-original and the parameter includefield. Raises InvalidRequest."""
    header = request.headers.get("msdicom-request-original") or ""
    return MetadataRequest(header.strip().lower() == "true", parse_selection(request.query))
