"""`dicom cohort`: cohorts, similar patients and timelines (docs/use/cohorts.md)."""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from dicom_cli.cohort_tables import write_result
from dicom_cli.operations import waited
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.output import Output
from dicom_cli.service import JSON, Service
from shared.errors import InvalidRequest
from shared.yaml_documents import read_yaml

EXAMPLE: Final = """\
  dicom cohort ask 'CT scans of women over 60 with osteosarcoma'
  dicom cohort ask 'CT scans of women over 60 with osteosarcoma' --run --out result
  dicom cohort run definition.yaml --out result
  dicom cohort export 9b1c0d5e8f2a4b6c8d0e1f2a3b4c5d6e --to "$CONTAINER" --files
  dicom cohort export result/manifest.json --to files/ --identified
  dicom cohort similar Patient/42
  dicom cohort timeline Patient/42 --format html --out timeline.html
"""
_FORMATS: Final = {"json": JSON, "bundle": "application/fhir+json", "html": "text/html"}
_YAML: Final = (".yaml", ".yml")
_POLL_SECONDS: Final = 2.0
_TOLD: Final = ("id", "status", "sentence", "definitionHash", "counts", "error")
_SEVERAL: Final = 409


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    actions = parser.add_subparsers(dest="action", required=True)
    for name, text in (("run", "run a definition"), ("explain", "show the searches of a definition; run nothing")):
        action = actions.add_parser(name, help=text)
        action.add_argument("definition", type=Path, help="a file of JSON or YAML")
        action.add_argument("--as-of", help="the day that all dates are relative to")
        action.add_argument("--limit", type=int, help="members at most")
        if name == "run":
            action.add_argument("--out", type=Path, help="folder for the manifest and its tables")
    ask = actions.add_parser("ask", help="translate a question; run it with --run")
    ask.add_argument("text")
    ask.add_argument("--as-of")
    ask.add_argument("--reading", type=int, help="which of several readings, counted from 1")
    ask.add_argument("--run", action="store_true", help="run what was understood")
    ask.add_argument("--force", action="store_true", help="run it although words were not understood")
    ask.add_argument("--yes", action="store_true", help="do not ask before it is run")
    ask.add_argument("--out", type=Path, help="folder for the manifest and its tables")
    export = actions.add_parser(
        "export", help="copy files, manifest and tables of a cohort into a container or a folder"
    )
    export.add_argument("cohort", help="id of a cohort, or the file of its manifest")
    export.add_argument("--to", required=True, help="URL of a container, with a signature if it needs one; or a folder")
    export.add_argument("--managed-identity", action="store_true", help="the service signs in there as itself")
    export.add_argument("--files", action="store_true", help="list the files in the manifest")
    identity = export.add_mutually_exclusive_group()
    identity.add_argument("--deidentify", action="store_true", help="name nobody; what is done unless told otherwise")
    identity.add_argument("--identified", action="store_true", help="everything as it is; a folder gets nothing else")
    export.add_argument("--parallel", type=int, default=4, help="files fetched into a folder at a time (4)")
    export.add_argument("--no-wait", action="store_true", help="do not wait for the end")
    actions.add_parser("list", help="the cohorts there are")
    similar = actions.add_parser("similar", help="patients who are like one")
    timeline = actions.add_parser("timeline", help="what happened to a patient")
    for action in (similar, timeline):
        action.add_argument("patient", help="Patient/ID of the FHIR server")
        action.add_argument("--as-of")
    timeline.add_argument("--for-study", help="StudyInstanceUID whose priors come first")
    timeline.add_argument("--format", choices=sorted(_FORMATS), default="json")
    timeline.add_argument("--out", type=Path, help="file; without it, standard output")


def run(arguments: argparse.Namespace, service: Service, output: Output) -> ExitCode:
    """Do what is asked. Raises CommandFailed."""
    match arguments.action:
        case "run":
            return _finished(service, output, _definition(arguments), arguments.out)
        case "explain":
            output.item(_posted(service, "cohorts?explain=true", _definition(arguments))[1])
        case "ask":
            return _asked(arguments, service, output)
        case "export":
            return _exported(arguments, service, output)
        case "list":
            output.table(_got(service, "cohorts"), ("id", "status", "asOf", "sentence"))
        case "similar":
            document = {"asOf": arguments.as_of} if arguments.as_of else {}
            output.item(_posted(service, f"{_patient(arguments)}/similar", document)[1])
        case _:
            _timeline(arguments, service, output)
    return ExitCode.DONE


def _asked(arguments: argparse.Namespace, service: Service, output: Output) -> ExitCode:
    question = {"text": arguments.text} | ({"asOf": arguments.as_of} if arguments.as_of else {})
    status, found = _posted(service, "cohorts/translate", question)
    if status == _SEVERAL:
        for number, reading in enumerate(found["readings"], 1):
            output.say(f"{number}. {reading['sentence']}")
        if not arguments.reading or not 0 < arguments.reading <= len(found["readings"]):
            raise CommandFailed("The question has several readings: choose one with --reading.", ExitCode.WRONG_USE)
        found = found["readings"][arguments.reading - 1]
    for each in found.get("unmatched", ()):
        output.say(f"Not understood: “{each['text']}” ({each['reason']})")
    if "definition" not in found:
        return ExitCode.SOME_FAILED
    output.say(found["sentence"])
    output.item({name: found.get(name) for name in ("definition", "definitionHash", "notes")})
    if found.get("unmatched") and not (arguments.run and arguments.force):
        return ExitCode.SOME_FAILED
    if not arguments.run or not (arguments.yes or _confirmed()):
        return ExitCode.DONE
    return _finished(service, output, found["definition"], arguments.out)


def _confirmed() -> bool:
    print("Run this? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _finished(service: Service, output: Output, definition: Mapping[str, Any], out: Path | None) -> ExitCode:
    """Run a definition to its end."""
    started = _posted(service, "cohorts", definition)[1]
    while (cohort := _got(service, f"cohorts/{started['id']}"))["status"] in ("notStarted", "running"):
        time.sleep(_POLL_SECONDS)
    output.item({name: cohort.get(name) for name in _TOLD})
    if cohort["status"] != "succeeded":
        return ExitCode.SOME_FAILED
    if out is not None:
        write_result(out, _got(service, f"cohorts/{cohort['id']}/manifest"))
        output.say(f"The manifest and its tables are in {out}.")
    return ExitCode.DONE


def _exported(arguments: argparse.Namespace, service: Service, output: Output) -> ExitCode:
    from dicom_cli.cohort_files import export_to_folder, manifest_id

    if "://" not in arguments.to:
        return export_to_folder(arguments, service, output)
    settings = {"blobContainerUri": arguments.to} | ({"useManagedIdentity": True} if arguments.managed_identity else {})
    body = {
        "destination": {"type": "azureBlob", "settings": settings},
        "identified": arguments.identified,
        "files": arguments.files,
    }
    path = f"/v2/cohorts/{quote(manifest_id(arguments.cohort), safe='')}/export"
    started = service.ask("POST", path, body=json.dumps(body).encode(), headers={"Accept": JSON, "Content-Type": JSON})
    return waited(service, started, output, wait=not arguments.no_wait)


def _timeline(arguments: argparse.Namespace, service: Service, output: Output) -> None:
    asked = {"forStudy": arguments.for_study, "asOf": arguments.as_of}
    answer = service.ask(
        "GET",
        f"/v2/{_patient(arguments)}/timeline",
        query={name: value for name, value in asked.items() if value},
        headers={"Accept": _FORMATS[arguments.format]},
    )
    if arguments.out:
        arguments.out.write_bytes(answer.body)
        output.say(f"{arguments.out}: {len(answer.body):,} bytes")
    else:
        print(answer.body.decode())


def _definition(arguments: argparse.Namespace) -> dict[str, Any]:
    path: Path = arguments.definition
    try:
        data = path.read_bytes()
        definition: Any = read_yaml(data) if path.suffix.lower() in _YAML else json.loads(data)
    except (OSError, ValueError, InvalidRequest) as error:
        raise CommandFailed(f"{path} is no definition: {error}", ExitCode.WRONG_USE) from None
    if not isinstance(definition, dict):
        raise CommandFailed(f"{path} is no definition: it must be an object.", ExitCode.WRONG_USE)
    if arguments.as_of:
        definition["asOf"] = arguments.as_of
    if arguments.limit:
        definition["limits"] = {"patients": arguments.limit}
    return definition


def _patient(arguments: argparse.Namespace) -> str:
    return f"fhir-patients/{quote(arguments.patient.removeprefix('Patient/'), safe='')}"


def _got(service: Service, path: str) -> Any:
    return service.ask("GET", f"/v2/{path}", headers={"Accept": JSON}).json()


def _posted(service: Service, path: str, document: Mapping[str, Any]) -> tuple[int, Any]:
    """Status and document; several readings of a question are no failure."""
    expect = (200, 201, 202, _SEVERAL) if path.endswith("translate") else (200, 201, 202)
    headers = {"Accept": JSON, "Content-Type": JSON}
    answer = service.ask("POST", f"/v2/{path}", body=json.dumps(document).encode(), headers=headers, expect=expect)
    return answer.status, answer.json()
