"""The state of a migration: an SQLite file with a row for each instance (MIG-6)."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self

from dicom_cli.migrate.model import FAULTS, UNDONE, Entry, Place, State

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS instance (
    study TEXT, series TEXT, sop TEXT, name TEXT NOT NULL, state TEXT NOT NULL, length INTEGER NOT NULL,
    digest TEXT NOT NULL, syntax TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (study, series, sop)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_state ON instance (state);
CREATE TABLE IF NOT EXISTS passed_over (name TEXT PRIMARY KEY, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_COLUMNS: Final = "study, series, sop, name, state, length, digest, syntax, reason"
_ADD: Final = "INSERT OR IGNORE INTO instance VALUES (?,?,?,?,?,?,?,?,?)"
_PUT: Final = "INSERT OR REPLACE INTO instance VALUES (?,?,?,?,?,?,?,?,?)"
_GONE: Final = "'refused', 'unreadable', 'deleted'"
_PAGE: Final = 500


class MigrationState:
    """The record of a migration. Each note is durable when its method returns; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(_TABLES)

    @classmethod
    def of(cls, folder: Path, source: str, target: str, *, restart: bool) -> Self:
        """The state of the migration from one address to another; `restart`: without what earlier runs have done."""
        path = folder / f"{sha256(f'{source}\n{target}'.encode()).hexdigest()[:16]}.sqlite"
        if restart:
            for each in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
                each.unlink(missing_ok=True)
        return cls(path)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def add(self, entries: Iterable[Entry]) -> None:
        """Note instances that the source has; those that are known stay as they are."""
        rows = [_row(each) for each in entries]
        with self._lock:
            self._database.execute("BEGIN")
            self._database.executemany(_ADD, rows)
            self._database.execute("COMMIT")

    def put(self, entry: Entry) -> None:
        """Note what has become of an instance."""
        with self._lock:
            self._database.execute(_PUT, _row(entry))

    def get(self, place: Place) -> Entry | None:
        """An instance; None if it is not known."""
        with self._lock:
            found = self._database.execute(
                f"SELECT {_COLUMNS} FROM instance WHERE study=? AND series=? AND sop=?",  # noqa: S608 - of constants
                place,
            ).fetchone()
        return _entry(found) if found else None

    def pass_over(self, name: str, reason: str) -> None:
        """Note a file that is no DICOM."""
        with self._lock:
            self._database.execute("INSERT OR REPLACE INTO passed_over VALUES (?, ?)", (name, reason))

    def again(self, *states: State) -> None:
        """Take up instances once more."""
        with self._lock:
            self._database.executemany(
                "UPDATE instance SET state=?, reason='' WHERE state=?", [(State.FOUND, each) for each in states]
            )

    def undone(self) -> Iterator[Entry]:
        """The instances that are on their way, study by study."""
        return self._each(UNDONE)

    def faults(self) -> Iterator[Entry]:
        """Those that did not arrive as they are."""
        return self._each(FAULTS)

    def arrived(self) -> Iterator[Entry]:
        """Those that are at the destination, or should be."""
        return self._each((State.EQUAL, State.SENT, State.DIFFERENT))

    def counts(self) -> dict[str, int]:
        """The number of instances in each state."""
        return dict(self._all("SELECT state, COUNT(*) FROM instance GROUP BY state"))

    def totals(self) -> tuple[int, int, int]:
        """Studies, instances and bytes."""
        [(studies, instances, length)] = self._all(
            "SELECT COUNT(DISTINCT study), COUNT(*), COALESCE(SUM(length), 0) FROM instance"
        )
        return studies, instances, length

    def by_study(self) -> dict[str, int]:
        """The number of instances of each study that are to be at the destination."""
        return dict(
            self._all(
                f"SELECT study, COUNT(*) FROM instance WHERE state NOT IN ({_GONE}) GROUP BY study"  # noqa: S608 - constant
            )
        )

    def syntaxes(self) -> dict[str, int]:
        """The number of instances that came in each transfer syntax."""
        return dict(self._all("SELECT syntax, COUNT(*) FROM instance WHERE syntax != '' GROUP BY syntax"))

    def passed_over(self) -> list[tuple[str, str]]:
        """Files that are no DICOM, with the reason."""
        return self._all("SELECT name, reason FROM passed_over ORDER BY name")

    def note(self, name: str) -> str:
        """A note; empty if there is none."""
        found = self._all("SELECT value FROM note WHERE name=?", (name,))
        return str(found[0][0]) if found else ""

    def set_note(self, name: str, value: str) -> None:
        """Write a note."""
        with self._lock:
            self._database.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, value))

    # ----------------------------------------------------------------------------------------------------- inside

    def _each(self, states: Iterable[State]) -> Iterator[Entry]:
        wanted = tuple(states)
        after: tuple[str, ...] = ("", "", "")
        marks = ",".join("?" * len(wanted))
        while rows := self._all(
            f"SELECT {_COLUMNS} FROM instance WHERE (study, series, sop) > (?, ?, ?) AND state IN ({marks}) "  # noqa: S608 - likewise
            f"ORDER BY study, series, sop LIMIT {_PAGE}",
            (*after, *wanted),
        ):
            after = rows[-1][:3]
            yield from map(_entry, rows)

    def _all(self, query: str, values: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._database.execute(query, values).fetchall()


def _row(entry: Entry) -> tuple[object, ...]:
    return (
        *entry.place,
        entry.name,
        entry.state.value,
        entry.length,
        entry.digest,
        entry.syntax,
        entry.reason,
    )


def _entry(row: tuple[Any, ...]) -> Entry:
    study, series, sop, name, state, length, digest, syntax, reason = row
    return Entry(Place(study, series, sop), name, State(state), length, digest, syntax, reason)
