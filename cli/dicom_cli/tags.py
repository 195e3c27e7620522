"""`dicom tags`: extended query tags (azure-apis §3)."""

import argparse
import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from dicom_cli.operations import waited
from dicom_cli.outcomes import ExitCode
from dicom_cli.output import Output
from dicom_cli.service import JSON, Service

EXAMPLE: Final = """\
  dicom tags list
  dicom tags add PatientAge --level Study
  dicom tags add 00091001 --vr LO --level Series --private-creator 'ACME 1.0'
  dicom tags errors PatientAge
  dicom tags remove PatientAge
"""
_PATH: Final = "/v2/extendedquerytags"
_PAGE: Final = 200


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="all tags")
    add = actions.add_parser("add", help="make an attribute searchable")
    add.add_argument("path", help="keyword, tag, or path of them")
    add.add_argument("--level", required=True, choices=("Study", "Series", "Instance"))
    add.add_argument("--vr", help="of a private tag")
    add.add_argument("--private-creator")
    add.add_argument("--no-wait", action="store_true", help="do not wait until it is ready")
    for name, text in (
        ("remove", "no longer searchable"),
        ("errors", "what could not be indexed"),
        ("enable", "search in spite of errors"),
        ("disable", "no search by it"),
    ):
        actions.add_parser(name, help=text).add_argument("path")


def run(arguments: argparse.Namespace, service: Service, output: Output) -> ExitCode:
    """Do what is asked. Raises CommandFailed."""
    if arguments.action == "list":
        output.table(_pages(service, _PATH), ("path", "vr", "level", "status", "queryStatus"))
        return ExitCode.DONE
    if arguments.action == "add":
        tag = {
            "path": arguments.path,
            "level": arguments.level,
            **({"vr": arguments.vr} if arguments.vr else {}),
            **({"privateCreator": arguments.private_creator} if arguments.private_creator else {}),
        }
        started = service.ask("POST", _PATH, body=json.dumps([tag]).encode(), headers={"Content-Type": JSON})
        return waited(service, started, output, wait=not arguments.no_wait)
    path = f"{_PATH}/{quote(arguments.path, safe='')}"
    if arguments.action == "errors":
        count = output.table(
            _pages(service, f"{path}/errors"),
            ("studyInstanceUid", "seriesInstanceUid", "sopInstanceUid", "errorMessage"),
        )
        output.say(f"{count} errors.")
        return ExitCode.DONE
    if arguments.action == "remove":
        service.ask("DELETE", path)
        output.say(f"{arguments.path} is no longer searchable.")
        return ExitCode.DONE
    body = json.dumps({"queryStatus": f"{arguments.action.capitalize()}d"}).encode()
    output.item(service.ask("PATCH", path, body=body, headers={"Content-Type": JSON}).json())
    return ExitCode.DONE


def _pages(service: Service, path: str) -> Iterator[dict[str, Any]]:
    offset = 0
    while page := service.ask("GET", path, query={"limit": str(_PAGE), "offset": str(offset)}).json():
        yield from page
        if len(page) < _PAGE:
            return
        offset += len(page)
