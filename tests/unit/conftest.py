"""What holds for all unit tests."""

import pytest

from shared import telemetry
from shared.storage import optimistic


@pytest.fixture(autouse=True)
def _no_lines_of_other_tests() -> None:
    """Lines that wait for an invocation are not those of the test that makes it."""
    telemetry.take_along()


@pytest.fixture(autouse=True)
def _no_time_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores in memory are as busy a second later as they are now: what is tried again is tried at once."""
    monkeypatch.setattr(optimistic, "PAUSES", (0.0,) * len(optimistic.PAUSES))
