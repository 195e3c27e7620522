"""PS3.18 §11.10.1 Subscription requests: path and query string become a SubscriptionRequest."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlencode

from shared.dicom.identifiers import is_ae_title
from shared.dicomweb.query_parameters import boolean, integer, invalid_parameter, pairs, parse_query
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest
from shared.http.messages import Request
from shared.subscriptions.subscriber import MESSAGE_IDS
from shared.worklist.search import matching
from shared.worklist.search.request import Filter, read_filters

_LOCK: Final = "deletionlock"
_FILTER: Final = "filter"
_AFTER: Final = "after"
_OTHERS: Final = frozenset({"accept", "charset"})
_LONGEST_FILTER: Final = 4_000
"""Characters: it stands in a row, and is judged for each event."""
_CONTROLS: Final = frozenset({"limit", "offset", "includefield", "orderby"})
_PARSED: Final = 512
"""Filters that are remembered as they were parsed: those of one data partition."""


@dataclass(frozen=True, slots=True)
class SubscriptionRequest:
    """The subscriber, and its subject."""

    aetitle: str
    lock: bool = False
    filter: str = field(default="", repr=False)
    """Matching keys as a query string."""


def parse_subscription(request: Request, _version: ApiVersion) -> SubscriptionRequest:
    """The request for a subscription. Raises InvalidRequest."""
    lock: str | None = None
    keys: list[tuple[str, str]] = []
    for name, value in pairs(request.query):
        lower = name.lower()
        if lower == _LOCK:
            if lock is not None:
                raise invalid_parameter(_LOCK, "It is given more than once.")
            lock = value
        elif lower == _FILTER:
            keys += _matching_keys(value)
        elif lower not in _OTHERS:
            keys.append((name, value))
    stored = urlencode(keys)
    if len(stored) > _LONGEST_FILTER:
        raise invalid_parameter(_FILTER, f"It has more than {_LONGEST_FILTER} characters.")
    filters_of(stored)
    return SubscriptionRequest(aetitle_of(request), boolean(lock or None, _LOCK, default=False), stored)


def parse_subscriber(request: Request, _version: ApiVersion) -> SubscriptionRequest:
    """The subscriber whom a path names. Raises InvalidRequest."""
    return SubscriptionRequest(aetitle_of(request))


def parse_opening(request: Request, _version: ApiVersion) -> tuple[str, int | None]:
    """The subscriber who opens a connection, and the Message ID of the last report that it has got, None if it does not
    say. Raises InvalidRequest.
    """
    after = [value for name, value in pairs(request.query) if name.lower() == _AFTER]
    if not after:
        return aetitle_of(request), None
    return aetitle_of(request), integer(after[-1], _AFTER, 0, 0, MESSAGE_IDS)


def aetitle_of(request: Request) -> str:
    """The AE title of the path, without spaces around it. Raises InvalidRequest."""
    aetitle = request.route.get("aetitle", "").strip(" ")
    if not is_ae_title(aetitle):
        raise InvalidRequest(
            "The AE title in the path is not valid.",
            where="path, {aetitle}",
            remedy="Use 1 to 16 characters of ASCII, without backslash and control characters.",
        )
    return aetitle


def _matching_keys(text: str) -> list[tuple[str, str]]:
    """The pairs of `filter=a=1,b=2`; what has no `=` belongs to the value before it."""
    found: list[tuple[str, str]] = []
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if equals:
            found.append((name.strip(), value.strip()))
        elif found:
            name, before = found[-1]
            found[-1] = name, f"{before},{part.strip()}"
        elif part.strip():
            raise invalid_parameter(_FILTER, "It has no attribute with a value.")
    return found


@lru_cache(_PARSED)
def filters_of(stored: str) -> tuple[Filter, ...]:
    """The matching keys in a filter as it is stored. Raises InvalidRequest (WQ-5, WQ-6)."""
    parameters = parse_query(stored)
    named = {name.lower() for name, _ in pairs(stored)} & _CONTROLS
    if named:
        raise invalid_parameter(_FILTER, f"'{min(named)}' is no matching key.")
    return tuple(read_filters(parameters).values())


def is_match(stored: str, attributes: Mapping[str, Any]) -> bool:
    """Whether what searches match of a workitem meets a filter as it is stored."""
    return matching.is_match(attributes, filters_of(stored))
