"""`dicom get`: studies, series, instances, frames, metadata, pictures and zip archives into files."""

import argparse
import http.client
import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Final

from dicom_cli.elements import first
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.output import Bar, Output
from dicom_cli.search import results
from dicom_cli.service import DICOM_JSON, PIECE, Service

EXAMPLE: Final = """\
  dicom get 1.2.3 -o study/                         # every instance of a study, as stored
  dicom get 1.2.3/1.2.3.4/1.2.3.4.5 -o one.dcm      # one instance
  dicom get 1.2.3 --as zip -o study.zip
  dicom get 1.2.3/1.2.3.4/1.2.3.4.5 --as rendered -o one.jpg
  dicom get 1.2.3/1.2.3.4/1.2.3.4.5 --as frame --frame 3 -o frame.bin
"""
_KINDS: Final = ("dicom", "metadata", "zip", "rendered", "frame")
UID: Final = re.compile(r"(?=.{1,64}$)[0-9]+(\.[0-9]+)*")
"""A UID, which names a file and leads nowhere else."""
_SYNTAX: Final = "1.2.840.10008.1.2.1"
_PART: Final = ".part"


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("what", help="STUDY, STUDY/SERIES or STUDY/SERIES/INSTANCE")
    parser.add_argument("-o", "--output", type=Path, required=True, help="file; a folder for several instances")
    parser.add_argument("--as", dest="kind", choices=_KINDS, default="dicom")
    parser.add_argument("--frame", type=int, default=1, help="number of the frame, from 1")
    parser.add_argument("--transfer-syntax", default="*", help="UID; * is as stored")
    parser.add_argument("--accept", help="media type of a picture: image/jpeg or image/png")
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    parser.add_argument("--parallel", type=int, default=4)


def run(arguments: argparse.Namespace, service: Service, output: Output) -> ExitCode:
    """Write the files. Raises CommandFailed."""
    uids = arguments.what.strip("/").split("/")
    if len(uids) > 3 or not all(map(UID.fullmatch, uids)):
        raise CommandFailed(
            f"{arguments.what!r} is not STUDY, STUDY/SERIES or STUDY/SERIES/INSTANCE.", ExitCode.WRONG_USE
        )
    path = resource_path(uids)
    syntax = arguments.transfer_syntax
    match arguments.kind:
        case "metadata":
            data_sets = service.ask("GET", service.path(f"{path}/metadata"), headers={"Accept": DICOM_JSON}).json()
            return _written(arguments, output, json.dumps(data_sets, ensure_ascii=False, indent=1).encode())
        case "zip":
            accept = f'application/zip; transfer-syntax="{syntax}"' if syntax != "*" else "application/zip"
            return _fetched(arguments, service, output, path, accept)
        case "rendered":
            if len(uids) == 3 and arguments.frame > 1:
                path += f"/frames/{arguments.frame}"
            return _fetched(arguments, service, output, f"{path}/rendered", arguments.accept or "image/jpeg")
        case "frame":
            if len(uids) < 3:
                raise CommandFailed("A frame is one of an instance: STUDY/SERIES/INSTANCE.", ExitCode.WRONG_USE)
            wanted = _SYNTAX if syntax == "*" else syntax
            accept = f'application/octet-stream; transfer-syntax="{wanted}"'
            return _fetched(arguments, service, output, f"{path}/frames/{arguments.frame}", accept)
        case _ if len(uids) == 3:
            return _fetched(arguments, service, output, path, accepted_file(syntax))
        case _:
            return _instances(arguments, service, output, path, uids)


def resource_path(uids: Sequence[str]) -> str:
    """The path of a study, a series or an instance, below the partition."""
    return "/".join(f"{name}/{uid}" for name, uid in zip(("studies", "series", "instances"), uids, strict=False))


def accepted_file(syntax: str) -> str:
    """The Accept header for a file in a transfer syntax; `*`: in that of the file."""
    return f'application/dicom; transfer-syntax="{syntax}"'


def _instances(
    arguments: argparse.Namespace, service: Service, output: Output, path: str, uids: Sequence[str]
) -> ExitCode:
    """Every instance of a study or a series into a folder; what is there already is not fetched again."""
    folder: Path = arguments.output
    if folder.exists() and not folder.is_dir():
        raise CommandFailed(f"{folder} is no folder.", ExitCode.WRONG_USE)
    found = list(results(service, f"{path}/instances", [], limit=None))
    if not found:
        raise CommandFailed(f"{arguments.what} is not there.", ExitCode.NOT_FOUND)
    failed: list[str] = []
    bar = Bar(len(found), "instances")

    def one(data_set: dict[str, dict[str, list[str]]]) -> None:
        series = first(data_set, "0020000E", "".join(uids[1:2]))
        instance = first(data_set, "00080018")
        target = folder / series / f"{instance}.dcm"
        name = f"{uids[0]}/{series}/{instance}"
        try:
            if arguments.force or not target.exists():
                save(
                    service,
                    resource_path([uids[0], series, instance]),
                    accepted_file(arguments.transfer_syntax),
                    target,
                )
            output.item({"instance": name, "file": str(target)}, str(target))
        except CommandFailed as failure:
            failed.append(name)
            output.item({"instance": name, "error": str(failure)}, f"failed: {name}: {failure}")
        bar.step()

    with ThreadPoolExecutor(max(1, arguments.parallel)) as pool:
        for _ in pool.map(one, found):
            pass
    bar.close()
    output.say(f"{len(found) - len(failed)} of {len(found)} instances in {folder}.")
    return ExitCode.SOME_FAILED if failed else ExitCode.DONE


def _fetched(arguments: argparse.Namespace, service: Service, output: Output, path: str, accept: str) -> ExitCode:
    _refuse_to_overwrite(arguments)
    length = save(service, path, accept, arguments.output)
    output.item({"file": str(arguments.output), "bytes": length}, f"{arguments.output}: {length:,} bytes")
    return ExitCode.DONE


def _written(arguments: argparse.Namespace, output: Output, content: bytes) -> ExitCode:
    _refuse_to_overwrite(arguments)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_bytes(content)
    output.item({"file": str(arguments.output), "bytes": len(content)}, f"{arguments.output}: {len(content):,} bytes")
    return ExitCode.DONE


def _refuse_to_overwrite(arguments: argparse.Namespace) -> None:
    if arguments.output.exists() and not arguments.force:
        raise CommandFailed(f"{arguments.output} is there already; --force overwrites it.", ExitCode.WRONG_USE)


def save(service: Service, path: str, accept: str, target: Path) -> int:
    """Write a response beside `target`, then put it in its place: what is there is whole. Goes on where it was cut.

    How many bytes there are. Raises CommandFailed, and OSError for a file that cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + _PART)
    tag = part.with_name(part.name + ".etag")
    begun = part.stat().st_size if part.exists() and tag.exists() else 0
    headers = {"Accept": accept}
    if begun:
        headers |= {"Range": f"bytes={begun}-", "If-Range": tag.read_text(encoding="ascii")}
    with service.stream(service.path(path), headers=headers) as response:
        goes_on = begun > 0 and response.status == 206
        etag = response.headers.get("ETag", "")
        if etag and not etag.startswith("W/"):
            tag.write_text(etag, encoding="ascii")
        with part.open("ab" if goes_on else "wb") as file:
            cut = not _copied(response, file)
        left = response.length  # of an announced length; http.client ends without an error when it is cut there
    if cut or left:
        raise CommandFailed(f"{path} was cut short; run it again to go on.", ExitCode.NOT_REACHABLE)
    part.replace(target)
    tag.unlink(missing_ok=True)
    return target.stat().st_size


def _copied(response: http.client.HTTPResponse, file: BinaryIO) -> bool:
    """Whether the connection held to the end of what came. Raises OSError for a file that cannot be written."""
    while True:
        try:
            piece = response.read(PIECE)
        except (OSError, http.client.HTTPException):
            return False
        if not piece:
            return True
        file.write(piece)
