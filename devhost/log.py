"""Log lines of the host: libraries tell what happened and where, never the request that it happened to."""

import logging
import re
import sys
import traceback
from typing import Final

_LIBRARIES: Final = frozenset({"aiohttp", "asyncio"})
"""They know requests: their texts, and those of the errors that they log, may hold a URL or a header."""
_INNERMOST: Final = 3
"""Frames of a traceback that are named."""


LOST: Final = "outside any invocation: lost on Azure"
"""Marks a line of the app that the Functions host would not keep: it takes lines of running invocations only."""


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-_INNERMOST:]
    return ", ".join(f"{frame.filename}:{frame.lineno}" for frame in frames)


def described(error: BaseException) -> str:
    """An error by its type and the places that it came through; its text is left out."""
    where = _where(error)
    return f"{type(error).__name__} at {where}" if where else type(error).__name__


class LibraryFilter(logging.Filter):
    """Takes the values out of what HTTP and event loop libraries log; other records pass as they are."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true: the record stays, its text may change."""
        if record.name.partition(".")[0] in _LIBRARIES:
            text = str(record.msg) if record.args else re.split(r"[\n<:'\"]", record.getMessage(), maxsplit=1)[0]
            error = record.exc_info[1] if record.exc_info else None
            record.msg = f"{text.strip()} ({described(error)})" if error else text.strip()
            record.args = None
            record.exc_info = record.exc_text = None
        return True


def set_up(level: str) -> None:
    """Log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(LibraryFilter())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    logging.getLogger("azure").setLevel(logging.WARNING)
