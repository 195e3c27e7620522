"""Metadata that are asked for (PS3.18 §10.4.1.1.2)."""

from dataclasses import dataclass

from shared.dicomweb.versions import ApiVersion
from shared.http.messages import Request
from shared.retrieve.metadata.selection import Selection, parse_selection


@dataclass(frozen=True, slots=True)
class MetadataRequest:
    """The request beside its path."""

    selection: Selection | None
    """The attributes that are asked for (META-11); None: all."""


def parse_metadata(request: Request, _version: ApiVersion) -> MetadataRequest:
    """The parameter includefield. Raises InvalidRequest."""
    return MetadataRequest(parse_selection(request.query))
