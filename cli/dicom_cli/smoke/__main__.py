"""Runs the checks, a line for each; the exit code is 1 when one has failed (CLI-3, CLI-5)."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

EXAMPLE: Final = """\
  dicom smoke https://dicom.example.org
  dicom smoke https://dicom.example.org --large --origin https://viewer.example.org
  dicom smoke https://dicom.example.org --group GROUP --app APP
"""


def parser() -> argparse.ArgumentParser:
    """The parser of the command."""
    found = argparse.ArgumentParser(
        prog="dicom smoke",
        description="Whether a deployed service works.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = found.add_argument
    add(
        "url", nargs="?", default=os.environ.get("DICOM_URL", ""), help="of the service, with a path base if it has one"
    )
    add("--origin", default="", help="of a viewer that is to be admitted (ORIGIN=)")
    add("--partition", default="", help="data partition for the sample, where there are some (PARTITION=)")
    add("--json", action="store_true", help="a JSON object a line")
    add("--large", action="store_true", help="bodies of 99 and 101 MiB too (LARGE=1)")
    add("--group", default="", help="resource group of the app: looks at the deployment by the Azure CLI (GROUP=)")
    add("--app", default="", help="name of the function app, with --group (APP=)")
    add("--import-account", default="", help="address of the blobs of the import account: imports a file (IMPORT=)")
    add(
        "--workspace",
        default="",
        help="customer id of the Log Analytics workspace: looks for audit records (WORKSPACE=)",
    )
    found.epilog = (
        "In the environment: TOKEN, of somebody who may do everything; READER_TOKEN, of one who may only read;\n"
        f"IMPORT_CONNECTION, a connection string instead of --import-account.\n\nexamples:\n{EXAMPLE}"
    )
    return found


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    reads = parser()
    arguments = reads.parse_args(given)
    if not arguments.url:
        reads.error("name the service")
    if bool(arguments.group) != bool(arguments.app):
        reads.error("--group and --app go together")
    return arguments


def main(given: Sequence[str] | None = None) -> int:
    """Run the program; its exit code."""
    arguments = _arguments(given)
    from dicom_cli.smoke.command import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
