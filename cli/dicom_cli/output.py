"""The output of commands: results to standard output, everything else to standard error (CLI-4)."""

import io
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TextIO

_WIDEST: Final = 48
_BAR_SECONDS: Final = 0.2


class Output:
    """The two streams. `as_json`: one JSON object a line instead of text for people."""

    def __init__(self, *, as_json: bool, quiet: bool, stream: TextIO | None = None) -> None:
        """`stream`: where results go, instead of standard output as it is when they come."""
        self.as_json = as_json
        self._stream = stream
        for each in (sys.stdout, sys.stderr):
            if isinstance(each, io.TextIOWrapper):  # JSON is UTF-8 wherever it goes; a console shows what it can
                each.reconfigure(encoding="utf-8" if as_json else None, errors="backslashreplace")
        self._quiet = quiet
        self._lock = threading.Lock()

    def table(self, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> int:
        """Rows as a table, or as JSON with all that they have; how many."""
        if self.as_json:
            printed = 0
            for row in rows:
                self.item(row)
                printed += 1
            return printed
        lines = [[_shown(row.get(column)) for column in columns] for row in rows]
        if lines:
            widths = [min(max(map(len, cells)), _WIDEST) for cells in zip(columns, *lines, strict=True)]
            for line in ([column.upper() for column in columns], *lines):
                cells = (_cut(cell, width) for cell, width in zip(line, widths, strict=True))
                print("  ".join(cells).rstrip())
        return len(lines)

    def item(self, row: Mapping[str, Any], text: str | None = None) -> None:
        """One result: as JSON, or as `text`."""
        with self._lock:
            if self.as_json:
                text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
            elif text is None:
                text = json.dumps(row, ensure_ascii=False, indent=2)
            print(text, file=self._stream, flush=True)

    def say(self, text: str) -> None:
        """A message for people."""
        if not self._quiet:
            with self._lock:
                print(text, file=sys.stderr, flush=True)


class Bar:
    """A progress bar on a terminal; silent elsewhere."""

    def __init__(self, total: int, unit: str, *, quiet: bool = False) -> None:
        self._total = total
        self._unit = unit
        self._done = 0
        self._shown = 0.0
        self._on = sys.stderr.isatty() and not quiet
        self._lock = threading.Lock()

    def step(self, count: int = 1) -> None:
        """So many more are done."""
        with self._lock:
            self._done += count
            if self._on and (time.monotonic() - self._shown > _BAR_SECONDS or self._done >= self._total):
                self._shown = time.monotonic()
                width = max(10, min(40, shutil.get_terminal_size().columns - 40))
                full = width * self._done // max(self._total, 1)
                bar = "#" * min(full, width) + "." * (width - min(full, width))
                print(f"\r[{bar}] {self._done:,} of {self._total:,} {self._unit}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the line."""
        if self._on and self._done:
            print(file=sys.stderr)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        # What moves the cursor of a terminal, or turns the direction of what follows, is no part of a table.
        return "".join(each if each.isprintable() else "·" for each in " ".join(value.split()))
    return ", ".join(map(_shown, value)) if isinstance(value, list) else str(value)


def _cut(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"
