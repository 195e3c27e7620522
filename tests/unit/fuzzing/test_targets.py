"""Whatever arrives is read or refused: seeds of each target, and what mutation makes of them."""

import inspect
import random
import re
import time
from pathlib import Path

import pytest

from tests.builders import seeds
from tests.builders.mutation import rounds, varied
from tests.unit.fuzzing.hunting import hunt
from tests.unit.fuzzing.targets import REQUESTS, TARGETS, Target, requests_of_every_resource

CORPUS = Path(__file__).with_name("corpus")
_MOST_BYTES = 300_000
"""Of all seeds: they are in every clone."""
ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/develop/fuzzing.md"
_AT_ONCE = 40
"""Inputs of a target in every run of the tests."""
_IN_A_NIGHT = 20_000
_MOST_SECONDS = 5.0
"""Processor time of one small input from which on it is a finding: beside other work each takes its time."""


async def tried(target: Target, data: bytes) -> None:
    """Raises AssertionError, which holds the input, for anything but an answer and a refusal."""
    begun = time.process_time()
    try:
        found = target.read(data)
        if inspect.isawaitable(found):
            await found
    except target.refusals:
        pass
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}\n{data[:100_000]!r}") from error
    assert time.process_time() - begun < _MOST_SECONDS, f"it took too long\n{data[:100_000]!r}"


@pytest.mark.parametrize("name", sorted(TARGETS))
async def test_seeds_and_what_is_nearly_one_are_read_or_refused(name):
    chance, found = random.Random(name), list(seeds.kept(name).values())
    for data in found:
        await tried(TARGETS[name], data)
    for _ in range(_AT_ONCE // TARGETS[name].costs):
        await tried(TARGETS[name], varied(chance, found, TARGETS[name].words))


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", sorted(TARGETS))
async def test_a_night_of_mutations_finds_nothing(name):
    target, found = TARGETS[name], list(seeds.kept(name).values())
    if name == "request":
        found += requests_of_every_resource()
    await hunt(name, lambda data: tried(target, data), found, target.words, rounds(_IN_A_NIGHT) // target.costs)


async def test_a_hunt_finds_what_fails_and_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setattr(seeds, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(seeds, "FOUND", tmp_path / "found")

    async def attempt(data: bytes) -> None:
        assert len(data) < 5, "long"

    with pytest.raises(AssertionError, match="long"):
        await hunt("name", attempt, [b"abc"], [], 10_000)
    assert [len(data) < 5 for data in seeds.kept("name").values()] == [False]


def test_seeds_are_small():
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < _MOST_BYTES


async def test_every_resource_answers_the_request_that_its_template_describes():
    statuses = [await REQUESTS.ask(request) for request in requests_of_every_resource()]

    assert len(statuses) > 150
    assert {status // 100 for status in statuses} == {2, 4}


def test_every_kind_of_bytes_from_outside_has_a_fuzzer():
    rows = re.findall(r"^\| ([^|]+) \| ((?:`[^`]+`(?:, )?)+) \|$", PAGE.read_text(), re.MULTILINE)
    named = {each for _, by in rows for each in re.findall(r"`([^`]+)`", by)}

    assert len(rows) > 20
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS) == {each for each in named if "/" not in each}
    missing = {
        each
        for each in named
        if "/" in each
        and not re.search(rf"def {each.partition('::')[2]}\(", (ROOT / each.partition("::")[0]).read_text())
    }
    assert missing == set()
