"""`python -m scripts.cohort`: cohorts, similar patients and timelines of a service (docs/use/cohorts.md)."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from scripts.cohort.service import Refused, Service
from scripts.cohort.tables import write_result

_FAILED, _UNCLEAR = 1, 3
_FORMATS = {"json": "application/json", "bundle": "application/fhir+json", "html": "text/html"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.cohort", description=__doc__)
    parser.add_argument("--url", default=os.environ.get("DICOM_URL", "http://localhost:7071"), help="of the service")
    parser.add_argument("--token", default=os.environ.get("DICOM_TOKEN", ""), help="bearer token; or DICOM_TOKEN")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a definition (a JSON file)")
    run.add_argument("definition", type=Path)
    run.add_argument("--as-of", help="the day that all dates are relative to")
    run.add_argument("--limit", type=int, help="members at most (limits.patients)")
    run.add_argument("--out", type=Path, help="folder for the manifest and its tables")
    run.add_argument("--dry-run", action="store_true", help="check the definition and show the searches")
    explain = commands.add_parser("explain", help="show the searches of a definition")
    explain.add_argument("definition", type=Path)
    ask = commands.add_parser("ask", help="translate a question")
    ask.add_argument("text")
    ask.add_argument("--as-of")
    ask.add_argument("--reading", type=int, help="which of several readings, counted from 1")
    ask.add_argument("--run", action="store_true", help="run what was understood")
    ask.add_argument("--force", action="store_true", help="run it although words were not understood")
    ask.add_argument("--yes", action="store_true", help="do not ask before it is run")
    ask.add_argument("--out", type=Path)
    commands.add_parser("list", help="list the cohorts")
    similar = commands.add_parser("similar", help="patients who are like one")
    similar.add_argument("patient", help="id of a FHIR Patient")
    similar.add_argument("--as-of")
    timeline = commands.add_parser("timeline", help="what happened to a patient")
    timeline.add_argument("patient")
    timeline.add_argument("--for-study", help="StudyInstanceUID whose priors come first")
    timeline.add_argument("--as-of")
    timeline.add_argument("--format", choices=sorted(_FORMATS), default="json")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say; the exit code: 1 refused or failed, 3 the question is not understood or ambiguous."""
    given = _parser().parse_args(arguments)
    service = Service(given.url, given.token)
    try:
        return int(_COMMANDS[given.command](service, given))
    except (Refused, OSError, json.JSONDecodeError) as error:
        print(error, file=sys.stderr)
        return _FAILED


def _show(document: Any) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False))


def _definition(given: argparse.Namespace) -> dict[str, Any]:
    definition: dict[str, Any] = json.loads(given.definition.read_text("utf-8"))
    if getattr(given, "as_of", None):
        definition["asOf"] = given.as_of
    if getattr(given, "limit", None):
        definition["limits"] = {"patients": given.limit}
    return definition


def _run(service: Service, given: argparse.Namespace) -> int:
    definition = _definition(given)
    return _explain(service, given) if given.dry_run else _finish(service, definition, given.out)


def _explain(service: Service, given: argparse.Namespace) -> int:
    _show(service.json("POST", "cohorts?explain=true", _definition(given)))
    return 0


def _finish(service: Service, definition: dict[str, Any], out: Path | None) -> int:
    cohort = service.run(definition)
    _show({name: cohort.get(name) for name in ("id", "status", "sentence", "definitionHash", "counts", "error")})
    if cohort["status"] != "succeeded":
        return _FAILED
    if out is not None:
        write_result(out, service.manifest(cohort["id"]))
        print(f"The manifest and its tables are in {out}.")
    return 0


def _ask(service: Service, given: argparse.Namespace) -> int:
    status, found = service.translate(given.text, given.as_of)
    if status == 409:
        for number, reading in enumerate(found["readings"], 1):
            print(f"{number}. {reading['sentence']}")
        if not given.reading or given.reading > len(found["readings"]):
            print("The question has several readings: choose one with --reading.", file=sys.stderr)
            return _UNCLEAR
        found = found["readings"][given.reading - 1]
    for each in found.get("unmatched", ()):
        print(f"Not understood: “{each['text']}” ({each['reason']})", file=sys.stderr)
    if "definition" not in found:
        return _UNCLEAR
    print(found["sentence"])
    _show({name: found[name] for name in ("definition", "definitionHash", "notes")})
    if found.get("unmatched") and not (given.run and given.force):
        return _UNCLEAR
    if not given.run:
        return 0
    if not given.yes and input("Run this? [y/N] ").strip().lower() not in ("y", "yes"):
        return 0
    return _finish(service, found["definition"], given.out)


def _list(service: Service, _given: argparse.Namespace) -> int:
    for each in service.json("GET", "cohorts"):
        print(each["id"], each["status"], each["asOf"], each.get("counts", {}).get("patients", ""), each["sentence"])
    return 0


def _similar(service: Service, given: argparse.Namespace) -> int:
    document = {"asOf": given.as_of} if given.as_of else {}
    _show(service.json("POST", f"fhir-patients/{given.patient.removeprefix('Patient/')}/similar", document))
    return 0


def _timeline(service: Service, given: argparse.Namespace) -> int:
    asked = {"forStudy": given.for_study, "asOf": given.as_of}
    query = urlencode({name: value for name, value in asked.items() if value})
    found = service.timeline(given.patient.removeprefix("Patient/"), query, _FORMATS[given.format])
    print(found.decode("utf-8"))
    return 0


_COMMANDS = {
    "run": _run,
    "explain": _explain,
    "ask": _ask,
    "list": _list,
    "similar": _similar,
    "timeline": _timeline,
}

if __name__ == "__main__":
    sys.exit(main())
