"""No bytes from outside make a parser do anything but read or refuse them.

In CI each target reads a few mutations, the same at each run; `make nightly` spends FUZZ_SECONDS (30) on each with
another seed each time, which a finding names.
"""

import os
import random
import secrets
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.mutations import mutated
from tests.fuzz.targets import Target, targets

CORPUS = Path(__file__).parent / "corpus"
EACH = pytest.mark.parametrize("target", targets(), ids=lambda target: target.name)


def read(target: Target, data: bytes) -> None:
    try:
        target.read(data)
    except target.refusals:
        return


@EACH
def test_what_is_right_is_read(target):
    for seed in target.seeds:
        target.read(seed)


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*/*")), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_what_once_was_a_finding_is_read_or_refused(file):
    [target] = [one for one in targets() if one.name == file.parent.name]
    read(target, file.read_bytes())


@EACH
def test_what_is_nearly_right_is_read_or_refused(target):
    @settings(max_examples=40, derandomize=True, database=None)
    @given(st.sampled_from(target.seeds), st.integers(0, 2**32))
    def holds(seed, number):
        read(target, mutated(seed, random.Random(number)))

    holds()


@pytest.mark.nightly
@EACH
def test_minutes_of_mutations_are_read_or_refused(target):
    number = secrets.randbits(32)
    noise = random.Random(number)
    end = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", "30"))
    tried = 0
    while time.monotonic() < end:
        data = mutated(noise.choice(target.seeds), noise)
        try:
            read(target, data)
        except Exception as error:
            error.add_note(f"{target.name}, seed {number}, mutation {tried}: {data[:2000].hex()}")
            raise
        tried += 1
    print(f"{target.name}: {tried} mutations")
    assert tried
