"""What is counted, kept for tests."""

from collections.abc import Iterator, Mapping

import pytest

from shared import metrics


class Kept:
    """A collector that keeps everything."""

    def __init__(self) -> None:
        self.found: list[tuple[str, float, Mapping[str, object]]] = []

    def add(self, name: str, amount: float, dimensions: Mapping[str, metrics.Dimension]) -> None:
        self.found.append((name, amount, dimensions))

    def record(self, name: str, value: float, dimensions: Mapping[str, metrics.Dimension]) -> None:
        self.found.append((name, value, dimensions))

    def set(self, name: str, value: float) -> None:
        self.found.append((name, value, {}))

    def span(self, *_more: object) -> None:
        pass

    def values(self, name: str) -> list[float]:
        return [value for each, value, _ in self.found if each == name]


@pytest.fixture
def collected() -> Iterator[Kept]:
    kept = Kept()
    metrics.collect(kept)
    yield kept
    metrics.collect(None)
