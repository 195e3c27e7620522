"""Transactions: the Bundle that is sent, and what its answer says of each entry (dicomcast §3.5, §3.6). Pure."""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.fhir.resources import Resource, elements
from shared.outgoing.failures import Failure, failure_of, request_failed

_STATUS = re.compile(r"([0-9]{3})(?: .*)?", re.DOTALL)
_GONE = (404, 410)


@dataclass(frozen=True, slots=True)
class Entry:
    """One request of a transaction."""

    method: str
    """POST, PUT or DELETE."""
    url: str
    """Type for a create, `Type/id` for the others."""
    resource: Resource | None = None
    if_none_exist: str = ""
    """Query of a conditional create, encoded."""
    if_match: str = ""
    """Version that is replaced."""
    full_url: str = field(default_factory=lambda: f"urn:uuid:{uuid.uuid4()}")
    """Its name in references inside the transaction."""


@dataclass(frozen=True, slots=True)
class EntryAnswer:
    """The answer to one request of a transaction."""

    status: int
    location: str
    """Of what was written, as the server names it; may be empty."""
    etag: str


def create(resource: Resource, if_none_exist: str, full_url: str = "") -> Entry:
    """A conditional create."""
    named = {"full_url": full_url} if full_url else {}
    return Entry("POST", str(resource["resourceType"]), resource, if_none_exist=if_none_exist, **named)


def transaction(entries: Sequence[Entry]) -> dict[str, Any]:
    """The Bundle."""
    return {"resourceType": "Bundle", "type": "transaction", "entry": [_entry(each) for each in entries]}


def _entry(entry: Entry) -> dict[str, Any]:
    request: dict[str, Any] = {"method": entry.method, "url": entry.url}
    if entry.if_none_exist:
        request["ifNoneExist"] = entry.if_none_exist
    if entry.if_match:
        request["ifMatch"] = f'W/"{entry.if_match}"'
    document: dict[str, Any] = {"fullUrl": entry.full_url, "request": request}
    if entry.resource is not None:
        document["resource"] = entry.resource
    return document


def read_answers(document: Any, entries: Sequence[Entry]) -> list[EntryAnswer]:
    """The answer to each of `entries`. Raises RequestFailed: unusable, or what a failed entry means."""
    is_answer = isinstance(document, Mapping) and document.get("type") == "transaction-response"
    answered = elements(document, "entry") if is_answer else []
    if len(answered) != len(entries):
        raise _unusable("The FHIR server did not answer each entry of a transaction.")
    return [_answer(entry, each.get("response")) for entry, each in zip(entries, answered, strict=True)]


def _answer(entry: Entry, response: Any) -> EntryAnswer:
    status_text = response.get("status") if isinstance(response, Mapping) else None
    matched = _STATUS.fullmatch(status_text) if isinstance(status_text, str) else None
    if matched is None:
        raise _unusable("The FHIR server answered an entry of a transaction without a status.")
    status = int(matched[1])
    if not 200 <= status < 300 and not (entry.method == "DELETE" and status in _GONE):
        raise request_failed(
            failure_of(status), f"The FHIR server answered an entry with status {status}.", status=status
        )
    location, etag = response.get("location"), response.get("etag")
    return EntryAnswer(status, location if isinstance(location, str) else "", etag if isinstance(etag, str) else "")


def _unusable(text: str) -> Exception:
    return request_failed(Failure.UNUSABLE, text)
