"""Requests to the FHIR server (dicomcast §3.4 to §3.6, FHIR R4 §3.1.0 RESTful API).

Whatever fails raises `RequestFailed` with its class. Requests that only read are repeated after a pause where the
client was told to; writes never are: who sends them reads again and decides.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlencode

import orjson

from shared.fhir.resources import Resource, elements
from shared.fhir.search_answer import SearchPage, read_page
from shared.fhir.transaction import Entry, EntryAnswer, read_answers, transaction
from shared.outgoing.documents import read_document
from shared.outgoing.failures import Failure, RequestFailed, answer_failed, request_failed
from shared.outgoing.server import MOST_BYTES, Answer, Server

type Parameters = Sequence[tuple[str, str]]
"""Search parameters: names and values as R4 §3.1.1 has them, escaped (`token`, `escaped`) but not percent-encoded."""

type Handling = Literal["strict", "preferred", "lenient"]
"""strict: an unknown parameter is refused. preferred: a server that refuses is asked once more without, and its page
says so. lenient: it may be ignored."""

_FHIR = "application/fhir+json"
_FORM = "application/x-www-form-urlencoded"
_NO_POST = (404, 405, 415, 501)
"""Answers of servers that only know searches by GET."""
_NO_HISTORY = (400, 403, 404, 405, 410, 501)
"""Answers of servers that offer no versions of a resource, or none any more."""
_AGAIN = (Failure.UNAVAILABLE, Failure.THROTTLED, Failure.TRANSIENT)
_PAGES = 100_000
_PAGES_TOGETHER = 1_000
"""Pages of a search whose matches are all held; together they are no larger than one answer may be."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The repetition of reads: `attempts` in all, after pauses that double, from `seconds` to `most_seconds`; longer
    where the server asks for it.
    """

    attempts: int = 1
    seconds: float = 0.5
    most_seconds: float = 30.0


class FhirClient:
    """The client of one FHIR server."""

    def __init__(self, server: Server, *, retry: Retry | None = None) -> None:
        self._server = server
        self._retry = retry or Retry()
        self._posts_searches = True

    @property
    def base(self) -> str:
        """The address of the server, without a slash at the end."""
        return self._server.base

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self._server.requests

    async def capabilities(self) -> Resource:
        """The CapabilityStatement. Raises RequestFailed."""
        return await _resource(await self._read("GET", "metadata", {}), "CapabilityStatement")

    async def read(self, resource_type: str, resource_id: str) -> Resource | None:
        """A resource; None if there is none, or none any more. Raises RequestFailed."""
        try:
            answer = await self._read("GET", f"{resource_type}/{quote(resource_id, safe='')}", {})
        except RequestFailed as error:
            if error.status in (404, 410):
                return None
            raise
        return await _resource(answer, resource_type)

    async def history(self, resource_type: str, resource_id: str) -> list[Resource]:
        """The versions of a resource, oldest first; none where the server offers none. Raises RequestFailed."""
        try:
            answer = await self._read("GET", f"{resource_type}/{quote(resource_id, safe='')}/_history?_count=200", {})
        except RequestFailed as error:
            if error.status in _NO_HISTORY:
                return []
            raise
        versions = [
            version
            for entry in elements(await _resource(answer, "Bundle"), "entry")
            if isinstance(version := entry.get("resource"), Mapping)
        ]
        return versions[::-1]

    async def expand(self, url: str, *, offset: int, count: int) -> Resource:
        """A ValueSet with a page of its expansion (R4 §4.9.15). Raises RequestFailed."""
        asked = urlencode((("url", url), ("offset", offset), ("count", count)))
        return await _resource(await self._read("GET", f"ValueSet/$expand?{asked}", {}), "ValueSet")

    async def search(
        self, resource_type: str, parameters: Parameters, *, handling: Handling = "preferred"
    ) -> list[Resource]:
        """All matches of a search, over all pages. Raises RequestFailed."""
        found: list[Resource] = []
        pages = size = 0
        async for page in self.pages(resource_type, parameters, handling=handling):
            pages, size = pages + 1, size + page.size
            if pages > _PAGES_TOGETHER or size > MOST_BYTES:
                raise request_failed(Failure.UNUSABLE, "The FHIR server finds more than can be held.")
            found += page.matches
        return found

    async def pages(
        self, resource_type: str, parameters: Parameters, *, handling: Handling = "preferred"
    ) -> AsyncIterator[SearchPage]:
        """The pages of a search (CAST-SR-2, CAST-SR-3), as they are asked for. Raises RequestFailed.

        The parameters go in a body: addresses enter the logs of servers and proxies, and these name patients.
        """
        strict = handling != "lenient"
        try:
            answer = await self._search(resource_type, parameters, strict=strict)
        except RequestFailed as error:
            if error.status != 400 or handling != "preferred":
                raise
            strict = False
            answer = await self._search(resource_type, parameters, strict=False)
        seen: set[str] = set()
        while True:
            page = read_page(await _json(answer), resource_type, strict=strict, size=len(answer.body))
            yield page
            if not page.next:
                return
            if page.next in seen or len(seen) >= _PAGES:
                raise request_failed(Failure.UNUSABLE, "The FHIR server sends the pages of a search in a circle.")
            seen.add(page.next)
            answer = await self._read("GET", page.next, {})

    async def create(self, resource: Resource, *, if_none_exist: str = "") -> tuple[Resource, bool]:
        """Create a resource, unless one matches `if_none_exist` (an encoded query); what there is then, and whether
        it is new. Raises RequestFailed.
        """
        resource_type = str(resource["resourceType"])
        headers = {"If-None-Exist": if_none_exist} if if_none_exist else {}
        answer = await self._write("POST", resource_type, {**headers, "Prefer": "return=representation"}, resource)
        return await _resource(answer, resource_type), answer.status == 201

    async def update(self, resource: Resource, *, if_match: str = "") -> Resource:
        """Replace a resource, only that version of it if `if_match` is given. Raises RequestFailed."""
        resource_type = str(resource["resourceType"])
        headers = {"If-Match": f'W/"{if_match}"'} if if_match else {}
        answer = await self._write(
            "PUT", f"{resource_type}/{resource['id']}", {**headers, "Prefer": "return=representation"}, resource
        )
        return await _resource(answer, resource_type)

    async def delete(self, resource_type: str, resource_id: str) -> None:
        """Delete a resource; it may be gone already. Raises RequestFailed."""
        answer = await self._send("DELETE", f"{resource_type}/{quote(resource_id, safe='')}", {}, None)
        if answer.status not in (200, 202, 204, 404, 410):
            raise _failed(answer)

    async def transaction(self, entries: Sequence[Entry]) -> list[EntryAnswer]:
        """Do all of `entries` or none; the answer to each. Raises RequestFailed."""
        answer = await self._write("POST", "", {"Prefer": "return=minimal"}, transaction(entries))
        return read_answers(await _json(answer), entries)

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    # ----------------------------------------------------------------------------------------------------- inside

    async def _search(self, resource_type: str, parameters: Parameters, *, strict: bool) -> Answer:
        form = urlencode(parameters)
        prefer = {"Prefer": "handling=strict"} if strict else {}
        if self._posts_searches:
            try:
                return await self._read(
                    "POST", f"{resource_type}/_search", {**prefer, "Content-Type": _FORM}, form.encode()
                )
            except RequestFailed as error:
                if error.status not in _NO_POST:
                    raise
            answer = await self._read("GET", f"{resource_type}?{form}", prefer)
            self._posts_searches = False
            return answer
        return await self._read("GET", f"{resource_type}?{form}", prefer)

    async def _read(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = await self._send(method, target, headers, body)
                if 200 <= answer.status < 300:
                    return answer
                raise _failed(answer)
            except RequestFailed as error:
                if error.failure not in _AGAIN or attempt >= self._retry.attempts:
                    raise
                pause = min(self._retry.seconds * 2 ** (attempt - 1), self._retry.most_seconds)
                await asyncio.sleep(max(pause * random.uniform(0.75, 1.25), error.retry_after))

    async def _write(self, method: str, target: str, headers: Mapping[str, str], document: Mapping[str, Any]) -> Answer:
        answer = await self._send(method, target, {**headers, "Content-Type": _FHIR}, orjson.dumps(document))
        if not 200 <= answer.status < 300:
            raise _failed(answer)
        return answer

    async def _send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        return await self._server.request(method, target, headers={"Accept": _FHIR, **headers}, body=body)


def _failed(answer: Answer) -> RequestFailed:
    return answer_failed("FHIR", answer.status, answer.headers, answer.body)


async def _json(answer: Answer) -> Any:
    try:
        return await read_document(answer.body)
    except ValueError:
        raise request_failed(Failure.UNUSABLE, "The FHIR server answered with something else than JSON.") from None


async def _resource(answer: Answer, resource_type: str) -> Resource:
    document = await _json(answer)
    if not isinstance(document, Mapping) or document.get("resourceType") != resource_type:
        raise request_failed(Failure.UNUSABLE, f"The FHIR server answered with something else than a {resource_type}.")
    return document
