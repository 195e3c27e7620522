"""azure-apis §6.1 The answer to a request whose attributes cannot be updated (UPD-7). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from shared.dicom.media_types import DICOM_JSON
from shared.http.messages import Response

_SHOWN = 64
"""Characters of what is no tag."""


@dataclass(frozen=True, slots=True)
class InvalidAttributes:
    """Why attributes cannot be updated, by tag or by what stands in its place."""

    reasons: Mapping[str, str]


def refused(invalid: InvalidAttributes) -> Response:
    """400, with FailedAttributesSequence (0074,1048), an item for each attribute."""
    items = [
        {"00000902": {"vr": "LO", "Value": [f"DICOM100: ({_tag(key)}) - {reason}"]}}
        for key, reason in invalid.reasons.items()
    ]
    body = orjson.dumps({"00741048": {"vr": "SQ", "Value": items}})
    return Response(400, (("Content-Type", DICOM_JSON), ("Cache-Control", "no-store")), body)


def _tag(key: str) -> str:
    try:
        tag = int(key, 16) if len(key) == 8 else -1
    except ValueError:
        tag = -1
    return key[:_SHOWN] if tag < 0 else f"{tag >> 16:04x},{tag & 0xFFFF:04x}"
