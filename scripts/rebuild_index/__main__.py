"""`python -m scripts.rebuild_index`: the index from the files (docs/operate/backup.md).

The settings are those of the app, from the environment: the connection string or the addresses of the account, and the
shape of the index.
"""

import argparse
import asyncio
import contextlib
import csv
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from scripts.rebuild_index.service import RebuildService, rebuild_service
from shared import telemetry
from shared.errors import DependencyRefused, Misconfigured, Unavailable
from shared.ingest.rebuild import Note, Rebuilt
from shared.settings import Settings
from shared.storage.connection import quiet_sdk_logs
from shared.wiring.stores import create_tables

_LINE_SECONDS = 10.0
_PROBLEMS = ("refused", "not_readable", "invalid", "unknown_partition")
"""What an operator should look at."""


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.rebuild_index",
        description="Makes the index anew from the files of the container, or compares the two.",
    )
    add = parser.add_argument
    add("--dry-run", action="store_true", help="only count what would be indexed")
    add("--verify", action="store_true", help="only compare: files without a row, rows without a file")
    add("--reconcile", action="store_true", help="index what lacks a row, report rows without a file")
    add("--restart", action="store_true", help="from the first file, not where an earlier run ended")
    add("--partition", action="append", default=[], help="name of a data partition that has files but no document")
    add("--concurrency", type=int, default=8, help="studies at a time")
    add("--report", type=Path, help="write the blobs that need a look to this file (CSV); their names hold UIDs")
    found = parser.parse_args(arguments)
    if found.dry_run + found.verify + found.reconcile > 1:
        parser.error("--dry-run, --verify and --reconcile exclude each other.")
    if found.concurrency < 1:
        parser.error("--concurrency is at least 1.")
    return found


class _Progress:
    """A line from time to time."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = self._shown = time.monotonic()

    def show(self, number: int, what: str) -> None:
        """So many are done."""
        now = time.monotonic()
        if now - self._shown >= _LINE_SECONDS:
            self._shown = now
            self._stream.write(f"{number:,} {what}, {self.rate(number):,.0f} a second\n")
            self._stream.flush()

    def rate(self, number: int) -> float:
        """How many a second."""
        return number / max(time.monotonic() - self._begun, 0.001)


@contextlib.contextmanager
def _report(path: Path | None) -> Iterator[Note]:
    if path is None:
        yield lambda _what, _blob: None
        return
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("what", "blob"))
        yield lambda what, blob: rows.writerow((what, blob))


async def _walk(service: RebuildService, arguments: argparse.Namespace) -> int:
    """The files; how many of them need a look."""
    dry = arguments.dry_run or arguments.verify
    # A comparison begins at the first file: what an earlier rebuild has done is what it is to check.
    restart = arguments.restart or arguments.reconcile
    if not dry and not restart and await service.rebuild.position():
        print("Going on where an earlier run ended; --restart begins anew.")
    progress, done = _Progress(sys.stderr), Rebuilt()
    before = service.stores.tables.requests + service.stores.blobs.requests
    async for done in service.rebuild.run(restart=restart, dry=dry):
        progress.show(done.files, "files")
    requests = service.stores.tables.requests + service.stores.blobs.requests - before
    print(f"{done.files:,} files of {done.studies:,} studies, {progress.rate(done.files):,.0f} a second.")
    for name, number in done.numbers().items():
        if number and name not in ("files", "studies"):
            print(f"{number:>12,} {'to be indexed' if dry and name == 'indexed' else name.replace('_', ' ')}")
    if done.indexed and not dry:
        print(f"{requests / done.indexed:.1f} requests to the data stores for each indexed file.")
    missing = done.indexed if arguments.verify else 0
    return missing + sum(done.numbers()[name] for name in _PROBLEMS)


async def _check_rows(service: RebuildService, note: Note) -> int:
    """The rows; how many of them disagree with the files."""
    instances = without = marked = 0
    progress = _Progress(sys.stderr)
    async for checked in service.rows.run():
        instances += checked.instances
        without += len(checked.without_file)
        marked += len(checked.marked)
        for blob in checked.without_file:
            note("row_without_file", blob)
        for blob in checked.marked:
            note("live_but_marked", blob)
        progress.show(instances, "rows")
    print(f"{instances:,} instances in the index: {without:,} without their file, {marked:,} whose file is marked.")
    return without + marked


async def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    with _report(arguments.report) as note:
        service = rebuild_service(settings, at_once=arguments.concurrency, note=note)
        try:
            if arguments.dry_run or arguments.verify:
                await create_tables(service.stores.tables, service.stores.connection)
                await service.stores.row.settings()
                await service.stores.schemas.refresh()
            else:
                # With data partitions: those that come back with the files are no contradiction of the settings.
                await service.stores.prepare(data_partitions=True)
                for name in arguments.partition:
                    await service.stores.partitions.resolve(name, create=True)
            look = await _walk(service, arguments)
            if arguments.verify or arguments.reconcile:
                look += await _check_rows(service, note)
        finally:
            await service.close()
    return 1 if look else 0


def main(arguments: list[str] | None = None) -> int:
    """Run the program; the answer is the exit code: 0 all is well, 1 some need a look, 2 it cannot be done."""
    parsed = _arguments(arguments)
    quiet_sdk_logs()
    telemetry.set_level("ERROR")
    try:
        return asyncio.run(_run(parsed, Settings.from_environment(os.environ)))
    except (Misconfigured, Unavailable, DependencyRefused) as error:
        print(f"{error}\nRun it again to go on.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted. Run it again to go on.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
