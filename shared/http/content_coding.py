"""Request bodies in gzip or deflate, decoded while they are read (HDR-10; RFC 9110 §8.4, RFC 1950 to 1952)."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final

from shared.errors import InvalidRequest, TooLarge, UnsupportedMedia

_ACCEPTED: Final = "gzip, deflate"
_GZIP: Final = frozenset({"gzip", "x-gzip"})
_GZIP_WINDOW: Final = 31
_ZLIB_WINDOW: Final = 15
_RAW_WINDOW: Final = -15
_STEP: Final = 256 * 1024
"""Bytes that are decoded at once: a fraction of a millisecond's work, and what is held of a bomb."""
_INLINE: Final = 64 * 1024
"""A piece of more coded bytes is decoded in a thread."""
_FREE: Final = 64 * 1024**2
"""Decoded bytes for which nobody asks how few coded ones they come from: an empty picture is almost nothing."""
_RATIO: Final = 200
"""Decoded bytes for each coded one, beyond those. Files of patients stay below 20."""
_MEMBERS: Final = 1000
"""Of one gzip body (RFC 1952 §2.2): each costs a new decoder, however short it is."""


def content_coding(values: Iterable[str]) -> str | None:
    """`gzip` or `deflate`, from the Content-Encoding fields of a request; None: the body is not coded.

    Raises UnsupportedMedia for any other coding, and for several.
    """
    named = [name.strip().lower() for value in values for name in value.split(",")]
    codings = [name for name in named if name not in {"", "identity"}]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in {*_GZIP, "deflate"}:
        raise UnsupportedMedia(
            "The content coding of the request is not supported.",
            where="header Content-Encoding",
            remedy="Send the body in gzip or deflate, or as it is and without the header.",
            fields=(("Accept-Encoding", _ACCEPTED),),
        )
    return "deflate" if codings[0] == "deflate" else "gzip"


async def decoded(body: AsyncIterator[bytes], coding: str, limit: int) -> AsyncIterator[bytes]:
    """The content of `body` without its `coding`, in pieces of at most 256 KiB.

    Raises TooLarge for more than `limit` bytes, and for far more than were sent; InvalidRequest for what is not coded
    so, and for what was cut short.
    """
    decoder = _Decoder(coding)
    received = produced = 0
    async for coded in body:
        received += len(coded)
        inline = len(coded) <= _INLINE
        decoder.feed(coded)
        while piece := decoder.step() if inline else await asyncio.to_thread(decoder.step):
            produced += len(piece)
            if produced > limit:
                raise TooLarge(f"The request is larger than {limit} bytes when it is decoded.")
            if produced > _FREE and produced > _RATIO * received:
                raise TooLarge(
                    f"The request is more than {_RATIO} times larger when it is decoded.",
                    remedy="Send it without a Content-Encoding.",
                )
            yield piece
            await asyncio.sleep(0)  # a short piece may hold many steps
    decoder.finish()


def _not_coded(coding: str) -> InvalidRequest:
    return InvalidRequest(
        f"The request body is not {coding}, or it was cut short.",
        where="request body, header Content-Encoding",
        remedy="Encode the body as the header says, or leave the header out.",
    )


class _Decoder:
    """Decodes one body in steps: `feed` a piece, then `step` until it returns nothing."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._waiting = b""
        self._inflater = zlib.decompressobj(_GZIP_WINDOW) if coding == "gzip" else None
        self._members = 0
        self._begun = False
        """Whether the present member has got a byte."""

    def feed(self, coded: bytes) -> None:
        """Take the next piece of the body."""
        self._waiting += coded

    def step(self) -> bytes:
        """The next bytes; nothing where more of the body is needed. Raises InvalidRequest."""
        for inflater in self._inflaters():
            try:
                piece = inflater.decompress(self._waiting, _STEP)
            except zlib.error:
                raise _not_coded(self._coding) from None
            self._begun = True
            self._waiting = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            if piece:
                return piece
            if not inflater.eof:
                break
        return b""

    def _inflaters(self) -> "Iterator[zlib._Decompress]":
        """The decoder of what waits, as long as something waits for it or is held by it."""
        while True:
            if self._inflater is None:
                if len(self._waiting) < 2:
                    return
                self._inflater = zlib.decompressobj(_ZLIB_WINDOW if _is_zlib(self._waiting) else _RAW_WINDOW)
            if self._inflater.eof:
                if not self._waiting:
                    return
                self._members += 1
                if self._coding != "gzip" or self._members == _MEMBERS:
                    raise _not_coded(self._coding)
                self._inflater = zlib.decompressobj(_GZIP_WINDOW)
            yield self._inflater

    def finish(self) -> None:
        """The body has ended. Raises InvalidRequest if that was too early."""
        if self._inflater is None or not self._inflater.eof or self._waiting:
            raise _not_coded(self._coding)


def _is_zlib(start: bytes) -> bool:
    """Whether a deflate body has the header of RFC 1950; some clients send the bare stream."""
    return start[0] & 0x0F == 8 and int.from_bytes(start[:2]) % 31 == 0
