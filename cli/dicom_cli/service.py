"""The service over the standard library's HTTP client, with retries (CLI-8)."""

import copy
import http.client
import json
import random
import re
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode, urljoin, urlsplit

from dicom_cli.configuration import Configuration
from dicom_cli.connection import Opened, opened, tls_failure
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.sign_in import Tokens

JSON: Final = "application/json"
DICOM_JSON: Final = "application/dicom+json"
PIECE: Final = 1 << 20
_SECONDS: Final = 120.0
_ATTEMPTS: Final = 5
_LONGEST_WAIT: Final = 60.0
_TRANSIENT: Final = frozenset({429, 502, 503, 504})
_RESOURCE: Final = re.compile(r'scope="([^"]+)"')
_CODES: Final = {
    401: ExitCode.NOT_ALLOWED,
    403: ExitCode.NOT_ALLOWED,
    404: ExitCode.NOT_FOUND,
    410: ExitCode.NOT_FOUND,
}

type Query = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, whole."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        """The body; None for an empty one. Raises CommandFailed if it is no JSON."""
        if not self.body:
            return None
        try:
            return json.loads(self.body)
        except ValueError:
            raise CommandFailed("The answer is no JSON: is this address that of the service?") from None


class Service:
    """One service. Safe to use from several threads: each request has a connection of its own."""

    def __init__(self, configuration: Configuration, *, tokens: Tokens | None = None, sleep: Any = time.sleep) -> None:
        self.url = configuration.service_url
        self.partition = configuration["partition"]
        self.tokens = tokens or Tokens(configuration)
        self._sleep = sleep

    def path(self, rest: str) -> str:
        """The path of a resource of v2, in the data partition if one is configured."""
        return f"/v2/partitions/{quote(self.partition, safe='')}/{rest}" if self.partition else f"/v2/{rest}"

    def in_partition(self, name: str) -> "Service":
        """The same service, with the resources of a data partition; empty: without one."""
        found = copy.copy(self)
        found.partition = name
        return found

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: bytes | Path | None = None,
        headers: Mapping[str, str] | None = None,
        expect: tuple[int, ...] = (200, 202, 204),
    ) -> Answer:
        """Send a request, again after a transient failure. Raises CommandFailed for a status that is not expected."""
        with self._response(method, path, query, body, headers) as response:
            answer = self._whole(response)
        if answer.status not in expect:
            raise failure_of(method, path, answer)
        return answer

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        query: Query = (),
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """The response to a GET, 200 or 206, to be read piece by piece. Raises CommandFailed."""
        with self._response("GET", path, query, None, headers) as response:
            if response.status not in (200, 206):
                raise failure_of("GET", path, self._whole(response))
            yield response

    # ----------------------------------------------------------------------------------------------------- inside

    def _whole(self, response: http.client.HTTPResponse) -> Answer:
        try:
            return Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as error:
            raise CommandFailed(
                f"The answer of {self.url} was cut short ({type(error).__name__}).", ExitCode.NOT_REACHABLE
            ) from None

    @contextmanager
    def _response(
        self, method: str, path: str, query: Query, body: bytes | Path | None, headers: Mapping[str, str] | None
    ) -> Iterator[http.client.HTTPResponse]:
        target = path + (f"?{urlencode(query)}" if query else "")
        renewed = False
        for attempt in range(_ATTEMPTS):
            way = opened(urljoin(self.url + "/", path), _SECONDS)
            try:
                try:
                    response = self._sent(way, method, target, body, headers or {})
                except ssl.SSLError as error:
                    raise tls_failure(self.url, error) from None
                except (OSError, http.client.HTTPException) as error:
                    if attempt + 1 == _ATTEMPTS or isinstance(error, ConnectionRefusedError):
                        raise CommandFailed(
                            f"{self.url} does not answer ({type(error).__name__}).", ExitCode.NOT_REACHABLE
                        ) from None
                    self._sleep(2**attempt * random.uniform(0.5, 1))
                    continue
                if response.status == 401 and not renewed and self._can_sign_in(response):
                    renewed = True
                    self.tokens.forget()
                    continue
                if response.status in _TRANSIENT and attempt + 1 < _ATTEMPTS:
                    self._sleep(_wait(response, attempt))
                    continue
                yield response
                return
            finally:
                way.connection.close()

    def _can_sign_in(self, response: http.client.HTTPResponse) -> bool:
        if self.tokens.renewable:
            return True
        asked = _RESOURCE.search(response.headers.get("WWW-Authenticate", ""))
        if asked and not self.tokens.scope:
            self.tokens.scope = asked[1]
            return self.tokens.renewable
        return False

    def _sent(
        self,
        way: Opened,
        method: str,
        target: str,
        body: bytes | Path | None,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        own = target.startswith("/")
        connection = way.connection
        sent = {"Accept": "*/*", **(way.fields or {}), **headers}
        where = urlsplit(self.url).path + target if own else f"{urlsplit(target).path}?{urlsplit(target).query}"
        where = way.origin + where
        # The token goes to the service alone, never to an address that an answer names.
        if (own or target.startswith(f"{self.url}/")) and (token := self.tokens.current()):
            sent["Authorization"] = f"Bearer {token}"
        if isinstance(body, Path):
            with body.open("rb") as file:
                sent["Content-Length"] = str(body.stat().st_size)
                connection.request(method, where, body=file, headers=sent)
        else:
            connection.request(method, where, body=body, headers=sent)
        return connection.getresponse()


def _wait(response: http.client.HTTPResponse, attempt: int) -> float:
    said = response.headers.get("Retry-After", "")
    return min(float(said) if said.isdigit() else 2.0**attempt, _LONGEST_WAIT)


def failure_of(method: str, path: str, answer: Answer) -> CommandFailed:
    """The failure in a refusal, in one sentence."""
    code = _CODES.get(answer.status, ExitCode.NOT_REACHABLE if answer.status in _TRANSIENT else ExitCode.SOME_FAILED)
    if answer.status == 400 and method == "GET":  # of what changes something, 400 may be the state that it is in
        code = ExitCode.WRONG_USE
    if answer.status == 401:
        return CommandFailed("The service wants a sign-in: `az login`, DICOM_SCOPE, or DICOM_TOKEN.", code)
    text = answer.body[:2000].decode(errors="replace").strip()
    if answer.headers.get_content_type().endswith("json"):
        try:
            document = json.loads(answer.body)
        except ValueError:
            document = {}
        if isinstance(document, dict):
            parts = (document.get("detail") or document.get("title"), document.get("remedy"))
            text = " ".join(str(each) for each in parts if each) or text
    return CommandFailed(f"{answer.status} to {method} {path.partition('?')[0]}: {text or 'no reason given'}", code)
