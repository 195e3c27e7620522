"""The service as the command line sees it: JSON over HTTP with a token."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

_TIMEOUT: Final = 120.0
_POLL_SECONDS: Final = 2.0


class Refused(Exception):
    """The service has refused a request; the text is what it said."""


class Service:
    """One service, by the URL of its API version."""

    def __init__(self, url: str, token: str = "", *, poll_seconds: float = _POLL_SECONDS) -> None:
        """`url`: with or without `/v2`."""
        base = url.rstrip("/")
        self._base = base if base.endswith("/v2") else f"{base}/v2"
        self._token = token
        self._poll_seconds = poll_seconds

    def ask(
        self, method: str, path: str, document: Any = None, *, accept: str = "application/json"
    ) -> tuple[int, bytes]:
        """Status and body of an answer; 409 is one, because several readings are no failure. Raises Refused."""
        headers = {"Accept": accept}
        if document is not None:
            headers["Content-Type"] = "application/json"
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(f"{self._base}/{path}", body, headers, method=method)  # noqa: S310 - the user's own URL
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            text = error.read()
            if error.code == 409:
                return 409, text
            raise Refused(f"{error.code}: {text.decode('utf-8', 'replace').strip()}") from None
        except urllib.error.URLError as error:
            raise Refused(f"{self._base} does not answer: {error.reason}") from None

    def json(self, method: str, path: str, document: Any = None) -> Any:
        """The document of an answer. Raises Refused."""
        status, body = self.ask(method, path, document)
        if status == 409:
            raise Refused(body.decode("utf-8", "replace").strip())
        return json.loads(body)

    def run(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """Run a definition to its end; the cohort. Raises Refused."""
        started = self.json("POST", "cohorts", definition)
        while True:
            cohort: dict[str, Any] = self.json("GET", f"cohorts/{started['id']}")
            if cohort["status"] not in ("notStarted", "running"):
                return cohort
            time.sleep(self._poll_seconds)

    def manifest(self, cohort_id: str, *, files: bool = False) -> dict[str, Any]:
        """The manifest of a cohort. Raises Refused."""
        found: dict[str, Any] = self.json("GET", f"cohorts/{cohort_id}/manifest{'?files=true' if files else ''}")
        return found

    def translate(self, text: str, as_of: str | None) -> tuple[int, dict[str, Any]]:
        """Status and document of a translation. Raises Refused."""
        question = {"text": text} | ({"asOf": as_of} if as_of else {})
        status, body = self.ask("POST", "cohorts/translate", question)
        return status, json.loads(body)

    def timeline(self, patient: str, query: str, accept: str) -> bytes:
        """The timeline of a patient. Raises Refused."""
        found = f"fhir-patients/{quote(patient, safe='')}/timeline"
        return self.ask("GET", f"{found}?{query}" if query else found, accept=accept)[1]
