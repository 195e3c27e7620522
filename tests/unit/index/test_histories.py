"""The model test (storage §10): random histories with crashes, lost messages and clock skew violate no invariant.

`invariants` checks the stored rows at every transaction, at every acknowledgement and at the end; `actors` the feed,
its windows of time, the files, and that nothing is left over. `run_history(seed)` repeats a history.
"""

import pytest

from shared.registry.schema_registry import State
from tests.unit.index.actors import run_history
from tests.unit.index.history import Plan

_LONG = 600
_BLOCK = 50


@pytest.mark.spec("CF-28", "PUT-2")
@pytest.mark.parametrize("seed", range(16))
def test_a_random_history_violates_nothing(seed: int) -> None:
    assert run_history(seed).violations == []


@pytest.mark.spec("S-8", "CF-27", "CF-28")
@pytest.mark.parametrize("seed", range(200, 208))
def test_processes_that_number_what_they_have_committed_violate_nothing(seed: int) -> None:
    assert run_history(seed, Plan.of_reading(seed)).violations == []


@pytest.mark.parametrize("seed", range(100, 112))
def test_an_upgrade_to_a_later_schema_violates_nothing(seed: int) -> None:
    world = run_history(seed, Plan.of_upgrade(seed))
    assert world.violations == []
    assert {row.properties["state"] for row in world.tables.rows("conf", "schema")} == {State.COMPLETE}


def test_a_history_is_deterministic() -> None:
    one, other = run_history(3), run_history(3)
    assert one.tables.requests == other.tables.requests
    assert list(one.committed) == list(other.committed)


@pytest.mark.nightly
@pytest.mark.parametrize("first", range(1000, 1000 + _LONG, _BLOCK))
def test_many_random_histories_violate_nothing(first: int) -> None:
    violations = {seed: found for seed in range(first, first + _BLOCK) if (found := run_history(seed).violations)}
    assert violations == {}


@pytest.mark.nightly
@pytest.mark.parametrize("first", range(9000, 9000 + _LONG // 2, _BLOCK))
def test_many_processes_that_number_what_they_have_committed_violate_nothing(first: int) -> None:
    histories = {seed: run_history(seed, Plan.of_reading(seed)) for seed in range(first, first + _BLOCK)}
    assert {seed: world.violations for seed, world in histories.items() if world.violations} == {}


@pytest.mark.nightly
@pytest.mark.parametrize("first", range(5000, 5000 + _LONG // 2, _BLOCK))
def test_many_upgrades_to_a_later_schema_violate_nothing(first: int) -> None:
    histories = {seed: run_history(seed, Plan.of_upgrade(seed)) for seed in range(first, first + _BLOCK)}
    assert {seed: world.violations for seed, world in histories.items() if world.violations} == {}
