"""`dicom cast`: what DICOMcast has written into a FHIR server, and what keeps it (dicomcast §5.6)."""

import argparse
import json
import time
from typing import Any, Final
from urllib.parse import quote

from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.output import Output
from dicom_cli.service import JSON, Service

EXAMPLE: Final = """\
  dicom cast check
  dicom cast errors --class transient
  dicom cast connect --study 1.2.3 --patient Patient/42
  dicom cast replay --study 1.2.3
  dicom cast verify --repair
"""
_PAUSE: Final = 2.0
_LONGEST: Final = 6 * 3600.0


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("check", help="whether the FHIR server can be used")
    actions.add_parser("status", help="how far it is, and what keeps it")
    errors = actions.add_parser("errors", help="what could not be written")
    errors.add_argument("--class", dest="kind", default="")
    errors.add_argument("--study", default="")
    errors.add_argument("--since", default="")
    actions.add_parser("unmatched", help="studies that wait for a Patient")
    for name, text in (("preview", "what would be sent for a study"), ("connect", "choose the Patient of a study")):
        action = actions.add_parser(name, help=text)
        action.add_argument("--study", required=True)
        if name == "connect":
            which = action.add_mutually_exclusive_group(required=True)
            which.add_argument("--create", action="store_true", help="a new one")
            which.add_argument("--patient", default="", help="Patient/ID")
    replay = actions.add_parser("replay", help="try again: one study, or what is parked")
    replay.add_argument("--study", default="")
    replay.add_argument("--class", dest="kind", default="")
    actions.add_parser("backfill", help="reconcile every study, for a FHIR server that is new")
    reset = actions.add_parser("reset", help="read the changes behind a sequence again")
    reset.add_argument("--to", type=int, required=True, metavar="SEQUENCE")
    verify = actions.add_parser("verify", help="compare FHIR with DICOM")
    verify.add_argument("--repair", action="store_true")


def run(arguments: argparse.Namespace, service: Service, output: Output) -> ExitCode:
    """Do what is asked. Raises CommandFailed."""
    study = f"studies/{quote(arguments.study, safe='')}" if getattr(arguments, "study", "") else ""
    match arguments.action:
        case "check":
            found = _ask(service, "GET", "check")
            output.item(found)
            return ExitCode.DONE if found["well"] else ExitCode.SOME_FAILED
        case "status":
            found = _ask(service, "GET", "status")
            output.item(found)
            return ExitCode.SOME_FAILED if found["circuit"]["open"] else ExitCode.DONE
        case "verify":
            found = _verified(service, repair=arguments.repair)
            output.item(found)
            return ExitCode.DIFFERENT if found["differences"] else ExitCode.DONE
        case "backfill":
            operation = _ask(service, "POST", "backfill")
            told = _ended(service, operation["id"], "The studies could not be listed.")
        case "reset":
            told = _ask(service, "POST", "reset", {"sequence": arguments.to})
        case "errors":
            query = {"class": arguments.kind, "study": arguments.study, "since": arguments.since}
            told = _ask(service, "GET", "errors", query=query)
        case "unmatched":
            told = _ask(service, "GET", "unmatched")
        case "preview":
            told = _ask(service, "GET", f"{study}/preview", query={"partition": service.partition})
        case "connect":
            body = {"create": True} if arguments.create else {"reference": arguments.patient}
            told = _ask(service, "POST", f"{study}/patient", body, query={"partition": service.partition})
        case _ if study:
            told = _ask(service, "POST", f"{study}/replay", query={"partition": service.partition})
        case _:
            told = _ask(service, "POST", "replay", query={"class": arguments.kind})
    if told is not None:
        output.item(told)
    return ExitCode.DONE


def _ask(service: Service, method: str, path: str, body: Any = None, *, query: dict[str, str] | None = None) -> Any:
    """The resources of DICOMcast are of the whole service: a data partition is a parameter."""
    given = {name: value for name, value in (query or {}).items() if value}
    headers = {"Accept": JSON} if body is None else {"Accept": JSON, "Content-Type": JSON}
    content = None if body is None else json.dumps(body).encode()
    return service.ask(method, f"/v2/cast/{path}", query=given, body=content, headers=headers).json()


def _verified(service: Service, *, repair: bool) -> dict[str, Any]:
    operation = _ask(service, "POST", "verify", {"repair": repair})
    results = _ended(service, operation["id"], "The comparison failed.")
    path = results["resultHref"].partition("/v2/")[2]
    found: dict[str, Any] = service.ask("GET", f"/v2/{path}", headers={"Accept": JSON}).json()
    return {**results, **found}


def _ended(service: Service, operation: str, failed: str) -> dict[str, Any]:
    """The results of an operation that has succeeded."""
    end = time.monotonic() + _LONGEST
    while time.monotonic() < end:
        state = service.ask("GET", f"/v2/operations/{operation}", headers={"Accept": JSON}).json()
        if state["status"] == "failed":
            raise CommandFailed(failed)
        if state["status"] in ("succeeded", "completed"):
            results: dict[str, Any] = state["results"]
            return results
        time.sleep(_PAUSE)
    raise CommandFailed("It takes too long; it goes on.")
