"""`dicom labels`: labels of studies (exchange §5)."""

import argparse
import json
from typing import Any, Final
from urllib.parse import quote

from dicom_cli.outcomes import ExitCode
from dicom_cli.output import Output
from dicom_cli.service import JSON, Service

EXAMPLE: Final = """\
  dicom labels add STUDY 'tumour board' teaching
  dicom labels remove STUDY 'to read'
  dicom labels show STUDY
  dicom labels list
  dicom search 'Label=tumour board' StudyDate=20260101-
"""


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    actions = parser.add_subparsers(dest="action", required=True)
    for name, text in (("add", "give a study labels"), ("remove", "take labels from a study")):
        change = actions.add_parser(name, help=text)
        change.add_argument("study", metavar="STUDY", help="StudyInstanceUID")
        change.add_argument("labels", nargs="+", metavar="LABEL")
    actions.add_parser("show", help="the labels of a study").add_argument("study", metavar="STUDY")
    actions.add_parser("list", help="the labels in use, with their number of studies")


def run(arguments: argparse.Namespace, service: Service, output: Output) -> ExitCode:
    """Do what is asked. Raises CommandFailed."""
    if arguments.action == "list":
        output.table(map(_row, service.ask("GET", service.path("labels")).json()), ("label", "studies"))
        return ExitCode.DONE
    path = service.path(f"studies/{quote(arguments.study, safe='')}/labels")
    if arguments.action == "show":
        answer = service.ask("GET", path)
    else:
        body = json.dumps({arguments.action: arguments.labels}).encode()
        answer = service.ask("PATCH", path, body=body, headers={"Content-Type": JSON})
    labels = answer.json()["labels"]
    output.item({"study": arguments.study, "labels": labels}, "\n".join(labels))
    return ExitCode.DONE


def _row(use: dict[str, Any]) -> dict[str, Any]:
    return use if "more" not in use or not use["more"] else {**use, "studies": f"{use['studies']}+"}
