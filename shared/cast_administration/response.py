"""Answers about DICOMcast (CAST-ER-7, CAST-PM-4). Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from shared.dicom.media_types import JSON_UTF_8
from shared.http.messages import Response

_HEADERS: Final = (("Content-Type", JSON_UTF_8), ("Cache-Control", "no-store"))


def answered(document: Any, status: int = 200) -> Response:
    """A JSON document."""
    return Response(status, _HEADERS, orjson.dumps(document))


def error_entry(identifier: str, kind: str, held: Mapping[str, Any]) -> dict[str, Any]:
    """One row of an error table."""
    outcome = held.get("Outcome")
    entry = {
        "id": identifier,
        "class": kind,
        "studyUid": held.get("StudyUid"),
        "seriesUid": held.get("SeriesUid"),
        "instanceUid": held.get("InstanceUid"),
        "partition": held.get("Partition"),
        "sequenceFrom": held.get("SequenceFrom"),
        "sequenceTo": held.get("SequenceTo"),
        "httpStatus": held.get("HttpStatus"),
        "exception": held.get("Exception"),
        "outcome": orjson.loads(outcome) if isinstance(outcome, str) else None,
        "attempts": held.get("Attempts"),
        "createdAt": moment(held.get("CreatedAt")),
        "resolvedAt": moment(held.get("ResolvedAt")),
    }
    return {name: value for name, value in entry.items() if value not in (None, "", 0)}


def unmatched_entry(
    study: str, partition: str, told: Mapping[str, Any], since: float, candidates: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """A study that waits for its Patient."""
    entry = {
        "studyUid": study,
        "partition": partition,
        "patientId": told.get("patientId"),
        "issuer": told.get("issuer"),
        "since": moment(since),
        "candidates": [
            {"reference": f"Patient/{each['id']}", "identifier": each.get("identifier", [])} for each in candidates
        ],
    }
    return {name: value for name, value in entry.items() if value not in (None, "")}


def moment(seconds: Any) -> str | None:
    """Seconds since 1970 as text; None for none."""
    if not isinstance(seconds, int | float) or not seconds:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
