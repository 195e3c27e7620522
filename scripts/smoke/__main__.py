"""Runs the checks, a line for each; the exit code is the number of those that failed."""

import argparse
import os
import sys
import time

from scripts.smoke.checks import Check, checks, clean_up
from scripts.smoke.service import Failed, Service


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make smoke", description="Whether a deployed service works.")
    add = parser.add_argument
    add("url", help="of the service, with a path base if it has one")
    add("--origin", default="", help="of a viewer that is to be admitted (ORIGIN=)")
    add("--partition", default="", help="data partition for the sample, where there are some (PARTITION=)")
    add("--large", action="store_true", help="bodies of 99 and 101 MiB too (LARGE=1)")
    parser.epilog = (
        "In the environment: TOKEN, of somebody who may do everything; READER_TOKEN, of one who may only read."
    )
    return parser.parse_args()


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


def main() -> int:
    """Run them all: what an early one has found explains later ones."""
    arguments = _arguments()
    service = Service(
        arguments.url.rstrip("/"),
        os.environ.get("TOKEN", ""),
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
    return failed


if __name__ == "__main__":
    sys.exit(main())
