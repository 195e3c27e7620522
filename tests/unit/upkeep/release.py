"""Releases of the service that share a store and have different attributes."""

from itertools import count

from shared.change_log.log import ChangeLog
from shared.change_log.sequencer import Sequencer
from shared.index_schema.changes import schema_in
from shared.index_schema.clock import HybridClock
from shared.index_schema.indexed_attributes import IndexedAttribute
from shared.operations.model import OperationType
from shared.operations.runner import Runner
from shared.operations.store import Operations
from shared.registry.schema_registry import SchemaRegistry
from shared.upkeep.erasure import Erasure
from shared.upkeep.reindex import Reindex, start_reindex
from shared.upkeep.study_reindex import StudyReindex
from tests.builders.archive import Archive
from tests.builders.http import DEFAULT_PARTITION
from tests.builders.service import sequencer, study_cleanup

DEPARTMENT = IndexedAttribute("00081040", "LO", "study", ("dn",))
BODY_PART = IndexedAttribute("00180015", "CS", "series", ("bp",))
ACQUISITION = IndexedAttribute("00200012", "IS", "instance", ("aq",))
ADDED = (DEPARTMENT, BODY_PART, ACQUISITION)
VALUES = {"InstitutionalDepartmentName": "Radiology", "BodyPartExamined": "CHEST", "AcquisitionNumber": 7}


class Partitions:
    async def partitions(self):
        return [DEFAULT_PARTITION]


class Release(Archive):
    """A process of a release with these attributes; each asks the store for its schema whenever it needs it."""

    def __init__(self, beside: Archive | None = None, added=ADDED) -> None:
        super().__init__(beside=beside)
        self.clock = HybridClock(lambda: self._now)
        self.seconds_known = count(step=1000.0)
        registry = SchemaRegistry(self.tables, lambda: next(self.seconds_known), added=added)
        registry.current, registry.age = registry.refresh, lambda: 0.0
        super().__init__(beside=self, schemas=registry)
        self.time = 1_800_000_000.0
        self.operations = Operations(self.tables, lambda: self.time)
        hints = self.index.hints
        self.hints_after_cycles: list[int] = []
        studies = StudyReindex(self.tables, self.blobs, self.clock, registry, hints)
        self.work = Reindex(
            self.tables,
            registry,
            Partitions(),
            studies,
            hints,
            shards=self.shards,
            catch_up=self._cycle,
            settled_seconds=0,
        )
        self.runner = Runner(self.operations, {OperationType.REINDEX: self.work})

    async def _cycle(self) -> None:
        await self._sequencer().catch_up()
        self.hints_after_cycles.append(len(await self.index.hints.all()))

    async def start(self) -> None:
        await self.schemas.refresh()
        await start_reindex(self.operations, self.schemas)

    async def reindex(self) -> None:
        """What the timer does, until nothing is left to do."""
        await self.start()
        await self.runner.run()

    async def state(self):
        [(operation_id, _)] = await self.operations.active()
        return await self.operations.get(operation_id)

    async def answers(self) -> dict[str, object]:
        """What searches find by the new attributes, and what they return of them."""
        await self.schemas.refresh()
        series = await self.found("includefield=BodyPartExamined", "search_series")
        return {
            "department": sorted(await self.studies("InstitutionalDepartmentName=radiology")),
            "body part": sorted(await self.series("BodyPartExamined=CHEST")),
            "acquisition": sorted(await self.instances("AcquisitionNumber=7")),
            "returned": sorted(data_set["00180015"]["Value"][0] for data_set in series),
        }

    def numbers(self) -> set[int]:
        """The schemas of all rows of studies."""
        rows = [row for row in self.tables.rows("dicom") if row.row_key[0] in "BC" or row.properties.get("live")]
        return {schema_in(row) for row in rows}

    async def clean_up(self) -> None:
        for _ in range(2):
            await self._sequencer().catch_up()

    def _sequencer(self) -> Sequencer:
        trash = Erasure(self.tables, self.clock, shards=self.shards, retention_hours=0)
        return sequencer(self, study_cleanup(self, trash), ChangeLog(self.tables))


async def old_store(studies: int = 3, added=()) -> Release:
    """A store of the release before."""
    old = Release(added=added)
    for number in range(1, studies + 1):
        await old.store(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", **VALUES)
    return old


def everything(studies: int = 3) -> dict[str, object]:
    numbers = range(1, studies + 1)
    return {
        "department": [f"1.{number}" for number in numbers],
        "body part": [f"1.{number}.1" for number in numbers],
        "acquisition": [f"1.{number}.1.1" for number in numbers],
        "returned": ["CHEST"] * studies,
    }
