"""PS3.18 §8.6.1.2 The parts of a multipart store: their reading, how many there may be, and the part that is none."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final

from shared.dicomweb.multipart import Event, MultipartReader, PartHeaders
from shared.errors import TooLarge

MAX_PARTS: Final = 20_000
"""Of a multipart body: what is remembered of a part is small, but it must not grow without end."""

_EVENTS_AT_A_TIME: Final = 32
"""Of a multipart body, between which others have their turn: parts without bytes wait for nothing (STOW-46)."""
_STEP: Final = 16 * 1024
"""Bytes of a body that are looked at at one go where delimiters, or what begins like one, come one after the other."""


@dataclass(slots=True)
class PartLimits:
    """The parts of one body, counted as they begin."""

    count: int = 0
    bare: bool = False
    """The present part is the first and has no headers: with no bytes either it is no part at all (W-5)."""

    @property
    def first(self) -> bool:
        """Whether the present part is the first."""
        return self.count == 1

    def begin(self, headers: PartHeaders) -> None:
        """Count a part. Raises TooLarge."""
        self.count += 1
        if self.count > MAX_PARTS:
            raise TooLarge(
                f"The request has more than {MAX_PARTS} parts. Send fewer instances in one request.",
                where="request body",
            )
        self.bare = self.first and not headers.headers


async def read_parts(boundary: bytes, body: AsyncIterator[bytes], take: Callable[[Event], Awaitable[None]]) -> None:
    """Hand every event of a multipart body to `take`, in order. Raises InvalidRequest, and what `take` raises."""
    reader = MultipartReader(boundary)
    dashes = b"--" + boundary
    async for chunk in body:
        dense = len(chunk) > _STEP and chunk.count(dashes) > _EVENTS_AT_A_TIME
        for piece in _steps(chunk) if dense else (chunk,):
            for number, event in enumerate(reader.feed(piece), 1):
                await take(event)
                if number % _EVENTS_AT_A_TIME == 0:
                    await asyncio.sleep(0)
            if dense:
                await asyncio.sleep(0)
    reader.finish()


def _steps(chunk: bytes) -> Iterator[bytes]:
    return (chunk[at : at + _STEP] for at in range(0, len(chunk), _STEP))
