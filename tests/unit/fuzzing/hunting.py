"""Hunting for inputs that make a reader fail, guided by the lines that they reach."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import contextmanager
from typing import Final

from tests.builders import seeds
from tests.builders.mutation import noise, varied
from tests.conftest import ROOT

_OURS: Final = tuple(str(ROOT / folder) for folder in ("shared/", "cli/"))
_LONGEST: Final = 256 * 1024
"""Bytes of an input: longer ones reach nothing else, and take longer."""
_TOOLS: Final = range(6)


class _Lines:
    """Notes whether a line of the product has been reached for the first time."""

    def __init__(self) -> None:
        self.new = False

    def reached(self, code, _line):
        if code.co_filename.startswith(_OURS):
            self.new = True
        return sys.monitoring.DISABLE

    @contextmanager
    def watched(self):
        monitoring = sys.monitoring
        tool = next(each for each in _TOOLS if monitoring.get_tool(each) is None)
        monitoring.use_tool_id(tool, "fuzzing")
        monitoring.register_callback(tool, monitoring.events.LINE, self.reached)
        monitoring.set_events(tool, monitoring.events.LINE)
        monitoring.restart_events()
        try:
            yield
        finally:
            monitoring.set_events(tool, monitoring.events.NO_EVENTS)
            monitoring.free_tool_id(tool)


async def hunt(
    kind: str, attempt: Callable[[bytes], Awaitable[None]], corpus: Sequence[bytes], words: Sequence[bytes], rounds: int
) -> None:
    """Tries so many inputs that are nearly those of a corpus. What reaches new lines is remembered and changed further.

    Raises what `attempt` does for an input that fails, which is kept.
    """
    chance, lines = noise(), _Lines()
    known = [data for data in (*corpus, *seeds.found(kind)) if data]

    async def tried(data: bytes) -> None:
        try:
            await attempt(data)
        except AssertionError:
            seeds.remember(kind, data, fails=True)
            raise

    with lines.watched():
        for data in known:
            await tried(data)
        for _ in range(rounds):
            lines.new = False
            data = varied(chance, known, words)[:_LONGEST]
            await tried(data)
            if lines.new and data:
                known.append(data)
                seeds.remember(kind, data, fails=False)
    print(f"{kind}: {rounds} inputs, {len(known)} in the corpus")
