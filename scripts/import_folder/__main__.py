"""`python -m scripts.import_folder FOLDER [--url URL]`: send a folder of DICOM files (docs/operate/import.md)."""

import argparse
import asyncio
import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from devhost.azurite.storage_account import emulator_connection
from devhost.settings import DEVELOPMENT_STORAGE, Unusable, read_settings, settings_file
from scripts.import_folder.container import ContainerSender, Waiting
from scripts.import_folder.folder import Fatal, LocalFile, Verdict, files_of
from scripts.import_folder.journal import Journal
from scripts.import_folder.progress import Progress
from scripts.import_folder.stow import StowSender

_ROOT: Final = Path(__file__).resolve().parent.parent.parent
_LISTED: Final = 20
_UPLOADED_AHEAD: Final = 5000
"""Uploaded files of which nothing is known; more wait on this machine."""


@dataclass(slots=True)
class Run:
    """One run of the program."""

    journal: Journal
    progress: Progress
    refused: list[tuple[str, str]] = field(default_factory=list)

    def settle(self, file: LocalFile, verdict: Verdict) -> None:
        """This has become of a file."""
        self.journal.note(file, verdict)
        self.count(file, verdict)

    def count(self, file: LocalFile, verdict: Verdict) -> None:
        """The same, where the journal knows."""
        self.progress.done(verdict.state)
        if verdict.state == "refused":
            self.refused.append((file.name, verdict.reason))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.import_folder",
        description="Sends a folder of DICOM files to the service, through its import container or over STOW-RS.",
    )
    add = parser.add_argument
    add("folder", type=lambda text: Path(text).expanduser())
    add("--url", default="", help="DICOMweb base URL with version: send over STOW-RS, to any service")
    add("--partition", default="", help="data partition, where the service has them")
    add("--connection", default="", help="connection string of the account with the import container")
    add("--account", default="", help="name or blob endpoint of that account; you are who you are signed in as")
    add("--container", default="import-container")
    add("--error-container", default="error-container")
    add("--token", default=os.environ.get("DICOMWEB_TOKEN", ""), help="with --url: bearer token (DICOMWEB_TOKEN)")
    add("--token-command", default="", help="with --url: a command that prints a bearer token")
    add("--concurrency", type=int, default=8, help="files on their way at a time")
    add("--everything", action="store_true", help="also files that do not look like DICOM")
    add("--again", action="store_true", help="send those again that were refused earlier")
    add("--journals", type=Path, default=_ROOT / ".cache" / "imports", help="where runs are remembered")
    add("--patience", type=float, default=600, help="seconds without any result after which it ends")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        parser.error(f"{arguments.folder} is no folder")
    if arguments.concurrency < 1:
        parser.error("--concurrency is at least 1")
    return arguments


def _connection(arguments: argparse.Namespace) -> str:
    """The connection string: given, or from the settings of the service on this machine. Raises Fatal."""
    if arguments.connection:
        return str(arguments.connection)
    try:
        settings = read_settings(settings_file(_ROOT), os.environ)
    except Unusable as error:
        raise Fatal(str(error)) from None
    found = settings.get("ImportStorage") or settings.get("DicomStorage") or ""
    if not found:
        raise Fatal("Name the account with the import container: --account or --connection.")
    if found.strip().rstrip(";") == DEVELOPMENT_STORAGE:
        first = int(os.environ.get("AZURITE_PORT") or 10000)
        return emulator_connection(first, first + 1, first + 2)
    return found


def _selected(arguments: argparse.Namespace) -> tuple[list[LocalFile], int]:
    """The files to send, and the number of those passed over."""
    files: list[LocalFile] = []
    passed_over = 0
    for file, wanted in files_of(arguments.folder, everything=arguments.everything):
        if wanted:
            files.append(file)
        else:
            passed_over += 1
    return files, passed_over


async def _each(files: Sequence[LocalFile], concurrency: int, send: Callable[[LocalFile], Awaitable[None]]) -> None:
    """Send the files, so many at a time. Raises what ends it all."""
    waiting = iter(files)

    async def work() -> None:
        for file in waiting:
            await send(file)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(files))):
                group.create_task(work())
    except* Fatal as group_error:
        raise group_error.exceptions[0] from None


async def _over_stow(run: Run, files: Sequence[LocalFile], arguments: argparse.Namespace) -> int:
    sender = StowSender(
        arguments.url,
        partition=arguments.partition,
        token=arguments.token,
        token_command=arguments.token_command,
        concurrency=arguments.concurrency,
    )

    async def send(file: LocalFile) -> None:
        run.settle(file, await sender.send(file))

    try:
        await _each(files, arguments.concurrency, send)
    finally:
        await sender.close()
    return 0


async def _through_container(run: Run, files: Sequence[LocalFile], arguments: argparse.Namespace) -> int:
    """Returns the number of files of which nothing is known in the end."""
    connection = "" if arguments.account else _connection(arguments)
    sender = ContainerSender(
        *ContainerSender.clients(connection, account=arguments.account),
        container=arguments.container,
        error_container=arguments.error_container,
        import_id=run.journal.id,
        partition=arguments.partition,
    )
    waiting = Waiting(sender, run.settle)
    uploading = True
    heard = time.monotonic()

    async def upload(file: LocalFile) -> None:
        while len(waiting) >= _UPLOADED_AHEAD:  # noqa: ASYNC110 - what is awaited happens in the service
            await asyncio.sleep(0.2)
        verdict = await sender.upload(file)
        if verdict is not None:
            run.settle(file, verdict)
            return
        run.journal.note_upload(file)
        run.progress.uploaded()
        waiting.add(file)

    async def listen() -> None:
        nonlocal heard
        while uploading or len(waiting):
            if await waiting.step() or uploading:
                heard = time.monotonic()
            elif time.monotonic() - heard > arguments.patience:
                return
            run.progress.tick()

    try:
        await sender.open()
        listener = asyncio.create_task(listen())
        try:
            for file in files:
                if run.journal.is_uploaded(file):
                    run.progress.uploaded()
                    waiting.add(file)
            await _each([file for file in files if not run.journal.is_uploaded(file)], arguments.concurrency, upload)
            uploading = False
            await listener
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)
    finally:
        await sender.close(finished=not uploading and not len(waiting))
    return len(waiting)


async def _run(arguments: argparse.Namespace) -> int:
    begun = time.monotonic()
    files, passed_over = _selected(arguments)
    target = f"{arguments.url or arguments.account or 'container'} {arguments.container} {arguments.partition}"
    journal = Journal.of(arguments.journals, arguments.folder, target)
    run = Run(journal, Progress(len(files)))
    earlier: Counter[str] = Counter()
    left = []
    for file in files:
        verdict = journal.verdict(file)
        if verdict is None or (verdict.state == "refused" and arguments.again):
            left.append(file)
        else:
            earlier[verdict.state] += 1
            run.count(file, verdict)
    unknown = len(left)
    try:
        send = _over_stow if arguments.url else _through_container
        unknown = await send(run, left, arguments) if left else 0
    finally:
        run.progress.close()
        journal.close()
    _summarize(run, passed_over, unknown, earlier, time.monotonic() - begun)
    return 1 if run.refused or unknown else 0


def _summarize(run: Run, passed_over: int, unknown: int, earlier: Counter[str], seconds: float) -> None:
    counts = run.progress.counts
    print(
        f"{sum(counts.values()):,} files in {seconds:,.0f} s: {counts['stored']:,} stored, "
        f"{counts['duplicate']:,} duplicates, {counts['refused']:,} refused."
    )
    if earlier:
        print(f"{sum(earlier.values()):,} of them were done in an earlier run.")
    if passed_over:
        print(f"{passed_over:,} files are no DICOM files and were passed over.")
    if unknown:
        print(f"{unknown:,} files are still being imported. Run it again to see what becomes of them.")
    for name, reason in run.refused[:_LISTED]:
        print(f"refused: {name}: {reason}")
    if len(run.refused) > _LISTED:
        print(f"and {len(run.refused) - _LISTED:,} more, see {run.journal.path}")


def main() -> int:
    """Run the program; the answer is the exit code: 0 all stored, 1 some refused or unknown, 2 it cannot be done."""
    arguments = _arguments()
    try:
        return asyncio.run(_run(arguments))
    except Fatal as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted. Run it again to go on.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
