"""`dicom export`: studies, series and instances, or a whole partition, into a container (azure-apis §7)."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from dicom_cli.operations import waited
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.output import Output
from dicom_cli.service import JSON, Service

EXAMPLE: Final = """\
  dicom export --to https://research.blob.core.windows.net/trial-7 --managed-identity 1.2.3 1.2.4/1.2.4.5
  dicom search studies --all --json Modality=CT | dicom export --to "$CONTAINER" --from -
"""
_UIDS: Final = ("0020000D", "0020000E", "00080018")


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("what", nargs="*", help="STUDY, STUDY/SERIES or STUDY/SERIES/INSTANCE")
    parser.add_argument("--from", dest="source", help="identifiers or search results, a line each; - reads them")
    parser.add_argument("--to", required=True, help="URL of the container, with a signature if it needs one")
    parser.add_argument("--managed-identity", action="store_true", help="the service signs in there as itself")
    parser.add_argument("--everything", action="store_true", help="all of the partition")
    parser.add_argument("--no-wait", action="store_true", help="do not wait for the end")


def run(arguments: argparse.Namespace, service: Service, output: Output) -> ExitCode:
    """Start an export, and wait for it. Raises CommandFailed."""
    identifiers = [*arguments.what, *(_read(arguments.source) if arguments.source else [])]
    if bool(identifiers) == arguments.everything:
        raise CommandFailed("Name what to export, or say --everything; not both.", ExitCode.WRONG_USE)
    settings: dict[str, Any] = {"blobContainerUri": arguments.to}
    if arguments.managed_identity:
        settings["useManagedIdentity"] = True
    body: dict[str, Any] = {"destination": {"type": "azureBlob", "settings": settings}}
    if identifiers:
        body["source"] = {"type": "identifiers", "settings": {"values": identifiers}}
    started = service.ask(
        "POST", service.path("export"), body=json.dumps(body).encode(), headers={"Content-Type": JSON}
    )
    return waited(service, started, output, wait=not arguments.no_wait)


def _read(source: str) -> list[str]:
    """Identifiers, a line each; a line of JSON is a result of `dicom search --json`."""
    try:
        text = (sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{source} cannot be read: {error}", ExitCode.WRONG_USE) from None
    return [_identifier(line) for line in text.splitlines() if line.strip()]


def _identifier(line: str) -> str:
    if not line.lstrip().startswith("{"):
        return line.strip()
    try:
        data_set = json.loads(line)
        found = [data_set[tag]["Value"][0] for tag in _UIDS if tag in data_set]
    except (ValueError, KeyError, IndexError, TypeError):
        found = []
    if not found:
        raise CommandFailed("A line is neither an identifier nor a search result.", ExitCode.WRONG_USE)
    return "/".join(map(str, found))
