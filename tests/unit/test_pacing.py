"""Long-running work makes way for clients."""

import pytest

from shared.pacing import RECENT_SECONDS, Foreground, Pace
from tests.unit.index.virtual_time import now, run, sleep


class Clocks:
    """The clock of the foreground, and the processor time of this thread."""

    def __init__(self) -> None:
        self.used = 0.0
        self.foreground = Foreground(now)

    def pace(self, longest: float = 100.0, *, alone: float = 1.0, beside: float = 1.0) -> Pace:
        return Pace(longest, self.foreground, alone=alone, beside=beside, processor=lambda: self.used)

    async def step(self, pace: Pace, seconds: float, processor: float) -> float:
        """A step that takes so long; the seconds of the rest after it."""
        await sleep(seconds)
        self.used += processor
        begun = now()
        await pace.rest()
        return now() - begun


def rests(longest: float = 100.0, *, served: bool, steps: list[tuple[float, float]], **times: float) -> list[float]:
    async def history() -> list[float]:
        clocks = Clocks()
        pace, found = clocks.pace(longest, **times), []
        for seconds, processor in steps:
            if served:
                clocks.foreground.note()
            found.append(await clocks.step(pace, seconds, processor))
        return found

    return run(history())


def test_a_rest_is_some_times_as_long_as_the_step():
    steps = [(0.5, 0.0), (1.5, 0.0)]
    assert rests(served=False, steps=steps, alone=1.0, beside=9.0) == pytest.approx([0.5, 1.5])
    assert rests(served=True, steps=steps, alone=1.0, beside=9.0) == pytest.approx([4.5, 13.5])


def test_beside_clients_it_is_at_least_fifteen_times_the_processor_time_of_the_step():
    assert rests(served=True, steps=[(0.5, 0.4), (0.5, 0.01)]) == pytest.approx([6.0, 0.5])
    assert rests(served=False, steps=[(0.5, 0.4)]) == pytest.approx([0.5])


def test_what_costs_the_data_stores_little_rests_for_the_processor_alone():
    assert rests(served=False, steps=[(0.5, 0.4)], alone=0.0, beside=0.0) == [0.0]
    assert rests(served=True, steps=[(0.5, 0.01)], alone=0.0, beside=0.0) == pytest.approx([0.15])


@pytest.mark.parametrize("served", [False, True])
def test_it_is_never_longer_than_the_longest(served):
    assert rests(0.25, served=served, steps=[(0.5, 0.4)]) == pytest.approx([0.25])


def test_clients_are_there_for_a_while_after_each_request():
    async def history() -> list[int]:
        clocks = Clocks()
        found = [clocks.foreground.at_once(4)]
        clocks.foreground.note()
        for _ in range(2):
            found.append(clocks.foreground.at_once(4))
            await sleep(RECENT_SECONDS)
        return found

    assert run(history()) == [4, 1, 4]
