"""A process of the service in memory: the index and its look-up on fakes of the stores.

Builders of one transaction add what it needs; `sequencer` makes what numbers and folds the changes of the index.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from shared.change_log.log import ChangeLog
from shared.change_log.sequencer import Sequencer
from shared.index.instances import InstanceIndex
from shared.index.lookup import InstanceLookup
from shared.index_schema.clock import HybridClock
from shared.index_schema.schema import Schemas
from shared.study_documents.documents import StudyDocuments
from shared.upkeep.cleanup import StudyCleanup
from shared.upkeep.erasure import Erasure
from tests.builders.http import DEFAULT_PARTITION as PARTITION
from tests.fakes.blobs import MemoryBlobStore
from tests.fakes.lists import covering
from tests.fakes.schemas import FixedSchemas
from tests.fakes.tables import MemoryTableStore

__all__ = ["PARTITION", "SHARDS", "Process", "Time", "sequencer", "study_cleanup"]

SHARDS = 4


@dataclass
class Time:
    """A clock that tests set; pauses only note how long they would be."""

    seconds: float = 1_700_000_000.0
    pauses: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.seconds

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds


class Process:
    """The stores, the index and its look-up, as one process of the service holds them."""

    def __init__(
        self,
        tables: MemoryTableStore,
        blobs: MemoryBlobStore,
        now: Callable[[], float],
        *,
        schemas: Schemas | None = None,
        shards: int = SHARDS,
    ) -> None:
        self.tables, self.blobs = tables, blobs
        self.shards = shards
        self.schemas = schemas or FixedSchemas()
        self.clock = HybridClock(now)
        self.index = InstanceIndex(tables, self.clock, self.schemas, shards=shards)
        self.lookup = InstanceLookup(tables, shards=shards)


def study_cleanup(process: Process, erasure: Erasure) -> StudyCleanup:
    """The clean-up of a process, in a store with study lists."""
    return StudyCleanup(
        process.tables, erasure, process.schemas, covering(process.tables), StudyDocuments(process.blobs)
    )


def sequencer(
    process: Process, cleanup: StudyCleanup, log: ChangeLog, *, clock: HybridClock | None = None, **limits: int
) -> Sequencer:
    """The sequencer of a process, on its clock if no other is given."""
    return Sequencer(
        process.tables,
        clock or process.clock,
        cleanup,
        process.schemas,
        hints=process.index.hints,
        shards=process.shards,
        log=log,
        **limits,
    )
