"""`dicom worklist`: workitems of the Worklist Service (UPS-RS)."""

import argparse
import datetime as dt
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dicom_cli import worklist_rules, worklist_watch
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.output import Output
from dicom_cli.search import named, pairs, results
from dicom_cli.service import DICOM_JSON, Service

EXAMPLE: Final = """\
  dicom worklist search ProcedureStepState=SCHEDULED
  dicom worklist create --label 'Nodule detection' --patient-id 4711 --patient-name Doe^Jane --study 1.2.3
  KEY=$(dicom worklist claim 2.25.1 --quiet)
  dicom worklist complete 2.25.1 --transaction "$KEY"
  dicom worklist cancel 2.25.1 --reason 'The patient has left.'
  dicom worklist watch ProcedureStepState=SCHEDULED
  dicom worklist rules try rule.json
  dicom worklist rules add rule.json
"""
_COLUMNS: Final = (
    "ProcedureStepState",
    "ScheduledProcedureStepPriority",
    "ProcedureStepLabel",
    "PatientName",
    "PatientID",
    "ScheduledProcedureStepStartDateTime",
    "SOPInstanceUID",
)
_MAY_BE_EMPTY: Final[Mapping[str, str]] = {
    "00081080": "LO", "00081084": "SQ", "00100021": "LO", "00100024": "SQ", "00100030": "DA", "00100040": "CS",
    "00101002": "SQ", "00380010": "LO", "00380014": "SQ", "00400400": "LT", "00404018": "SQ", "00404021": "SQ",
    "00404025": "SQ", "00404026": "SQ", "00404027": "SQ", "0040A370": "SQ", "00741002": "SQ", "00741210": "SQ",
    "00741216": "SQ",
}  # fmt: skip  # a table
"""The attributes that a new workitem must have, and may have without a value (PS3.4 Table CC.2.5-3)."""
_TYPE: Final = {"Content-Type": DICOM_JSON, "Accept": DICOM_JSON}


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    actions = parser.add_subparsers(dest="action", required=True)
    search = actions.add_parser("search", help="workitems by KEYWORD=VALUE")
    search.add_argument("conditions", nargs="*", metavar="KEYWORD=VALUE")
    search.add_argument("--all", action="store_true", help="every result, page after page")
    create = actions.add_parser("create", help="a workitem from a file, or from what is said")
    create.add_argument("file", nargs="?", type=Path, help="data set as DICOM JSON")
    create.add_argument("--label", help="what is to be done")
    create.add_argument("--patient-id", default="")
    create.add_argument("--patient-name", default="")
    create.add_argument("--study", help="StudyInstanceUID of the images that it is about")
    create.add_argument("--priority", choices=("LOW", "MEDIUM", "HIGH"), default="MEDIUM")
    actions.add_parser("show", help="all of it").add_argument("uid")
    actions.add_parser("claim", help="begin the work; prints the Transaction UID").add_argument("uid")
    complete = actions.add_parser("complete", help="end the work")
    cancel = actions.add_parser("cancel", help="cancel what one has claimed, or ask for it")
    for each in (complete, cancel):
        each.add_argument("uid")
        each.add_argument("--transaction", help="Transaction UID of the claim", required=each is complete)
    cancel.add_argument("--reason", default="")
    worklist_watch.add_to(actions.add_parser("watch", help="event reports, as they come"))
    worklist_rules.add_to(actions.add_parser("rules", help="what makes workitems of what is stored"))


def run(arguments: argparse.Namespace, service: Service, output: Output) -> ExitCode:
    """Do what is asked. Raises CommandFailed."""
    match arguments.action:
        case "rules":
            worklist_rules.run(arguments, service, output)
        case "watch":
            worklist_watch.run(arguments, service, output)
        case "search":
            found = results(service, "workitems", pairs(arguments.conditions), limit=None if arguments.all else 100)
            output.say(f"{output.table(found if output.as_json else map(named, found), _COLUMNS)} found.")
        case "create":
            _create(arguments, service, output)
        case "show":
            workitem = service.ask("GET", service.path(f"workitems/{arguments.uid}"), headers={"Accept": DICOM_JSON})
            for data_set in _listed(workitem.json()):
                output.item(data_set if output.as_json else named(data_set))
        case "claim":
            transaction = f"2.25.{uuid.uuid4().int}"
            _change(service, arguments.uid, "IN PROGRESS", transaction)
            output.item({"uid": arguments.uid, "transaction": transaction}, transaction)
        case "complete":
            _change(service, arguments.uid, "COMPLETED", arguments.transaction)
            output.say(f"{arguments.uid} is completed.")
        case _ if arguments.transaction:
            _change(service, arguments.uid, "CANCELED", arguments.transaction)
            output.say(f"{arguments.uid} is canceled.")
        case _:
            body = {"00741238": _element("LT", arguments.reason)} if arguments.reason else {}
            path = service.path(f"workitems/{arguments.uid}/cancelrequest")
            service.ask("POST", path, body=json.dumps(body).encode(), headers=_TYPE)
            output.say(f"The cancellation of {arguments.uid} is asked for.")
    return ExitCode.DONE


def _create(arguments: argparse.Namespace, service: Service, output: Output) -> None:
    if bool(arguments.file) == bool(arguments.label):
        raise CommandFailed("Name a file, or say --label; not both.", ExitCode.WRONG_USE)
    try:
        body = arguments.file.read_bytes() if arguments.file else json.dumps([_workitem(arguments)]).encode()
    except OSError as error:
        raise CommandFailed(f"{arguments.file} cannot be read: {error.strerror}", ExitCode.WRONG_USE) from None
    answer = service.ask("POST", service.path("workitems"), body=body, headers=_TYPE, expect=(201,))
    uid = answer.headers.get("Location", "").rpartition("/")[2]
    output.item({"uid": uid}, uid)


def _workitem(arguments: argparse.Namespace) -> dict[str, Any]:
    now = dt.datetime.now(dt.UTC).strftime("%Y%m%d%H%M%S+0000")
    return {
        **{tag: {"vr": vr} for tag, vr in _MAY_BE_EMPTY.items()},
        "00100010": {
            "vr": "PN",
            **({"Value": [{"Alphabetic": arguments.patient_name}]} if arguments.patient_name else {}),
        },
        "00100020": _element("LO", arguments.patient_id),
        "00404005": _element("DT", now),
        "00404041": _element("CS", "READY"),
        "00741200": _element("CS", arguments.priority),
        "00741204": _element("LO", arguments.label),
        **({"0020000D": _element("UI", arguments.study)} if arguments.study else {}),
    }


def _change(service: Service, uid: str, state: str, transaction: str) -> None:
    body = {"00081195": _element("UI", transaction), "00741000": _element("CS", state)}
    service.ask("PUT", service.path(f"workitems/{uid}/state"), body=json.dumps(body).encode(), headers=_TYPE)


def _element(vr: str, value: str) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]} if value else {"vr": vr}


def _listed(document: Any) -> list[dict[str, Any]]:
    return document if isinstance(document, list) else [document]
