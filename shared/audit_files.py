"""The audit trail in files: a sink of its own, where the host keeps no log that can be searched (AUD-8, PHI-2).

A file has the records of one day and one process, a JSON object a line, with the time of each. The logger goes on to
wherever it goes. A record that cannot be written is counted, and the request is answered all the same.
"""

import logging
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, TextIO

import orjson

from shared import metrics
from shared.telemetry import AUDIT_LOGGER

_SUFFIX: Final = ".jsonl"


class AuditFiles(logging.Handler):
    """Writes audit records into a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(logging.INFO)
        self.folder = folder
        self._day = ""
        self._file: TextIO | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Append a record."""
        try:
            time = datetime.fromtimestamp(record.created, UTC)
            line = orjson.dumps({"time": time.isoformat(timespec="milliseconds")}).decode()
            file = self._of(time.date().isoformat())
            file.write(f"{line[:-1]},{record.getMessage()[1:]}\n")
            file.flush()
        except OSError:
            metrics.add(metrics.AUDIT_NOT_WRITTEN)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
        super().close()

    def _of(self, day: str) -> TextIO:
        if self._file is None or day != self._day:
            if self._file is not None:
                self._file.close()
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self.folder / f"{day}-{os.getpid()}{_SUFFIX}"
            # Patient data, as far as URIs name any: nobody else on the machine reads it.
            self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w", encoding="utf-8")
            self._day = day
        return self._file


def write_to(folder: str) -> None:
    """Let the audit logger write into a folder, too; once per process and folder."""
    logger = logging.getLogger(AUDIT_LOGGER)
    path = Path(folder)
    if not any(isinstance(each, AuditFiles) and each.folder == path for each in logger.handlers):
        logger.addHandler(AuditFiles(path))
        logger.setLevel(logging.INFO)


def records(folder: Path, first: date, last: date) -> Iterator[dict[str, Any]]:
    """The records of some days, both included, file by file; a line that a crash has cut short is left out."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            day = date.fromisoformat(path.name[:10])
        except ValueError:
            continue
        if first <= day <= last:
            with path.open("rb") as lines:
                for line in lines:
                    try:
                        yield orjson.loads(line)
                    except orjson.JSONDecodeError:
                        continue
