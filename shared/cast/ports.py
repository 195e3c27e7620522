"""The ports of DICOMcast: its tables, and the server whose studies are read."""

from collections.abc import Sequence
from typing import Protocol

from shared.cast.model import Study
from shared.storage.ports import CastTable, Entity, Page, RowWrite


class CastTables(Protocol):
    """The tables; as `shared.storage.ports.TableStore` is for those of the index."""

    async def get(self, kind: CastTable, partition_key: str, row_key: str) -> Entity | None:
        """One row, or None."""
        ...

    async def page(self, kind: CastTable, partition_key: str, low: str, high: str, *, top: int = 1000) -> Page:
        """At most `top` rows with low ≤ RowKey < high."""
        ...

    async def range(self, kind: CastTable, partition_key: str, low: str, high: str) -> list[Entity]:
        """All rows with low ≤ RowKey < high."""
        ...

    async def commit(self, kind: CastTable, operations: Sequence[RowWrite]) -> str:
        """One entity group transaction. Raises PreconditionFailed, Ambiguous."""
        ...


class StudySource(Protocol):
    """The DICOM side of DICOMcast (CAST-RD-1): this service's own index, or any DICOMweb server."""

    async def read(self, partition: str, study: str, etag: str) -> tuple[Study, str] | None:
        """A study as it is now, with its entity tag; None if it is still as `etag` names it. One that is not there is
        a study without series. `partition`: name of the data partition.

        Raises RequestFailed, Unavailable, Unreadable.
        """
        ...


class Unreadable(Exception):
    """The metadata of a study are no JSON (dicomcast §5.1)."""
