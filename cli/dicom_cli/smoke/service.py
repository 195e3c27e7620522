"""The service that is tried out, over the standard library's HTTP client: nothing stands between it and the check."""

import http.client
import json
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from dicom_cli.connection import opened

_SECONDS: Final = 60.0


class Failed(Exception):
    """A check has failed: what is wrong, what it means and where to look."""

    def __init__(self, wrong: str, means: str) -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.means = means


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, whole."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    seconds: float

    def header(self, name: str) -> str:
        """The value of a header field; '' without one."""
        return str(self.headers.get(name, ""))

    def json(self) -> Any:
        """The body. Raises Failed if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise Failed(f"{self.status} with a body that is not JSON", "something in front answers instead") from None

    def expect(self, *statuses: int, means: str) -> "Answer":
        """This answer, if its status is one of those. Raises Failed."""
        if self.status not in statuses:
            wanted = " or ".join(map(str, statuses))
            raise Failed(f"the answer is {self.status}, not {wanted}: {self.excerpt}", means)
        return self

    @property
    def excerpt(self) -> str:
        """The beginning of the body, for people."""
        return " ".join(self.body[:200].decode(errors="replace").split())


@dataclass(frozen=True, slots=True)
class Service:
    """The service at its URL, asked by one caller."""

    url: str
    """Without trailing slash."""
    token: str = ""
    """Of somebody who may do everything."""
    reader_token: str = ""
    """Of somebody who may only read."""
    origin: str = ""
    """Of a viewer that the service admits."""
    partition: str = ""
    """A data partition for what is stored, where the service has them."""

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine."""
        return urlsplit(self.url).hostname in ("localhost", "127.0.0.1", "::1")

    def path(self, rest: str) -> str:
        """The path of a resource of v2, in the partition if there is one."""
        return f"/v2/partitions/{self.partition}/{rest}" if self.partition else f"/v2/{rest}"

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
        seconds: float = _SECONDS,
    ) -> Answer:
        """Send one request; `token` None: this service's, '': none. Raises Failed when there is no answer."""
        parts = urlsplit(self.url)
        sent = {"Accept": "*/*", **(headers or {})}
        bearer = self.token if token is None else token
        if bearer:
            sent["Authorization"] = f"Bearer {bearer}"
        way = opened(self.url, seconds)
        connection = way.connection
        sent |= way.fields or {}
        began = time.monotonic()
        try:
            connection.request(
                method,
                way.origin + parts.path + path,
                body=body,
                headers=sent,
                encode_chunked=not isinstance(body, bytes | None),
            )
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read(), time.monotonic() - began)
        except ssl.SSLError as error:
            raise Failed(
                f"TLS: {error.reason}", "the certificate is not for this name, or a proxy stands between"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise Failed(
                f"no answer to {method} {path.partition('?')[0]} ({type(error).__name__})",
                "the name does not resolve, the app is stopped, or a network rule keeps this machine out",
            ) from None
        finally:
            connection.close()
