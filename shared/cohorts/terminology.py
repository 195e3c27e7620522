"""Value sets that a terminology server expands: `expand: {url}` of a CODE (cohorts §8.2, COH-38)."""

from collections.abc import Iterator
from typing import Any, Final

from shared.cohorts.evaluation.codes import CodePair
from shared.fhir.client import FhirClient
from shared.fhir.resources import Resource, elements
from shared.outgoing.failures import Failure, RequestFailed, request_failed

MOST: Final = 5000
"""Codes of an expansion: each fifty of them are a search, and all are kept with the cohort in one row."""
_PAGE: Final = 1000
_REFUSALS: Final = (400, 404, 410, 422)
"""Answers about the value set, not about the server (R4 §4.9.15)."""


class NotExpanded(Exception):
    """A value set has no expansion that can be used; the text says why."""


class Terminology:
    """The terminology server."""

    def __init__(self, client: FhirClient) -> None:
        self._client = client

    async def codes(self, url: str) -> frozenset[CodePair]:
        """The codes of a value set, of all pages. Raises NotExpanded, RequestFailed."""
        found: set[CodePair] = set()
        listed = 0
        while True:
            expansion = await self._page(url, listed)
            contained = list(_contained(expansion))
            found |= {pair for each in contained if (pair := _pair(each))}
            if len(found) > MOST:
                raise NotExpanded(f"its expansion has more than {MOST} codes")
            listed += len(contained)
            total = expansion.get("total")
            if not isinstance(total, int) or listed >= total:
                break
            if not contained:  # the rest was announced: without it, patients would be lost
                raise request_failed(Failure.UNUSABLE, "The terminology server does not send a whole expansion.")
        if not found:
            raise NotExpanded("its expansion has no codes")
        return frozenset(found)

    async def _page(self, url: str, offset: int) -> Resource:
        try:
            answer = await self._client.expand(url, offset=offset, count=_PAGE)
        except RequestFailed as error:
            if error.status in _REFUSALS:
                raise NotExpanded(f"the terminology server does not expand it ({error.status})") from None
            raise
        expansion: Any = answer.get("expansion")
        if not isinstance(expansion, dict):
            raise request_failed(Failure.UNUSABLE, "The terminology server answered a value set without an expansion.")
        return expansion


def _contained(expansion: Resource) -> Iterator[Resource]:
    """The entries of an expansion, those inside others too."""
    waiting = elements(expansion, "contains")[::-1]
    while waiting:
        each = waiting.pop()
        yield each
        waiting += elements(each, "contains")[::-1]


def _pair(entry: Resource) -> CodePair | None:
    """System and code; None for an entry that only groups others."""
    system, code = entry.get("system"), entry.get("code")
    if not isinstance(system, str) or not isinstance(code, str) or entry.get("abstract") is True:
        return None
    return system, code
