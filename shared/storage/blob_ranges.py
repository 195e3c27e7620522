"""Reading many ranges of one blob with few requests."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

_GAP_BYTES = 64 * 1024
"""Bytes that may be read in vain to save a request."""
_SPAN_BYTES = 8 * 1024**2
_IN_FLIGHT = 6


def merge(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int, list[int]]]:
    """Neighbouring (offset, length) ranges joined: (offset, length, positions in `ranges` that it holds)."""
    spans: list[tuple[int, int, list[int]]] = []
    for position in sorted(range(len(ranges)), key=ranges.__getitem__):
        offset, length = ranges[position]
        if spans:
            start, span, positions = spans[-1]
            end = max(start + span, offset + length)
            if offset <= start + span + _GAP_BYTES and end - start <= _SPAN_BYTES:
                spans[-1] = (start, end - start, [*positions, position])
                continue
        spans.append((offset, length, [position]))
    return spans


async def read_merged(read: Callable[[int, int], Awaitable[bytes]], ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    """The bytes of `ranges`, in their order, by `read(offset, length)`; a few requests at a time."""
    pieces = [b""] * len(ranges)
    slots = asyncio.Semaphore(_IN_FLIGHT)

    async def fetch(start: int, length: int, positions: list[int]) -> None:
        async with slots:
            data = await read(start, length)
        if len(positions) == 1:
            pieces[positions[0]] = data
            return
        view = memoryview(data)
        for position in positions:
            offset, wanted = ranges[position]
            pieces[position] = bytes(view[offset - start : offset - start + wanted])

    spans = merge(ranges)
    if len(spans) == 1:
        await fetch(*spans[0])
    else:
        await asyncio.gather(*(fetch(*span) for span in spans))
    return pieces
