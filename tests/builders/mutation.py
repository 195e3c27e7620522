"""Bytes that are nearly right: what clients and damaged disks send."""

import os
import random
from collections.abc import Sequence

NUMBERS = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
"""Lengths and counts at which readers go wrong."""


def noise() -> random.Random:
    """Different in each run; FUZZ_SEED repeats one. The seed is printed, so that a failed test shows it."""
    seed = os.environ.get("FUZZ_SEED") or os.urandom(4).hex()
    print(f"FUZZ_SEED={seed}")
    return random.Random(seed)


def rounds(usual: int) -> int:
    """How many inputs a test tries; FUZZ_ROUNDS is for longer hunts."""
    return int(os.environ.get("FUZZ_ROUNDS") or usual)


def mutated(data: bytes, chance: random.Random, others: Sequence[bytes], words: Sequence[bytes] = ()) -> bytes:
    """`data` after one to six changes; `others` lend pieces, `words` are put in whole."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        at = chance.randrange(len(changed) + 1)
        kind = chance.randrange(9)
        if kind == 0 and changed:
            changed[at % len(changed)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            changed[at : at + 1] = bytes([chance.randrange(256)])
        elif kind == 2:
            width = chance.choice((1, 2, 4))
            number = chance.choice(NUMBERS) & ((1 << (8 * width)) - 1)
            changed[at : at + width] = number.to_bytes(width, chance.choice(("little", "big")))
        elif kind == 3:
            del changed[at:]
        elif kind == 4:
            del changed[at : at + chance.randrange(1, 64)]
        elif kind == 5:
            piece = changed[at : at + chance.randrange(1, 200)]
            changed[at:at] = piece * chance.choice((1, 2, 50))
        elif kind == 6:
            other = chance.choice(others)
            start = chance.randrange(len(other))
            changed[at:at] = other[start : start + chance.randrange(1, 400)]
        elif kind == 7:
            changed[at:at] = bytes([chance.randrange(256)]) * chance.choice((1, 3, 5000))
        elif words:
            changed[at:at] = chance.choice(words)
    return bytes(changed)
