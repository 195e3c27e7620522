"""The model test (storage §10): random histories with crashes, lost messages and clock skew violate no invariant.

`invariants` checks the stored rows at every transaction, at every acknowledgement and at the end; `actors` the feed,
its windows of time, the files, and that nothing is left over. `run_history(seed)` repeats a history.
"""

import pytest

from tests.unit.index.actors import run_history

_LONG = 600
_BLOCK = 50


@pytest.mark.spec("CF-28", "PUT-2")
@pytest.mark.parametrize("seed", range(16))
def test_a_random_history_violates_nothing(seed: int) -> None:
    assert run_history(seed).violations == []


def test_a_history_is_deterministic() -> None:
    one, other = run_history(3), run_history(3)
    assert one.tables.requests == other.tables.requests
    assert list(one.committed) == list(other.committed)


@pytest.mark.nightly
@pytest.mark.parametrize("first", range(1000, 1000 + _LONG, _BLOCK))
def test_many_random_histories_violate_nothing(first: int) -> None:
    violations = {seed: found for seed in range(first, first + _BLOCK) if (found := run_history(seed).violations)}
    assert violations == {}
