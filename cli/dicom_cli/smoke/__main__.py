"""Runs the checks, a line for each; the exit code is 1 when one has failed (CLI-3, CLI-5)."""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from dicom_cli.outcomes import ExitCode
from dicom_cli.smoke.checks import Check, checks, clean_up
from dicom_cli.smoke.deployment import Deployed, Trail, azure_cli, check_import
from dicom_cli.smoke.sample import sample
from dicom_cli.smoke.service import Failed, Service


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dicom smoke", description="Whether a deployed service works.")
    add = parser.add_argument
    add(
        "url", nargs="?", default=os.environ.get("DICOM_URL", ""), help="of the service, with a path base if it has one"
    )
    add("--origin", default="", help="of a viewer that is to be admitted (ORIGIN=)")
    add("--partition", default="", help="data partition for the sample, where there are some (PARTITION=)")
    add("--large", action="store_true", help="bodies of 99 and 101 MiB too (LARGE=1)")
    add("--group", default="", help="resource group of the app: looks at the deployment by the Azure CLI (GROUP=)")
    add("--app", default="", help="name of the function app, with --group (APP=)")
    add("--import-account", default="", help="address of the blobs of the import account: imports a file (IMPORT=)")
    add(
        "--workspace",
        default="",
        help="customer id of the Log Analytics workspace: looks for audit records (WORKSPACE=)",
    )
    parser.epilog = (
        "In the environment: TOKEN, of somebody who may do everything; READER_TOKEN, of one who may only read; "
        "IMPORT_CONNECTION, a connection string instead of --import-account."
    )
    arguments = parser.parse_args(given)
    if not arguments.url:
        parser.error("name the service")
    if bool(arguments.group) != bool(arguments.app):
        parser.error("--group and --app go together")
    return arguments


def run(number: int, check: Check) -> bool:
    """Whether the check has passed; a line tells."""
    began = time.monotonic()
    try:
        told = check.run()
    except Failed as failed:
        print(f"FAILED {number:2}  {check.name}: {failed.wrong}\n           {failed.means}", flush=True)
        return False
    print(f"ok     {number:2}  {check.name} ({time.monotonic() - began:.1f} s): {told}", flush=True)
    return True


def _unseen(service: Service, study: str, arguments: argparse.Namespace) -> Iterator[Check]:
    """Checks of what a client cannot see, as far as somebody has named it."""
    if arguments.group:
        yield Check("the deployment", Deployed(azure_cli, arguments.group, arguments.app).check)
    connection = os.environ.get("IMPORT_CONNECTION", "")
    if arguments.import_account or connection:
        yield Check("import", lambda: check_import(service, _blobs(arguments.import_account, connection)))
    if arguments.workspace:
        yield Check("audit trail", lambda: Trail(azure_cli, arguments.workspace).check(study))


def _blobs(account: str, connection: str) -> Any:
    from azure.storage.blob import BlobServiceClient

    if connection:
        return BlobServiceClient.from_connection_string(connection)
    from azure.identity import DefaultAzureCredential

    return BlobServiceClient(account, credential=DefaultAzureCredential())


def main(given: Sequence[str] | None = None) -> int:
    """Run them all: what an early one has found explains later ones."""
    arguments = _arguments(given)
    service = Service(
        arguments.url.rstrip("/"),
        os.environ.get("TOKEN") or os.environ.get("DICOM_TOKEN", ""),
        os.environ.get("READER_TOKEN", ""),
        arguments.origin,
        arguments.partition,
    )
    failed, one = 0, sample()
    seen = [*checks(service, one, large=arguments.large), *_unseen(service, one.study, arguments)]
    for number, check in enumerate(seen, 1):
        passed = run(number, check)
        failed += not passed
        if not passed and number == 1:
            break
    else:
        failed += not run(0, Check("cleaned up", lambda: clean_up(service)))
    print("all well" if not failed else f"{failed} failed", flush=True)
    return ExitCode.SOME_FAILED if failed else ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
