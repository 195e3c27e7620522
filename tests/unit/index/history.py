"""Random histories of the index: clients, triggers, sequencers, timers and readers that crash and lose messages."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

import orjson

from shared.change_log.log import ChangeLog
from shared.change_log.reader import ChangeFeed
from shared.change_log.sequencer import Sequencer
from shared.dicom.identifiers import InstanceIdentifier
from shared.dicomweb.partitions import Partition
from shared.errors import Unavailable
from shared.index.instances import InstanceIndex
from shared.index.lookup import InstanceLookup
from shared.index.model import CommitOutcome, NewInstance, original_of
from shared.index_schema import blob_names, keys, study_lists
from shared.index_schema.clock import HybridClock
from shared.index_schema.indexed_attributes import IndexedAttribute
from shared.index_schema.schema import BUILT_IN, IndexSchema
from shared.ingest.index_commit import commit_instances
from shared.operations.model import OperationType
from shared.operations.runner import Runner
from shared.operations.store import Operations
from shared.registry.schema_registry import SchemaRegistry
from shared.registry.store_settings import STORE_ROW
from shared.storage.ports import Kind, RowWrite
from shared.upkeep.cleanup import StudyCleanup
from shared.upkeep.erasure import Erasure
from shared.upkeep.reindex import Reindex
from shared.upkeep.scrubber import Scrubber
from shared.upkeep.study_reindex import StudyReindex
from tests.fakes.blobs import MemoryBlobStore
from tests.fakes.lists import covering
from tests.fakes.tables import MemoryTableStore
from tests.unit.index.chaos import Process, UnreliableTables, Weather
from tests.unit.index.invariants import StudyFacts, at_every_moment, at_rest, when_acknowledged, while_complete
from tests.unit.index.virtual_time import now

HOUR = 3600.0
ADDED = (
    IndexedAttribute("00081040", "LO", "study", ("dn",)),
    IndexedAttribute("00180015", "CS", "series", ("bp",)),
    IndexedAttribute("00200012", "CS", "instance", ("aq",)),
)
"""What the later release has."""
LATER = IndexSchema.of(2, [*BUILT_IN.attributes.values(), *(replace(each, since=2) for each in ADDED)])
MOST_AGE_SECONDS, SETTLED_SECONDS = 2.0, 40.0
"""So that more of a history comes after an upgrade. A request takes 16 seconds here, and 5 if it is late."""
NAMES = ("Anna^A", "Bob^B", "Carl^C")


@dataclass
class Plan:
    """The shape of one history."""

    shards: int = 1
    namespaces: int = 1
    studies: int = 2
    series: int = 2
    instances: int = 3
    clients: int = 6
    requests: int = 8
    weather: Weather = field(default_factory=Weather)
    stores: float = 0.6
    page_entries: int = 1000
    bucket_entries: int = 1_000_000
    page_limit: int = 1000
    empty_page_every: int = 0
    fold_at_once: int = 30
    many_pending: int = 60
    retention_hours: float = 0.0
    skew: float = 0.0
    expiring: float = 0.0
    scrubbing: bool = False
    days: int = 3
    """How often days pass at the end."""
    pause: float = 1.0
    """Seconds between two requests of a client, at most."""
    updates: float = 0.0
    """How many of the requests make a new version of an instance."""
    reading: float = 0.0
    """How many of the requests are followed by a reading of the feed, or a cycle, in the same process."""
    upgrade: bool = False
    """Processes that begin later are of a release with more attributes, beside those that run already."""

    @staticmethod
    def of(seed: int) -> "Plan":
        """A plan drawn from `seed`; also seeds everything that is drawn later."""
        random.seed(seed)
        weather = random.choice(
            (
                Weather(),
                Weather(crash=0.006),
                Weather(lose=0.03, ghost=0.01),
                Weather(crash=0.01, lose=0.02, ghost=0.01),
                Weather(slow=0.02, crash=0.004, lose=0.01),
            )
        )
        return Plan(
            shards=random.choice((1, 3, 16)),
            namespaces=random.choice((1, 1, 2)),
            studies=random.choice((1, 1, 2, 3)),
            series=random.choice((1, 2)),
            instances=random.choice((1, 2, 4)),
            requests=random.choice((6, 10)),
            weather=weather,
            stores=random.choice((0.4, 0.55, 0.7, 0.9)),
            page_entries=random.choice((1000, 1000, 5)),
            bucket_entries=random.choice((1_000_000, 10, 25)),
            page_limit=random.choice((1000, 1000, 1000, 3)),
            empty_page_every=random.choice((0, 0, 0, 5)),
            fold_at_once=random.choice((30, 30, 3)),
            many_pending=random.choice((60, 60, 4)),
            retention_hours=random.choice((0, 0, 1, 72)),
            skew=random.choice((0.0, 0.0, 5.0)),
            expiring=random.choice((0.0, 0.0, 0.3)),
            scrubbing=random.random() < 0.3,
            pause=random.choice((0.01, 0.5, 4.0)),
            updates=random.choice((0.0, 0.2, 0.4)),
        )

    @staticmethod
    def of_reading(seed: int) -> "Plan":
        """The same with processes that number what they have committed themselves."""
        plan = Plan.of(seed)
        plan.reading, plan.clients, plan.days = random.choice((0.4, 0.8)), 3, 1
        return plan

    @staticmethod
    def of_upgrade(seed: int) -> "Plan":
        """The same with an upgrade, which clients meet for some minutes."""
        plan = Plan.of(seed)
        plan.upgrade, plan.pause, plan.requests = True, 25.0, 14
        return plan


class World:
    """The stores, and what is known of everything that ever happened to them."""

    def __init__(self, plan: Plan, tables=None, late: float = 20 * HOUR) -> None:
        self.plan = plan
        self.tables = tables or MemoryTableStore(page_limit=plan.page_limit, empty_page_every=plan.empty_page_every)
        self.blobs = MemoryBlobStore(now=lambda: datetime.fromtimestamp(now(), UTC))
        self.partitions = [
            Partition(number + 1, f"p{number}", ("0", "abcdefghijkl")[number], datetime.min.replace(tzinfo=UTC))
            for number in range(plan.namespaces)
        ]
        self.active = True
        self.late = late
        """When late events come."""
        self.violations: list[str] = []
        self.entries: dict[str, tuple[Partition, NewInstance]] = {}
        self.events: list[tuple[float, str]] = []
        self.acknowledged: set[str] = set()
        self.refused: set[str] = set()
        self.begun: dict[str, float] = {}
        """When the request of a file began, and when it was first answered."""
        self.answered: dict[str, float] = {}
        self.committed: dict[str, str] = {}
        """Change id to the blob that it made live, or ''."""
        self.versions: dict[tuple[str, str], int] = {}
        self.numbers = count(1)
        self.stored = self.deleted = self.crashes = 0
        self.schema = LATER if plan.upgrade else BUILT_IN
        self.upgraded = False

    async def begin(self) -> None:
        """What a service finds at its start."""
        self.late += now()
        created = {"shards": self.plan.shards, "spread": 1, "created": int(now() * 1000)}
        await self.tables.commit("conf", [RowWrite("insert", *STORE_ROW, created)])

    def places(self) -> list[keys.StudyPlace]:
        return [
            keys.study_place(partition.namespace, f"1.{study}", self.plan.shards)
            for partition in self.partitions
            for study in range(self.plan.studies)
        ]

    def facts(self, place: keys.StudyPlace) -> StudyFacts:
        postings = {row.row_key: row for kind in ("idx", "idxi") for row in self.tables.rows(kind, place.postings)}
        mine = {key: row for key, row in postings.items() if row.properties["study"] == place.study_instance_uid}
        return StudyFacts(place, self.tables.rows("dicom", place.partition_key), mine, self.schema)

    def process(self) -> "ServiceProcess":
        skew = self.plan.skew
        return ServiceProcess(self, Process(self.plan.weather, random.uniform(-skew, skew)))

    def note(self, violations: Sequence[str] | object) -> None:
        self.violations += violations

    # ---- called for each transaction, in the moment in which it is applied

    def applied(self, kind: Kind, operations: Sequence[RowWrite]) -> None:
        if kind == "dicom":
            for operation in operations:
                self._applied(operation)
        if kind in ("dicom", "conf"):
            self.note(while_complete(self.tables.rows("conf", "schema"), map(self.facts, self.places())))
        if kind in ("dicom", "idx", "idxi"):
            for place in self.places():
                if operations[0].partition_key in (place.partition_key, place.postings):
                    self.note(at_every_moment(self.facts(place)))

        if kind in ("dicom", "idx", "hint"):
            for place in self.places():
                if not any(row.row_key.startswith(f"{place.name}!") for row in self.tables.rows("hint")):
                    lists = self.tables.rows("idx", study_lists.partition_key(place.namespace))
                    self.note(at_rest(self.facts(place), lists))

    def _applied(self, operation: RowWrite) -> None:
        properties = operation.properties
        if operation.row_key.startswith("D!") and operation.verb == "insert":
            change = f"{operation.partition_key} {operation.row_key[2:]}"
            blob = str(properties["blob"]) if properties["op"] != "delete" else ""
            if change in self.committed:
                self.violations.append("a change was committed twice")
            if blob and blob in self.committed.values():
                self.violations.append("a file became an instance twice")
            if blob in self.refused:
                self.violations.append("a refused file became an instance")
            self.committed[change] = blob
        if operation.row_key.startswith("I!") and "v" in properties:
            row = (operation.partition_key, operation.row_key)
            version = int(properties["v"])
            if version <= self.versions.get(row, 0):
                self.violations.append("a version did not increase")
            self.versions[row] = version


def text(vr: str, value: str) -> dict[str, object]:
    """An element of the DICOM JSON model."""
    return {"vr": vr, "Value": [value]} if value else {"vr": vr}


class _Partitions:
    """What the scrubber asks of the data partitions."""

    def __init__(self, known: Sequence[Partition]) -> None:
        self._known = known

    async def partitions(self) -> Sequence[Partition]:
        return self._known


class ServiceProcess:
    """What one process of the service holds."""

    def __init__(self, world: World, process: Process) -> None:
        plan = world.plan
        self.world = world
        self.process = process
        self.tables = UnreliableTables(world.tables, process, world.applied)
        self.clock = HybridClock(process.time)
        added = ADDED if plan.upgrade and world.upgraded else ()
        self.schemas = SchemaRegistry(self.tables, now, added=added)
        self.index = InstanceIndex(self.tables, self.clock, self.schemas, shards=plan.shards)
        self.lookup = InstanceLookup(self.tables, shards=plan.shards)
        self.trash = Erasure(self.tables, self.clock, shards=plan.shards, retention_hours=plan.retention_hours)
        self.log = ChangeLog(self.tables, bucket_entries=plan.bucket_entries)
        self.sequencer = Sequencer(
            self.tables,
            self.clock,
            StudyCleanup(self.tables, self.trash, self.schemas, covering(self.tables)),
            self.schemas,
            hints=self.index.hints,
            shards=plan.shards,
            log=self.log,
            page_entries=plan.page_entries,
        )
        self.scrubber = Scrubber(
            self.tables,
            world.blobs,
            self.clock,
            _Partitions(world.partitions),
            self.ensure,
            schemas=self.schemas,
            shards=plan.shards,
        )
        self.operations = Operations(self.tables, process.time)
        hints = self.index.hints
        studies = StudyReindex(self.tables, world.blobs, self.clock, self.schemas, hints)
        reindex = Reindex(
            self.tables,
            self.schemas,
            _Partitions(world.partitions),
            studies,
            hints,
            shards=plan.shards,
            catch_up=self.sequencer.catch_up,
            settled_seconds=SETTLED_SECONDS,
        )
        self.runner = Runner(self.operations, {OperationType.REINDEX: reindex})
        self.feed = ChangeFeed(self.log, self.sequencer, self.lookup, self.clock)

    # ---- store and delete, as the transactions and the blob trigger do it

    def upload(self, partition: Partition, identifier: InstanceIdentifier) -> NewInstance:
        """A durable file of random content."""
        upload_id = blob_names.new_upload_id(self.clock.now_ms())
        blob = blob_names.blob_name(partition.namespace, identifier, upload_id)
        data_set = {
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": random.choice(NAMES)}]},
            "00100020": text("LO", random.choice(("", "P1", "P2"))),
            "00080060": text("CS", random.choice(("CT", "MR"))),
            "00200013": {"vr": "IS", "Value": [1]},
        }
        if random.random() < 0.5:
            data_set["00081030"] = text("LO", random.choice(NAMES))
        if self.world.plan.upgrade:
            data_set |= {each.key: text(each.vr, random.choice(("", "X", "Y"))) for each in ADDED}
        schema = self.schemas.known
        study, series, instance = schema.extract(data_set)
        expires = None
        if random.random() < self.world.plan.expiring:
            expires = datetime.fromtimestamp(now(), UTC) + timedelta(seconds=random.choice((1, 20, 9000)))
        entry = NewInstance(
            identifier,
            "1.2.840.10008.5.1.4.1.1.2",
            "1.2.840.10008.1.2.1",
            blob,
            100,
            random.random() < 0.3,
            study,
            series,
            instance,
            orjson.dumps(data_set),
            expires=expires,
            schema=schema.number,
        )
        self.world.entries[blob] = (partition, entry)
        self.world.begun[blob] = now()
        self.world.blobs.drop(blob, b"x")
        for _ in range(random.choice((1, 1, 2))):
            at = self.world.late if random.random() < 0.2 else now()
            self.world.events.append((at + random.random() * random.choice((0.05, 1.0, 30.0)), blob))
        return entry

    async def update(self, partition: Partition, identifier: InstanceIdentifier) -> None:
        """Make a new version of an instance, as the engine of updates does: of the file that it has now."""
        stored = await self.lookup.instance(partition, identifier, metadata=False)
        if stored is None:
            return
        made = self.upload(partition, identifier)
        entry = replace(
            made, replace=False, expires=None, updates=stored.blob, original=stored.original or original_of(stored)
        )
        self.world.entries[entry.blob] = (partition, entry)
        await self.store(partition, [entry])

    async def store(self, partition: Partition, entries: Sequence[NewInstance]) -> list[CommitOutcome]:
        outcomes = await commit_instances(self.index, self.world.blobs, partition, entries)
        for entry, outcome in zip(entries, outcomes, strict=True):
            await self._answered(partition, entry, outcome)
        return outcomes

    async def _answered(self, partition: Partition, entry: NewInstance, outcome: CommitOutcome) -> None:
        world, uid = self.world, entry.identifier
        if outcome is CommitOutcome.STORED:
            world.stored += 1
            world.acknowledged.add(entry.blob)
            world.answered.setdefault(entry.blob, now())
            place = keys.study_place(partition.namespace, uid.study_instance_uid, world.plan.shards)
            facts = world.facts(place)
            world.note(when_acknowledged(facts, uid.series_instance_uid, uid.sop_instance_uid, entry.blob))
        elif outcome is CommitOutcome.ALREADY_STORED:
            if entry.blob in world.acknowledged or any(
                row.properties["live"] and row.properties["blob"] == entry.blob
                for row in world.tables.rows("dicom")
                if row.row_key.startswith("I!")
            ):
                world.violations.append("a stored file was refused")
            world.refused.add(entry.blob)
            await world.blobs.delete(entry.blob)
        elif outcome is CommitOutcome.SUPERSEDED:
            await world.blobs.delete(entry.blob)

    async def ensure(self, blob: str) -> None:
        if blob not in self.world.blobs.names():
            return
        partition, entry = self.world.entries[blob]
        stored = await self.lookup.instance(partition, entry.identifier, metadata=False)
        if stored is None or stored.blob != blob:
            [outcome] = await self.store(partition, [entry])
            if outcome in (CommitOutcome.BUSY, CommitOutcome.UNAVAILABLE):
                raise Unavailable("to be tried again")
