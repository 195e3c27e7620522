"""The work of a migration: several instances at a time, each noted when it has arrived (MIG-5 to MIG-7)."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

from dicom_cli.migrate.destination import Destination, Refused
from dicom_cli.migrate.limits import MOST_WORKERS, Throttle
from dicom_cli.migrate.model import Entry, SourceFailed, State
from dicom_cli.migrate.spool import SpooledFile
from dicom_cli.migrate.state import MigrationState

_LOOK_SECONDS: Final = 0.1


class Source(Protocol):
    """A source of instances."""

    def fetch(self, entry: Entry, into: SpooledFile, *, original: bool = False) -> None:
        """Take a file. Raises SourceFailed, CommandFailed."""
        ...


class Migration:
    """Moves instances of one source to one destination. `verifies`: each is read again and compared."""

    def __init__(
        self,
        source: Source,
        destination: Destination,
        state: MigrationState,
        throttle: Throttle,
        folder: Path,
        *,
        verifies: bool,
    ) -> None:
        self._source = source
        self._destination = destination
        self._state = state
        self._throttle = throttle
        self._folder = folder
        self._verifies = verifies
        self.stopping = threading.Event()
        """Set to end when what is on its way has arrived."""

    def move(self, done: Callable[[], Any]) -> None:
        """Bring all that is on its way to its end, once; `done` is called after each. Raises what ends a migration."""
        self._each(self._state.undone(), self._moved, done)

    def compare(self, done: Callable[[], Any]) -> None:
        """Compare what is at both ends, and move nothing. Raises what ends a migration."""
        self._each(self._state.undone(), self._compared, done)

    def update(self, entry: Entry) -> None:
        """Repeat a change: the version that was first, if the source has it, then the current one in its place."""
        file = SpooledFile(self._folder / "update.part")
        try:
            with suppress(SourceFailed, Refused):
                self._source.fetch(entry, file, original=True)
                self._destination.store(file)
            self._state.put(self._outcome(entry, lambda: self._taken(entry, file, replace_there=True)))
        finally:
            file.path.unlink(missing_ok=True)

    # ----------------------------------------------------------------------------------------------------- inside

    def _moved(self, entry: Entry, file: SpooledFile) -> None:
        if entry.state is State.FOUND:
            entry = self._outcome(entry, lambda: self._taken(entry, file))
            self._state.put(entry)
        if entry.state is State.SENT and self._verifies:
            self._state.put(self._read_again(entry, file))

    def _compared(self, entry: Entry, file: SpooledFile) -> None:
        entry = self._outcome(entry, lambda: self._read(entry, file))
        if entry.state is State.SENT:
            entry = self._read_again(entry, file)
        self._state.put(entry)

    def _outcome(self, entry: Entry, work: Callable[[], Entry]) -> Entry:
        try:
            return work()
        except SourceFailed as failure:
            return replace(entry, state=State.UNREADABLE, reason=str(failure))
        except Refused as failure:
            return replace(entry, state=State.REFUSED, reason=str(failure))

    def _taken(self, entry: Entry, file: SpooledFile, *, replace_there: bool = False) -> Entry:
        read = self._read(entry, file)
        self._throttle.request()
        self._destination.store(file, replace=replace_there)
        return read

    def _read(self, entry: Entry, file: SpooledFile) -> Entry:
        self._throttle.request()
        self._source.fetch(entry, file)
        self._throttle.bytes(file.length)
        return replace(entry, state=State.SENT, length=file.length, digest=file.digest, syntax=file.syntax, reason="")

    def _read_again(self, entry: Entry, file: SpooledFile) -> Entry:
        self._throttle.request()
        if not self._destination.fetch(entry, file):
            return replace(entry, state=State.DIFFERENT, reason="it is not at the destination")
        self._throttle.bytes(file.length)
        if file.digest != entry.digest:
            return replace(entry, state=State.DIFFERENT, reason="the destination has another file of this UID")
        return replace(entry, state=State.EQUAL, reason="")

    def _each(
        self, entries: Iterator[Entry], work: Callable[[Entry, SpooledFile], None], done: Callable[[], Any]
    ) -> None:
        waiting: queue.Queue[Entry] = queue.Queue(MOST_WORKERS)
        failures: list[BaseException] = []
        ended = threading.Event()

        def worker(number: int) -> None:
            file = SpooledFile(self._folder / f"{number}.part")
            try:
                while not self.stopping.is_set():
                    if number >= self._throttle.limits.concurrency:
                        if ended.is_set():
                            return
                        time.sleep(_LOOK_SECONDS)
                        continue
                    try:
                        entry = waiting.get(timeout=_LOOK_SECONDS)
                    except queue.Empty:
                        if ended.is_set():
                            return
                        continue
                    work(entry, file)
                    done()
            except BaseException as failure:  # noqa: BLE001 - raised again where all are waited for
                failures.append(failure)
                self.stopping.set()
            finally:
                file.path.unlink(missing_ok=True)

        threads: list[threading.Thread] = []

        def staff() -> None:
            """As many workers as the limits of now allow; those that are too many wait."""
            while len(threads) < min(MOST_WORKERS, self._throttle.limits.concurrency):
                threads.append(threading.Thread(target=worker, args=(len(threads),), daemon=True))
                threads[-1].start()

        try:
            for entry in entries:
                if not self._put(waiting, entry, staff):
                    break
            ended.set()
            while any(thread.is_alive() for thread in threads):
                staff()
                threads[0].join(_LOOK_SECONDS)
        finally:  # an interrupt lets what is on its way arrive
            self.stopping.set()
            for thread in threads:
                thread.join()
            self.stopping.clear()
        if failures:
            raise failures[0]

    def _put(self, waiting: queue.Queue[Entry], entry: Entry, staff: Callable[[], None]) -> bool:
        """False once it is to end."""
        while not self.stopping.is_set():
            staff()
            try:
                waiting.put(entry, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue
            return True
        return False
