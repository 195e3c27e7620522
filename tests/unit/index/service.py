"""The index on stores in memory, as one process of the service holds it; for tests of one rule at a time."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import count

from shared.change_log.log import ChangeLog
from shared.change_log.reader import ChangeFeed
from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.index.model import CommitOutcome, NewInstance
from shared.index_schema import blob_names, keys
from shared.index_schema.schema import Schemas
from shared.storage.ports import Kind, RowWrite
from shared.upkeep.erasure import Erasure
from tests.builders.service import PARTITION, SHARDS, Process, Time, sequencer, study_cleanup
from tests.fakes.blobs import MemoryBlobStore
from tests.fakes.tables import MemoryTableStore
from tests.unit.index.invariants import StudyFacts

type Step = Callable[[Kind, Sequence[RowWrite]], Awaitable[None]]


class Stores:
    """What all processes share. `before` and `after` are awaited around each transaction and see it."""

    def __init__(self, **tables: int) -> None:
        self.time = Time(1_800_000_000.0)
        self.tables = _WatchedTables(self, **tables)
        self.blobs = MemoryBlobStore(now=lambda: datetime.fromtimestamp(self.time(), UTC))
        self.numbers = count(1)
        self.before: Step | None = None
        self.after: Step | None = None

    def once(self, matches: Callable[[Kind, Sequence[RowWrite]], bool], act: Callable[[], Awaitable[object]]) -> None:
        """Let `act` happen just before the first transaction that matches."""
        self.before = self._one_shot(matches, act, "before")

    def once_after(
        self, matches: Callable[[Kind, Sequence[RowWrite]], bool], act: Callable[[], Awaitable[object]]
    ) -> None:
        """The same, between the transaction and its answer."""
        self.after = self._one_shot(matches, act, "after")

    def _one_shot(self, matches, act, name: str) -> Step:
        async def step(kind: Kind, operations: Sequence[RowWrite]) -> None:
            if matches(kind, operations):
                setattr(self, name, None)
                await act()

        return step

    def facts(self, study: str = "1.1") -> StudyFacts:
        """The rows of a study and its postings."""
        place = keys.study_place("0", study, SHARDS)
        postings = {row.row_key: row for kind in ("idx", "idxi") for row in self.tables.rows(kind, place.postings)}
        mine = {key: row for key, row in postings.items() if row.properties["study"] == study}
        return StudyFacts(place, self.tables.rows("dicom", place.partition_key), mine)


class _WatchedTables(MemoryTableStore):
    def __init__(self, stores: Stores, **options: int) -> None:
        super().__init__(**options)
        self._stores = stores

    async def commit(self, kind: Kind, operations: Sequence[RowWrite]) -> str:
        if self._stores.before:
            await self._stores.before(kind, operations)
        etag = await super().commit(kind, operations)
        if self._stores.after:
            await self._stores.after(kind, operations)
        return etag


class IndexService(Process):
    """One process. Its clock is `skew` seconds ahead."""

    def __init__(
        self,
        stores: Stores | None = None,
        *,
        skew: float = 0.0,
        retention_hours: float = 0.0,
        page_entries: int = 1000,
        most_pages: int = 20,
        bucket_entries: int = 1_000_000,
        schemas: Schemas | None = None,
    ) -> None:
        self.stores = stores = stores or Stores()
        super().__init__(stores.tables, stores.blobs, lambda: stores.time() + skew, schemas=schemas)
        self.trash = Erasure(self.tables, self.clock, shards=SHARDS, retention_hours=retention_hours)
        self.log = ChangeLog(self.tables, bucket_entries=bucket_entries)
        self.cleanup = study_cleanup(self, self.trash)
        limits = {"page_entries": page_entries, "most_pages": most_pages}
        self.sequencer = sequencer(self, self.cleanup, self.log, **limits)
        self.feed = ChangeFeed(self.log, self.sequencer, self.lookup, self.clock)

    def entry(
        self,
        study: str = "1.1",
        series: str = "1.2",
        instance: str = "1.3",
        *,
        put: bool = False,
        name: str = "Doe^John",
        modality: str = "CT",
        expires: datetime | None = None,
        **attributes: str,
    ) -> NewInstance:
        """A durable file; each later one has a greater upload id. Further attributes: tags after an underscore."""
        identifier = InstanceIdentifier(study, series, instance)
        blob = blob_names.blob_name(
            "0", identifier, blob_names.new_upload_id(self.clock.now_ms() + next(self.stores.numbers))
        )
        self.blobs.drop(blob, b"file")
        more = {tag.removeprefix("_"): text for tag, text in attributes.items()}
        return NewInstance(
            identifier,
            "1.2.840.10008.5.1.4.1.1.2",
            "1.2.840.10008.1.2.1",
            blob,
            4,
            put,
            {"00100010": name, "00100020": "P1", **more} if name else more,
            {"00080060": modality},
            {"00200013": "7"},
            b'{"00080060":{"vr":"CS","Value":["CT"]}}',
            expires=expires,
        )

    async def store(self, *entries: NewInstance) -> list[CommitOutcome]:
        """Commit files."""
        return await self.index.commit(PARTITION, entries)

    async def put(self, *uids: str, **options) -> NewInstance:
        """Commit one new file that must be taken."""
        entry = self.entry(*uids, **options)
        assert await self.store(entry) == [CommitOutcome.STORED]
        return entry

    async def delete(self, *uids: str) -> int:
        """Delete a study, series or instance."""
        return await self.index.delete(PARTITION, ResourceIdentifier(*uids))

    async def name(self, study: str = "1.1") -> str | None:
        """The PatientName of a study."""
        view = await self.lookup.study(PARTITION, study)
        return view.attributes.get("00100010") if view else None

    async def settle(self) -> None:
        """Run the sequencer until nothing is left to do."""
        for _ in range(4):
            await self.sequencer.catch_up()


def posts(kind: Kind, operations: Sequence[RowWrite]) -> bool:
    """Whether a transaction writes postings."""
    return kind in ("idx", "idxi") and operations[0].verb == "upsert"


def unposts(kind: Kind, operations: Sequence[RowWrite]) -> bool:
    """Whether a transaction removes postings."""
    return kind in ("idx", "idxi") and operations[0].verb == "delete"


def commits(kind: Kind, operations: Sequence[RowWrite]) -> bool:
    """Whether a transaction commits or deletes instances."""
    return kind == "dicom" and any(o.row_key.startswith("D!") and o.verb == "insert" for o in operations)


def folds(kind: Kind, operations: Sequence[RowWrite]) -> bool:
    """Whether a transaction folds."""
    return kind == "dicom" and any(o.row_key == keys.SUMMARY and o.verb != "delete" for o in operations)


def reaps(kind: Kind, operations: Sequence[RowWrite]) -> bool:
    """Whether a transaction removes an emptied study."""
    return kind == "dicom" and any(o.row_key == keys.ANCHOR and o.verb == "delete" for o in operations)


def appends(kind: Kind, operations: Sequence[RowWrite]) -> bool:
    """Whether a transaction appends a page to the feed."""
    return kind == "feed" and any(o.row_key.startswith("p") for o in operations)
