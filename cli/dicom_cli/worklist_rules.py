"""`dicom worklist rules`: rules that make workitems of what is stored."""

import argparse
import json
from pathlib import Path
from typing import Any, Final

from dicom_cli.elements import first
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.output import Output
from dicom_cli.search import results
from dicom_cli.service import JSON, Service

_TYPE: Final = {"Content-Type": JSON, "Accept": JSON}
_TRIED: Final = 20
"""Studies of a try: as many as the service takes."""


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    actions = parser.add_subparsers(dest="rule_action", required=True)
    actions.add_parser("list", help="all rules")
    actions.add_parser("add", help="a rule from a file").add_argument("file", type=Path, help="rule as JSON")
    attempt = actions.add_parser("try", help="what a rule would make of studies; nothing is written")
    attempt.add_argument("file", type=Path, help="rule as JSON")
    attempt.add_argument("--study", action="append", default=[], help="StudyInstanceUID; without it the newest studies")
    replace = actions.add_parser("replace", help="give a rule the content of a file")
    for each in (actions.add_parser("show", help="one rule"), replace, actions.add_parser("remove", help="no longer")):
        each.add_argument("id")
    replace.add_argument("file", type=Path, help="rule as JSON")


def run(arguments: argparse.Namespace, service: Service, output: Output) -> None:
    """Do what is asked. Raises CommandFailed."""
    match arguments.rule_action:
        case "list":
            rules = service.ask("GET", _path(service), headers=_TYPE).json()
            output.table(rules if output.as_json else map(_line, rules), ("id", "name", "filter", "quietSeconds"))
        case "add":
            rule = service.ask("POST", _path(service), body=_body(_rule(arguments.file)), headers=_TYPE, expect=(201,))
            output.item(rule.json(), rule.json()["id"])
        case "try":
            _try(arguments, service, output)
        case "show":
            output.item(service.ask("GET", _path(service, arguments.id), headers=_TYPE).json())
        case "replace":
            body = _body(_rule(arguments.file))
            service.ask("PUT", _path(service, arguments.id), body=body, headers=_TYPE)
            output.say(f"{arguments.id} is replaced.")
        case _:
            service.ask("DELETE", _path(service, arguments.id), expect=(204,))
            output.say(f"{arguments.id} is removed.")


def _try(arguments: argparse.Namespace, service: Service, output: Output) -> None:
    rule = _rule(arguments.file)
    studies = arguments.study or [first(each, "0020000D") for each in results(service, "studies", [], limit=_TRIED)]
    if not studies:
        output.say("There are no studies.")
        return
    answer = service.ask(
        "POST", _path(service, "$dryRun"), body=_body({**rule, "studies": studies}), headers=_TYPE
    ).json()
    makes = sum(1 for each in answer if each["seriesInstanceUids"])
    lines = (
        {"study": each["studyInstanceUid"], "stored": each["isStored"], "series": len(each["seriesInstanceUids"])}
        for each in answer
    )
    output.table(answer if output.as_json else lines, ("study", "stored", "series"))
    output.say(f"The rule would make {makes} workitems of {len(answer)} studies.")


def _line(rule: dict[str, Any]) -> dict[str, Any]:
    told = (f"{name}={','.join(values)}" for name, values in rule["filter"].items())
    return {**rule, "filter": " ".join(told)}


def _rule(file: Path) -> dict[str, Any]:
    try:
        rule = json.loads(file.read_bytes())
    except OSError as error:
        raise CommandFailed(f"{file} cannot be read: {error.strerror}", ExitCode.WRONG_USE) from None
    except ValueError:
        raise CommandFailed(f"{file} is no JSON.", ExitCode.WRONG_USE) from None
    if not isinstance(rule, dict):
        raise CommandFailed(f"{file} is no rule: it must hold one JSON object.", ExitCode.WRONG_USE)
    return rule


def _body(document: Any) -> bytes:
    return json.dumps(document).encode()


def _path(service: Service, name: str = "") -> str:
    return service.path("worklist-rules" + (f"/{name}" if name else ""))
