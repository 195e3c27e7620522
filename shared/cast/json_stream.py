"""The objects of a JSON array as they arrive (RFC 8259): none but one is in memory. Pure."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

from shared.cast.ports import Unreadable
from shared.outgoing.documents import AT_ONCE, check_count, loads

_TOKENS = re.compile(rb'\\.|["{}]', re.DOTALL)
_MOST = 64 * 1024**2
"""Bytes of the largest object."""


class ObjectStream:
    """Cuts a JSON array of objects into its objects."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._at = 0
        self._depth = 0
        self._in_string = False
        self._begun = -1
        self._started = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The objects that end in `data`. Raises Unreadable for what is no array, or has too large an object."""
        self._kept += data
        if not self._started:
            head = self._kept.lstrip()
            if head and head[0] != ord("["):
                raise Unreadable("The metadata of the study are no JSON array")
            self._started = bool(head)
        read = self._at
        for token in _TOKENS.finditer(self._kept, self._at):
            read = token.end()
            sign = token[0]
            if sign == b'"':
                self._in_string = not self._in_string
            elif self._in_string or sign not in (b"{", b"}"):
                continue
            elif sign == b"{":
                if self._depth == 0:
                    self._begun = token.start()
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth == 0:
                    yield bytes(self._kept[self._begun : token.end()])
                    self._begun = -1
                elif self._depth < 0:
                    raise Unreadable("The metadata of the study are no JSON array")
        # a backslash at the very end that belongs to no pair waits for the character that it escapes
        waits = self._kept.endswith(b"\\") and read < len(self._kept)
        self._forget(len(self._kept) - waits)

    def _forget(self, end: int) -> None:
        start = self._begun if self._begun >= 0 else end
        del self._kept[:start]
        self._at = end - start
        self._begun = 0 if self._begun >= 0 else -1
        if len(self._kept) > _MOST:
            raise Unreadable("The metadata of an instance are too long")

    def end(self) -> None:
        """Raises Unreadable if the array has not ended."""
        if not self._started or self._depth or self._in_string:
            raise Unreadable("The metadata of the study end too early")


def read_object(document: bytes) -> Any:
    """One object; also with the numbers that JSON does not have and some servers write, such as -Infinity. None if it
    cannot be read, or has too many values.
    """
    try:
        check_count(document)
    except ValueError:
        return None
    try:
        return loads(document)
    except ValueError:
        pass
    try:
        return json.loads(document)
    except (ValueError, RecursionError):
        return None


async def read_answer(body: bytes) -> Any:
    """The same of a whole answer, a large one beside the event loop."""
    return read_object(body) if len(body) <= AT_ONCE else await asyncio.to_thread(read_object, body)
