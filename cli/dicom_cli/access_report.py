"""`dicom access-report`: who did what with the data of a patient (data-safety §6)."""

import argparse
import sys
from typing import Final

from dicom_cli.outcomes import ExitCode
from dicom_cli.output import Output
from dicom_cli.service import JSON, Service

EXAMPLE: Final = """\
  dicom access-report 4711 --from 2026-01-01 --to 2026-03-31
  dicom access-report 4711 --issuer Hospital --csv > report.csv
"""


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("patient", help="PatientID, compared exactly")
    parser.add_argument("--issuer", help="IssuerOfPatientID")
    parser.add_argument("--from", dest="first", metavar="DAY", help="as 2026-03-31; 90 days before the last one")
    parser.add_argument("--to", dest="last", metavar="DAY", help="today")
    parser.add_argument("--csv", action="store_true", help="a table for a spreadsheet")


def run(arguments: argparse.Namespace, service: Service, output: Output) -> ExitCode:
    """Print the report, an access a line. Raises CommandFailed."""
    given = {
        "PatientID": arguments.patient,
        "issuer": arguments.issuer,
        "from": arguments.first,
        "to": arguments.last,
    }
    query = [(name, value) for name, value in given.items() if value]
    accept = "text/csv" if arguments.csv else JSON
    answer = service.ask("GET", service.path("patients/$access-report"), query=query, headers={"Accept": accept})
    if arguments.csv:
        sys.stdout.write(answer.body.decode())
        return ExitCode.DONE
    report = answer.json()
    for each in report["accesses"]:
        outcome = each.get("outcome", "no answer")
        line = f"{each['time']}  {each.get('who', '')}  {each['operation']}  {each.get('study', '')}  {outcome}"
        output.item(each, line)
    if report["truncated"]:
        output.say("There are more: ask for fewer days.")
    return ExitCode.DONE
