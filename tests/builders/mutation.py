"""Bytes that are nearly right: what clients and damaged disks send."""

import json
import os
import random
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

NUMBERS = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
"""Lengths and counts at which readers go wrong."""


ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1e308, 2**63, -(2**64), "", " ", "a", "\0", "\ud800", "1.2", "-" * 70, "x" * 5000),
    *([], {}, [None], [[]], [{}], {"": None}, {"Value": None}, ["1.2", 3], {"vr": "SQ", "Value": [{"vr": 1}]}),
)
"""Values that do not belong where they stand."""


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


def reshaped(data: bytes, chance: random.Random) -> bytes:
    """`data` with a document of JSON at its end, in which one to three values are others; itself without one."""
    at = data.find(b"\n\n") + 2 if b"\n\n" in data else 0
    try:
        document = [json.loads(data[at:])]
    except ValueError:
        return data
    for _ in range(chance.choice((1, 1, 2, 3))):
        inside, key = chance.choice([*_places(document)])
        kind = chance.randrange(4)
        if kind == 0:
            del inside[key]
        elif kind == 1 and isinstance(inside, dict):
            inside[chance.choice((f"{key}x", "", "00100010", key.upper()))] = deepcopy(inside[key])
        elif kind == 2:
            inside[key] = [deepcopy(inside[key])] * chance.choice((1, 2, 300))
        else:
            inside[key] = deepcopy(chance.choice(ODD))
        if not document:
            break
    return data[:at] + (json.dumps(document[0]) if document else "").encode()


def varied(chance: random.Random, found: Sequence[bytes], words: Sequence[bytes] = ()) -> bytes:
    """Something that is nearly one of `found`: with other values in its document of JSON, or with other bytes."""
    data = chance.choice(found)
    try:
        other = reshaped(data, chance) if chance.random() < 0.5 else data
    except RecursionError:  # a document that is nothing but depth
        other = data
    return other if other != data else mutated(data, chance, found, words)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each place inside a document: what holds it, and its key or index."""
    keys = [*value] if isinstance(value, dict) else [*range(len(value))] if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from _places(value[key])
