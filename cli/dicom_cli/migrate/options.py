"""`dicom migrate SOURCE --to URL`: its options. Its work is imported when it begins, so that `--help` is quick."""

import argparse
from pathlib import Path
from typing import Final

from dicom_cli.migrate.limits import MOST_WORKERS
from dicom_cli.outcomes import ExitCode
from dicom_cli.output import Output
from dicom_cli.places import state_folder
from dicom_cli.service import Service

EXAMPLE: Final = """\
  dicom migrate https://old.example.org/v2 --to https://dicom.example.org --dry-run
  dicom migrate https://old.example.org/v2 --to https://dicom.example.org --report migration.json
  dicom migrate https://old.example.org/v2 --to https://dicom.example.org --follow
  dicom migrate http://orthanc:8042/dicom-web --to https://dicom.example.org --concurrency 8 --hours 20-6
  dicom migrate /mnt/archive --to https://dicom.example.org
"""


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("source", metavar="SOURCE", help="root URL of a DICOMweb server, with its version if it has some, or a folder")
    add("--to", default="", help="URL of the destination; otherwise --url")
    add("--source-partition", default="", help="data partition of the source")
    add("--all-partitions", action="store_true", help="every data partition of the source, under its name")
    add("--source-token-command", default="", help="prints a token for the source (a token itself: DICOM_SOURCE_TOKEN)")
    add("--source-scope", default="", help="what to sign in for at the source")
    add("--verify", choices=("full", "count"), default="full", help="full: each file is read again and compared")
    add("--follow", action="store_true", help="then repeat what the change feed of the source tells, until interrupted")
    add("--apply-deletes", action="store_true", help="with --follow: deletes, too")
    add("--interval", type=float, default=10.0, help="with --follow: seconds between two looks")
    add("--dry-run", action="store_true", help="count and estimate")
    add("--compare", action="store_true", help="compare both ends, move nothing")
    add("--again", action="store_true", help="try those again that did not arrive")
    add("--restart", action="store_true", help="forget what earlier runs have done")
    add("--concurrency", type=int, default=4, help=f"instances on their way at a time, at most {MOST_WORKERS}")
    add("--bytes-per-second", type=float, default=0.0, help="of all files together")
    add("--requests-per-second", type=float, default=0.0, help="at both ends together")
    add("--hours", default="", help="hours of the day in which it works, as 22-6")
    add("--limits", type=Path, help="a JSON file that changes concurrency, bytes_per_second, … while it runs")
    add("--state", type=Path, default=state_folder() / "migrations", help="where is remembered what was done")
    add("--report", type=Path, help="write the report to this file (JSON)")


def run(arguments: argparse.Namespace, service: Service, output: Output) -> ExitCode:
    """Do what is asked. Raises CommandFailed."""
    from dicom_cli.migrate.command import migrate

    return migrate(arguments, service, output)
