"""`dicom feedback`: what became of the reads of a reader, and of the predictions of a model (docs/use/cohorts.md)."""

import argparse
import http.client
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.output import Output
from dicom_cli.service import JSON, Service

EXAMPLE: Final = """\
  dicom feedback reader --practitioner tele-1 --since 2026-01-01
  dicom feedback reader --practitioner tele-1 --deliver
  dicom feedback model --device StentPlanner --format csv --out pairs.csv
  dicom feedback model --device StentPlanner --after TOKEN --format parquet --out pairs.parquet
  dicom feedback assess --report rep-1 --outcome Procedure/biopsy-1 --agreement minor --comment 'Too small.'
"""
_CSV: Final = "text/csv"
_FHIR: Final = "application/fhir+json"
_NDJSON: Final = "application/x-ndjson"
_OF_READER: Final = {"json": JSON, "csv": _CSV, "fhir": _FHIR, "parquet": JSON}
_OF_MODEL: Final = {"ndjson": _NDJSON, "csv": _CSV, "fhir": _FHIR, "parquet": _NDJSON}
"""The format that is asked for, by that of the file; Parquet is made here."""


class Written(NamedTuple):
    """The form of an answer in a file."""

    media_type: str
    out: Path | None
    """A file; None: standard output."""
    parquet: bool = False


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    actions = parser.add_subparsers(dest="action", required=True)
    reader = actions.add_parser("reader", help="reports of a reader with what is known afterwards")
    reader.add_argument("--practitioner", required=True, help="id of a Practitioner, or a reference")
    reader.add_argument(
        "--deliver", action="store_true", help="tell the reader of each outcome once, on the FHIR server"
    )
    reader.add_argument("--format", choices=sorted(_OF_READER), default="json")
    model = actions.add_parser("model", help="predictions of a model with their outcomes, for retraining")
    model.add_argument("--device", required=True, help="device name of the model")
    model.add_argument("--after", help="token of an earlier answer")
    model.add_argument("--format", choices=sorted(_OF_MODEL), default="ndjson")
    for action in (reader, model):
        action.add_argument("--since", help="leave out what is earlier than that day")
        action.add_argument("--out", type=Path, help="file; without it, standard output")
    assess = actions.add_parser("assess", help="keep how a report and an outcome agree")
    assess.add_argument("--report", required=True, help="DiagnosticReport/ID")
    assess.add_argument("--outcome", required=True, help="Type/ID")
    assess.add_argument("--agreement", required=True, choices=("concordant", "minor", "major", "unknown"))
    assess.add_argument("--comment", default="")


def run(arguments: argparse.Namespace, service: Service, output: Output) -> ExitCode:
    """Do what is asked. Raises CommandFailed."""
    if arguments.action == "assess":
        names = ("report", "outcome", "agreement", "comment")
        _post(service, output, "feedback", {name: getattr(arguments, name) for name in names})
    elif arguments.action == "model":
        asked = {"device": arguments.device, "since": arguments.since, "after": arguments.after}
        _fetch(service, output, "model", asked, _written(arguments, _OF_MODEL))
    elif arguments.deliver:
        body = {"practitioner": arguments.practitioner} | ({"since": arguments.since} if arguments.since else {})
        _post(service, output, "feedback/reader/deliver", body)
    else:
        asked = {"practitioner": arguments.practitioner, "since": arguments.since}
        _fetch(service, output, "reader", asked, _written(arguments, _OF_READER))
    return ExitCode.DONE


def _written(arguments: argparse.Namespace, formats: Mapping[str, str]) -> Written:
    parquet = arguments.format == "parquet"
    if parquet and arguments.out is None:
        raise CommandFailed("Parquet is written into a file: name it with --out.", ExitCode.WRONG_USE)
    return Written(formats[arguments.format], arguments.out, parquet)


def _post(service: Service, output: Output, path: str, document: dict[str, str]) -> None:
    headers = {"Accept": JSON, "Content-Type": JSON}
    body = json.dumps(document).encode()
    output.item(service.ask("POST", f"/v2/{path}", body=body, headers=headers, expect=(200, 201)).json())


def _fetch(service: Service, output: Output, name: str, asked: dict[str, str | None], written: Written) -> None:
    """The answer as it comes, into a file or to standard output."""
    query = {each: value for each, value in asked.items() if value}
    with service.stream(f"/v2/feedback/{name}", query=query, headers={"Accept": written.media_type}) as response:
        if written.out is None:
            shutil.copyfileobj(response, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return
        if written.parquet:
            _parquet(response, output, name, written.out)
        else:
            with written.out.open("wb") as file:
                shutil.copyfileobj(response, file)
    output.say(f"{written.out}: {written.out.stat().st_size:,} bytes")


def _parquet(response: http.client.HTTPResponse, output: Output, name: str, out: Path) -> None:
    """The answer as Parquet; of predictions the token of the next ones is told."""
    from dicom_cli import parquet

    if name == "reader":
        parquet.cases(json.loads(response.read()), out)
    elif token := parquet.predictions(response, out):
        output.say(f"Go on with --after {token}")
