"""Studies that may be changing: study lists do not answer for them (storage §6.6)."""

from collections.abc import Callable
from typing import Final

from shared.bounded import RecentValues
from shared.hints import hinted_studies
from shared.storage.ports import TableStore

_MANY_SECONDS: Final = 2.0
"""Where they were too many, they are not counted again for so long: in a migration each search would pay for it."""
_REMEMBERED: Final = 1000
"""Data partitions."""


class ChangingStudies:
    """The studies that have a hint. One per process; `clock`: seconds, of which only differences count."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._many: RecentValues[tuple[int, float]] = RecentValues(_REMEMBERED)
        """Of a namespace: so many at least, and when."""

    async def of(self, tables: TableStore, namespace: str, *, most: int) -> frozenset[str] | None:
        """Their StudyInstanceUIDs in a data partition; None if they are more than `most`, or were a moment ago."""
        least, when = self._many.get(namespace) or (0, 0.0)
        if least > most and 0 <= self._clock() - when < _MANY_SECONDS:
            return None
        found = await hinted_studies(tables, namespace, most=most)
        if found is None:
            self._many.put(namespace, (most + 1, self._clock()))
        return found
