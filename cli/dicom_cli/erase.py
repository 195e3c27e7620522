"""`dicom erase`: all that is stored of a patient, confirmed by a second person (data-safety §6)."""

import argparse
import json
import sys
from typing import Any, Final

from dicom_cli.operations import waited
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.output import Output
from dicom_cli.service import JSON, Service

EXAMPLE: Final = """\
  dicom erase 4711 --issuer Hospital --reason "Request of 3 March, file 12/26"
  dicom erase 4711 --reason "Request of 3 March" --dry-run
  dicom erase --confirm 9b1c0d5e8f2a4b6c8d0e1f2a3b4c5d6e
"""
_PATH: Final = "patients/$erase"


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("patient", nargs="?", help="PatientID, compared exactly")
    parser.add_argument("--issuer", help="IssuerOfPatientID")
    parser.add_argument("--reason", help="stands in the audit trail; without the identifier")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be erased")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--confirm", metavar="OPERATION", help="confirm what somebody else has asked for")
    parser.add_argument("--no-wait", action="store_true", help="do not wait for the end")


def run(arguments: argparse.Namespace, service: Service, output: Output) -> ExitCode:
    """Show, ask, and begin; or confirm. Raises CommandFailed."""
    if arguments.confirm:
        if arguments.patient or arguments.reason:
            raise CommandFailed("--confirm takes the operation alone.", ExitCode.WRONG_USE)
        started = service.ask("POST", service.path(f"{_PATH}/{arguments.confirm}/confirm"), body=b"")
        return waited(service, started, output, wait=not arguments.no_wait)
    if not arguments.patient or not arguments.reason:
        raise CommandFailed("Name the patient and --reason, or an operation to --confirm.", ExitCode.WRONG_USE)
    body: dict[str, Any] = {"patientId": arguments.patient, "reason": arguments.reason}
    if arguments.issuer:
        body["issuer"] = arguments.issuer
    data, headers = json.dumps(body).encode(), {"Content-Type": JSON}
    planned = service.ask("POST", service.path(_PATH), query=[("dryRun", "true")], body=data, headers=headers).json()
    if arguments.dry_run:
        output.item(planned)
        return ExitCode.DONE
    if not arguments.yes and not _agreed(planned):
        raise CommandFailed("Nothing was erased.", ExitCode.WRONG_USE)
    started = service.ask("POST", service.path(_PATH), body=data, headers=headers)
    state = service.ask("GET", f"/v2/operations/{started.json()['id']}", headers={"Accept": JSON}).json()
    if (state.get("results") or {}).get("waitsForConfirmation"):
        operation = started.json()["id"]
        output.item(state, f"{operation} waits for another person: dicom erase --confirm {operation}")
        return ExitCode.DONE
    return waited(service, started, output, wait=not arguments.no_wait)


def _agreed(planned: dict[str, Any]) -> bool:
    print(
        f"{planned['studies']} studies, {planned['instances']} instances, {planned['workitems']} workitems are erased; "
        f"{len(planned['untouched'])} studies with instances of others are not touched.",
        file=sys.stderr,
    )
    print("Type ERASE to go on: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() == "ERASE"
