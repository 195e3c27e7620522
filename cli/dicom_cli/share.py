"""`dicom share`: links that open studies to whoever has them (exchange §1)."""

import argparse
import json
from typing import Any, Final
from urllib.parse import quote

from dicom_cli.outcomes import ExitCode
from dicom_cli.output import Output
from dicom_cli.service import JSON, Service

EXAMPLE: Final = """\
  dicom share create STUDY --for P7D --label 'second opinion'
  dicom share create --cohort COHORT --for P30D --view-only
  dicom share create STUDY --deidentified
  dicom share list
  dicom share revoke SHARE
"""
_USUAL: Final = "P7D"


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    actions = parser.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="make a link; it is shown this once")
    create.add_argument("studies", nargs="*", metavar="STUDY", help="StudyInstanceUIDs")
    create.add_argument("--cohort", help="the studies of a cohort instead")
    create.add_argument("--whole-partition", action="store_true", help="all studies of the data partition instead")
    create.add_argument(
        "--series", action="append", default=[], metavar="UID", help="only this series; may be repeated"
    )
    create.add_argument("--for", dest="lasts", default=_USUAL, help="how long, as P7D or PT12H; at most P90D")
    create.add_argument("--label", help="for you to recognise it by")
    create.add_argument("--recipient", help="SHA-256 of an e-mail address, or an object id")
    create.add_argument("--view-only", action="store_true", help="pictures and metadata, no downloads")
    create.add_argument("--deidentified", action="store_true", help="share a copy that names nobody, made once")
    actions.add_parser("list", help="all shares, without their links")
    actions.add_parser("revoke", help="end a share at once").add_argument("share", metavar="SHARE")


def run(arguments: argparse.Namespace, service: Service, output: Output) -> ExitCode:
    """Do what is asked. Raises CommandFailed."""
    if arguments.action == "list":
        rows = service.ask("GET", service.path("shares")).json()
        output.table(map(_row, rows), ("id", "label", "shares", "copy", "expires", "uses", "lastUse"))
        return ExitCode.DONE
    if arguments.action == "revoke":
        service.ask("DELETE", service.path(f"shares/{quote(arguments.share, safe='')}"))
        output.say(f"{arguments.share} opens nothing any more.")
        return ExitCode.DONE
    body = json.dumps(_wanted(arguments)).encode()
    made = service.ask("POST", service.path("shares"), body=body, headers={"Content-Type": JSON}, expect=(201,)).json()
    output.item(made, made["url"])
    output.say(f"Whoever has this link may see it until {made['expires']}. It is not shown again.")
    return ExitCode.DONE


def _wanted(arguments: argparse.Namespace) -> dict[str, Any]:
    given = {
        "studies": arguments.studies,
        "cohort": arguments.cohort,
        "partition": arguments.whole_partition,
        "series": arguments.series,
        "label": arguments.label,
        "recipient": arguments.recipient,
    }
    found: dict[str, Any] = {name: value for name, value in given.items() if value}
    if arguments.view_only:
        found["download"] = False
    if arguments.deidentified:
        found["deidentified"] = True
    return {**found, "expiresIn": arguments.lasts}


def _row(share: dict[str, Any]) -> dict[str, Any]:
    selection = share["selection"]
    what = "the partition" if selection.get("partition") else f"{selection['count']} studies"
    return {"copy": "", **share, "shares": what}
