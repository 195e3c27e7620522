"""The options of `dicom import FOLDER [--url URL]`. Nothing of its work is imported here, so that `--help` is quick."""

import argparse
import os
from pathlib import Path
from typing import Final

from dicom_cli.places import state_folder

EXAMPLE: Final = """\
  dicom import /mnt/archive/2025
  dicom import image.dcm other.dcm
  dicom import /mnt/archive --dry-run
  dicom import /mnt/archive --url https://dicom.example.org/v2 --zip --verify --report studies.csv
  dicom import /mnt/archive --account importaccount --service https://dicom.example.org/v2
"""
MANY: Final = 10_000
"""So many files are sent from a terminal only when whoever sits there says so."""


def parser() -> argparse.ArgumentParser:
    """The parser of the command."""
    found = argparse.ArgumentParser(
        prog="dicom import",
        description="Sends a folder of DICOM files to the service, through its import container or over STOW-RS.",
        epilog=f"examples:\n{EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = found.add_argument
    add("paths", nargs="+", metavar="PATH", help="a folder of files, or one file; each is an import of its own")
    add("--url", default="", help="DICOMweb base URL: send over STOW-RS, to any service (DICOM_URL)")
    add("--partition", default="", help="data partition, where the service has them (DICOM_PARTITION)")
    add("--connection", default="", help="connection string of the account with the import container")
    add("--account", default="", help="name or blob endpoint of that account; you are who you are signed in as")
    add("--container", default="import-container")
    add("--error-container", default="error-container")
    add("--service", default="", help="DICOMweb base URL of the service behind the container, to verify what it has")
    add("--token", default=os.environ.get("DICOMWEB_TOKEN", ""), help="bearer token for the URL (DICOMWEB_TOKEN)")
    add("--token-command", default="", help="a command that prints a bearer token for the URL (DICOM_TOKEN_COMMAND)")
    add("--scope", default="", help="what to sign in for (DICOM_SCOPE)")
    add("--profile", default="", help="of the configuration file")
    add("--concurrency", type=int, default=8, help="files on their way at a time")
    add("--everything", action="store_true", help="also files that do not look like DICOM")
    add("--zip", action="store_true", help="also what is in zip archives")
    add("--again", action="store_true", help="send those again that were refused earlier")
    add("--restart", action="store_true", help="forget what earlier runs have done")
    add("--dry-run", action="store_true", help="only say, study by study, what would be sent and what is there")
    add("--verify", action="store_true", help="in the end, ask the service for every instance")
    add("--report", type=Path, help="write what became of each study to this file (CSV)")
    add("--yes", action="store_true", help=f"do not ask before sending more than {MANY:,} files")
    add("--journals", type=Path, default=state_folder() / "imports", help="where runs are remembered")
    add("--json", action="store_true", help="a JSON object a line: what became of each file, and the sums")
    add("--quiet", action="store_true", help="no progress")
    add("--patience", type=float, default=600, help="seconds without any result after which it ends")
    return found
