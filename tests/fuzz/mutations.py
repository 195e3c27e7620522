"""Bytes that are nearly right."""

import random
from typing import Final

_TELLING: Final = (
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\0\0\0\x80",
    b"\xfe\xff\x00\xe0",
    b"\\",
    b'"',
    b"[",
    b"<",
    b"%",
    b"\r\n",
)
"""Lengths, delimiters and quotes at which parsers go wrong."""


def mutated(seed: bytes, noise: random.Random) -> bytes:
    """`seed` after one to eight changes: bytes set, cut out, doubled, moved, or replaced by telling ones."""
    data = bytearray(seed)
    for _ in range(noise.randint(1, 8)):
        start = noise.randrange(len(data) + 1)
        end = min(len(data), start + noise.choice((1, 2, 4, 16, 64)))
        kind = noise.randrange(5)
        if kind == 0:
            data[start:end] = noise.randbytes(end - start)
        elif kind == 1:
            del data[start:end]
        elif kind == 2:
            data[start:start] = data[start:end] * noise.choice((1, 2, 50))
        elif kind == 3:
            data[start:end] = noise.choice(_TELLING)
        else:
            other = noise.randrange(len(data) + 1)
            data[start:end] = data[other : other + end - start]
    return bytes(data)
