"""Runs the checks, a line for each; the exit code is 1 when one has failed (CLI-3, CLI-5)."""

import argparse
import os
import sys
import time
from collections.abc import Sequence

from dicom_cli.outcomes import ExitCode
from dicom_cli.smoke.checks import Check, checks, clean_up
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
    parser.epilog = (
        "In the environment: TOKEN, of somebody who may do everything; READER_TOKEN, of one who may only read."
    )
    arguments = parser.parse_args(given)
    if not arguments.url:
        parser.error("name the service")
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
    failed = 0
    for number, check in enumerate(checks(service, large=arguments.large), 1):
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
