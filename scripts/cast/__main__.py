"""`python -m scripts.cast COMMAND --url https://…`: check, status, errors, unmatched, preview, replay, connect, verify.

TOKEN in the environment is sent as bearer token. The exit code is 0 when all is well.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

_TIMEOUT = 60
_PAUSE = 2.0
_LONGEST = 6 * 3600.0


class Failed(Exception):
    """The service did not do it; the text is for people."""


class Service:
    """The resources of DICOMcast at one service."""

    def __init__(self, url: str, token: str) -> None:
        self._base = f"{url.rstrip('/')}/v2/cast"
        self._token = token

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """One request; its JSON, or None. Raises Failed."""
        given = {name: value for name, value in query.items() if value}
        address = path if path.startswith("http") else f"{self._base}/{path}"
        if given:
            address += f"?{urllib.parse.urlencode(given)}"
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json"}
        headers |= {"Authorization": f"Bearer {self._token}"} if self._token else {}
        headers |= {"Content-Type": "application/json"} if data is not None else {}
        request = urllib.request.Request(address, data=data, method=method, headers=headers)  # noqa: S310 - of the user
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310 - the same
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise Failed(f"status {error.code}: {error.read(2000).decode(errors='replace')}") from None
        except OSError as error:
            raise Failed(f"the service cannot be reached: {error}") from None
        return json.loads(text) if text else None


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.cast", description="DICOMcast of a service.")
    parser.add_argument("--url", default=os.environ.get("URL", "http://localhost:7071"), help="of the service")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="whether the FHIR server can be used")
    commands.add_parser("status", help="how far it is, and what keeps it")
    errors = commands.add_parser("errors", help="what could not be written")
    errors.add_argument("--class", dest="kind", default="")
    errors.add_argument("--study", default="")
    errors.add_argument("--since", default="")
    commands.add_parser("unmatched", help="studies that wait for a Patient")
    for name, text in (("preview", "what would be sent for a study"), ("connect", "choose the Patient of a study")):
        command = commands.add_parser(name, help=text)
        command.add_argument("--study", required=True)
        command.add_argument("--partition", default="")
        if name == "connect":
            which = command.add_mutually_exclusive_group(required=True)
            which.add_argument("--create", action="store_true")
            which.add_argument("--patient", default="")
    replay = commands.add_parser("replay", help="try again: one study, or what is parked")
    replay.add_argument("--study", default="")
    replay.add_argument("--partition", default="")
    replay.add_argument("--class", dest="kind", default="")
    verify = commands.add_parser("verify", help="compare FHIR with DICOM; exit code 0 without differences")
    verify.add_argument("--repair", action="store_true")
    return parser.parse_args(words)


def run(service: Service, asked: argparse.Namespace) -> tuple[Any, bool]:
    """What the command says, and whether all is well. Raises Failed."""
    match asked.command:
        case "check":
            found = service.ask("GET", "check")
            return found, found["well"]
        case "status":
            found = service.ask("GET", "status")
            return found, not found["circuit"]["open"]
        case "errors":
            query = {"class": asked.kind, "study": asked.study, "since": asked.since}
            return service.ask("GET", "errors", **query), True
        case "unmatched":
            return service.ask("GET", "unmatched"), True
        case "preview":
            return service.ask("GET", f"studies/{asked.study}/preview", partition=asked.partition), True
        case "connect":
            body = {"create": True} if asked.create else {"reference": asked.patient}
            return service.ask("POST", f"studies/{asked.study}/patient", body, partition=asked.partition), True
        case "replay" if asked.study:
            return service.ask("POST", f"studies/{asked.study}/replay", partition=asked.partition), True
        case "replay":
            return service.ask("POST", "replay", **{"class": asked.kind}), True
    return _verify(service, repair=asked.repair)


def _verify(service: Service, *, repair: bool) -> tuple[Any, bool]:
    operation = service.ask("POST", "verify", {"repair": repair})
    end = time.monotonic() + _LONGEST
    while time.monotonic() < end:
        state = service.ask("GET", operation["href"])
        if state["status"] == "failed":
            raise Failed(f"the comparison failed: {state.get('results')}")
        if "results" in state:
            found = service.ask("GET", state["results"]["resultHref"])
            return {**state["results"], **found}, not found["differences"]
        time.sleep(_PAUSE)
    raise Failed("the comparison takes too long; it goes on")


def main(words: list[str] | None = None) -> int:
    """Run a command."""
    asked = _arguments(words)
    try:
        told, well = run(Service(asked.url, os.environ.get("TOKEN", "")), asked)
    except Failed as failed:
        print(failed, file=sys.stderr)
        return 2
    if told is not None:
        print(json.dumps(told, indent=2))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
