"""Progress of an import: a bar on a terminal, else a line from time to time."""

import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, TextIO

_BAR_SECONDS: Final = 0.1
_LINE_SECONDS: Final = 10.0
_BAR_WIDTH: Final = 30


class Progress:
    """Counts what has become of the files and shows it on `stream`."""

    def __init__(
        self,
        total: int,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        shown: bool = True,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._total = total
        self._stream = stream or sys.stderr
        self._clock = clock
        self._bar = shown and self._stream.isatty()
        self._is_shown = shown
        self._begun = self._shown = clock()
        self._uploaded = 0
        self._earlier = 0

    def earlier(self, state: str) -> None:
        """An earlier run has done one more file."""
        self._earlier += 1
        self.done(state)

    def uploaded(self) -> None:
        """One more file is on its way."""
        self._uploaded += 1
        self._show()

    def done(self, state: str) -> None:
        """Count one more file whose outcome is known."""
        self.counts[state] += 1
        self._show()

    def undone(self, state: str) -> None:
        """Count a file of an earlier run that is to be done again."""
        self._earlier -= 1
        self.counts[state] -= 1

    def tick(self) -> None:
        """Nothing happened, for a while perhaps."""
        self._show()

    def close(self) -> None:
        """Show where it ended."""
        self._show(last=True)
        if self._bar:
            self._stream.write("\n")
            self._stream.flush()

    def text(self) -> str:
        """The state in words."""
        done = sum(self.counts.values())
        now = done - self._earlier
        seconds = max(self._clock() - self._begun, 0.001)
        under_way = max(self._uploaded - done, 0)
        refused = f", {self.counts['refused']:,} refused" if self.counts["refused"] else ""
        waiting = f", {under_way:,} under way" if under_way else ""
        return f"{done:,} of {self._total:,} files{refused}{waiting}, {now / seconds:,.0f} a second"

    def _show(self, *, last: bool = False) -> None:
        now = self._clock()
        if not self._is_shown or (not last and now - self._shown < (_BAR_SECONDS if self._bar else _LINE_SECONDS)):
            return
        self._shown = now
        text = self.text()
        if not self._bar:
            self._stream.write(f"{text}\n")
        else:
            filled = _BAR_WIDTH * sum(self.counts.values()) // max(self._total, 1)
            width = shutil.get_terminal_size().columns - 1
            line = f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {text}"
            self._stream.write(f"\r{line[:width].ljust(width)}")
        self._stream.flush()
