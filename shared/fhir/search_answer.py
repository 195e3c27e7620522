"""The answer to a search: matches, included resources, the way to the next page (CAST-SR-2, R4 §3.1.1.3). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.fhir.resources import Resource, elements
from shared.outgoing.failures import Failure, request_failed


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page."""

    matches: Sequence[Resource]
    """Of the type that was asked for: entries whose mode is `match`, or that have none."""
    included: Sequence[Resource]
    """Entries of mode `include`."""
    next: str
    """Address of the next page; empty at the end."""
    total: int | None
    """Number of all matches, where the server tells."""
    strict: bool = True
    """False: the server may have ignored parameters, because it refused to be strict (CAST-SR-3)."""
    size: int = 0
    """Bytes of the answer."""


def read_page(document: Any, resource_type: str, *, strict: bool = True, size: int = 0) -> SearchPage:
    """The page that a Bundle of type searchset is, of `size` bytes. Raises RequestFailed of class unusable."""
    if not isinstance(document, Mapping) or document.get("resourceType") != "Bundle":
        raise request_failed(Failure.UNUSABLE, "The FHIR server answered a search with something else than a Bundle.")
    matches: list[Resource] = []
    included: list[Resource] = []
    for entry in elements(document, "entry"):
        resource, search = entry.get("resource"), entry.get("search")
        mode = search.get("mode", "match") if isinstance(search, Mapping) else "match"
        if not isinstance(resource, Mapping):
            continue
        if mode == "match" and resource.get("resourceType") == resource_type:
            matches.append(resource)
        elif mode == "include":
            included.append(resource)
    links = [link.get("url") for link in elements(document, "link") if link.get("relation") == "next"]
    following = links[0] if links and isinstance(links[0], str) else ""
    total = document.get("total")
    return SearchPage(matches, included, following, total if isinstance(total, int) else None, strict, size)
