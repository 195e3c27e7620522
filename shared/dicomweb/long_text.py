"""Long documents, worked on in pieces: whatever the interpreter does at one go holds its lock until it ends, and a pass
over some megabytes takes longer than others are to wait (STOW-46).
"""

import codecs
from collections.abc import Iterable, Iterator
from typing import Final

_PIECE: Final = 256 * 1024
"""Bytes of a piece: a fraction of a millisecond for most of what is done with one."""
TEXT_PIECE: Final = 16 * 1024
"""Characters of a piece of text, with which more is done."""


def cut(document: bytes, *tokens: bytes) -> Iterator[bytes]:
    """`document` in pieces of bounded length, which end with a comma if one is near. None of `tokens` is cut."""
    at = 0
    while at < len(document):
        comma = document.find(b",", at + _PIECE, at + 2 * _PIECE)
        end = comma + 1 or min(len(document), at + 2 * _PIECE)
        for token in tokens:
            found = document.find(token, end - len(token) + 1, end + len(token) - 1)
            end = found if found >= 0 else end
        yield document[at:end]
        at = end


def joined(pieces: Iterable[bytes]) -> bytes:
    """The pieces, of which there may be very many, as one."""
    gathered: list[bytes] = []
    some: list[bytes] = []
    size = 0
    for piece in pieces:
        some.append(piece)
        size += len(piece)
        if size > _PIECE:
            gathered.append(b"".join(some))
            some.clear()
            size = 0
    return b"".join((*gathered, *some))


def decoded(document: bytes) -> str:
    """The text of UTF-8. Raises UnicodeDecodeError."""
    if len(document) <= _PIECE:
        return document.decode()
    decoder = codecs.getincrementaldecoder("utf-8")()
    pieces = [decoder.decode(document[at : at + _PIECE]) for at in range(0, len(document), _PIECE)]
    return "".join((*pieces, decoder.decode(b"", final=True)))


def text_pieces(text: str) -> Iterator[str]:
    """A text in pieces of TEXT_PIECE characters."""
    return (text[at : at + TEXT_PIECE] for at in range(0, len(text), TEXT_PIECE))
