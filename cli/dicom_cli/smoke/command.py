"""The work of `dicom smoke`: runs the checks, a line for each (CLI-3)."""

import argparse
import os
import time
from collections.abc import Iterator
from typing import Any

from dicom_cli.outcomes import ExitCode
from dicom_cli.output import Output
from dicom_cli.smoke.checks import Check, checks, clean_up
from dicom_cli.smoke.deployment import Deployed, Trail, azure_cli, check_import
from dicom_cli.smoke.sample import sample
from dicom_cli.smoke.service import Failed, Service


def run(arguments: argparse.Namespace) -> ExitCode:
    """Run them all: what an early one has found explains later ones."""
    service = Service(
        arguments.url.rstrip("/"),
        os.environ.get("TOKEN") or os.environ.get("DICOM_TOKEN", ""),
        os.environ.get("READER_TOKEN", ""),
        arguments.origin,
        arguments.partition,
    )
    output = Output(as_json=arguments.json, quiet=False)
    failed, one = 0, sample()
    seen = [*checks(service, one, large=arguments.large), *_unseen(service, one.study, arguments)]
    for number, check in enumerate(seen, 1):
        passed = _passes(number, check, output)
        failed += not passed
        if not passed and number == 1:
            break
    else:
        failed += not _passes(0, Check("cleaned up", lambda: clean_up(service)), output)
    output.item({"failed": failed}, "all well" if not failed else f"{failed} failed")
    return ExitCode.SOME_FAILED if failed else ExitCode.DONE


def _passes(number: int, check: Check, output: Output) -> bool:
    """Whether the check has passed; a line tells."""
    began = time.monotonic()
    try:
        told = check.run()
    except Failed as failed:
        output.item(
            {"check": check.name, "ok": False, "says": failed.wrong, "means": failed.means},
            f"FAILED {number:2}  {check.name}: {failed.wrong}\n           {failed.means}",
        )
        return False
    seconds = time.monotonic() - began
    output.item(
        {"check": check.name, "ok": True, "says": told, "seconds": round(seconds, 1)},
        f"ok     {number:2}  {check.name} ({seconds:.1f} s): {told}",
    )
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
