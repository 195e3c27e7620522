"""PS3.5 §A.5 Deflated bytes, inflated in pieces: what a stream stands for may be a thousand times as long as it is, and
the inflater copies its result, and what it was not given room for, with the interpreter's lock held.
"""

import zlib
from collections.abc import Buffer, Iterator
from typing import Final

PIECE: Final = 1024 * 1024
"""Bytes that are inflated at one go."""
_SLICE: Final = 64 * 1024
"""Deflated bytes that are given to the inflater at one go."""


class Inflater:
    """One deflated stream without a zlib header, given in any number of parts."""

    def __init__(self) -> None:
        self.trailing = 0
        """Bytes that came behind the end of the stream."""
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    @property
    def ended(self) -> bool:
        """Whether the end of the stream has been read."""
        return self._inflater.eof

    def pieces(self, deflated: Buffer) -> Iterator[bytes]:
        """The inflated next part of the stream, in pieces of at most PIECE bytes. Raises zlib.error."""
        view, inflater = memoryview(deflated), self._inflater
        for at in range(0, len(view), _SLICE):
            rest: Buffer = view[at : at + _SLICE]
            if inflater.eof:
                self.trailing += len(view) - at
                return
            more = True
            while more and not inflater.eof:
                piece = inflater.decompress(rest, PIECE)
                rest = inflater.unconsumed_tail
                more = len(piece) == PIECE or bool(rest)
                if piece:
                    yield piece
            self.trailing += len(inflater.unused_data)


def inflated(deflated: Buffer, limit: int) -> tuple[bytes, bool]:
    """At most `limit` bytes of what a stream stands for, and whether they are all of it, its end included.

    Raises:
        zlib.error: it is no such stream.
    """
    inflater = Inflater()
    pieces: list[bytes] = []
    length = 0
    for piece in inflater.pieces(deflated):
        pieces.append(piece)
        length += len(piece)
        if length > limit:
            pieces[-1] = piece[: len(piece) - (length - limit)]
            return b"".join(pieces), False
    return b"".join(pieces), inflater.ended
