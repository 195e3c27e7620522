"""The change feed, its events and its functions on stores in memory."""

import json
from collections.abc import Sequence

from shared.change_feed import functions
from shared.change_feed.publication import PUBLICATION, EventOrigin, Publication
from shared.change_feed.transaction import ChangeFeedReader
from shared.change_log.follower import Follower
from shared.change_log.log import ChangeLog
from shared.change_log.reader import ChangeFeed
from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.dicomweb.document_rules import DocumentRules
from shared.http.boundary import Boundary
from shared.index_schema import keys
from shared.index_schema.changes import ChangeOperation, LoggedChange
from shared.registry.data_partitions import DataPartitions
from shared.upkeep.erasure import Erasure
from tests.builders.functions import Function, handler_of
from tests.builders.http import TokenAuthenticator, settings
from tests.builders.service import PARTITION, SHARDS, Time, sequencer, study_cleanup
from tests.builders.store import StoreService
from tests.fakes.blobs import MemoryBlobStore
from tests.fakes.events import MemoryEventPublisher
from tests.fakes.tables import MemoryTableStore

READER = (("Authorization", "Bearer read"),)


class FeedService(StoreService):
    """A process of the service with everything that the change feed needs; `again` is another one."""

    def __init__(
        self,
        tables: MemoryTableStore | None = None,
        blobs: MemoryBlobStore | None = None,
        time: Time | None = None,
        *,
        topic: MemoryEventPublisher | None = None,
        data_partitions: bool = False,
        **rules: object,
    ) -> None:
        super().__init__(tables, blobs, time, **rules)
        self.topic = topic
        self.data_partitions = data_partitions
        self.partitions = DataPartitions(self.tables, self.clock)
        self.log = ChangeLog(self.tables)
        trash = Erasure(self.tables, self.clock, shards=SHARDS, retention_hours=0)
        self.sequencer = sequencer(self, study_cleanup(self, trash), self.log)
        origin = EventOrigin("dicom.example", "/topics/dicom")
        self.publication = Follower(
            PUBLICATION,
            Publication(topic, self.partitions, origin, self.time).publish if topic else None,
            tables=self.tables,
            log=self.log,
            sequencer=self.sequencer,
            now=self.time,
        )

    def again(self, **changed: object) -> "FeedService":
        options = {"topic": self.topic, "data_partitions": self.data_partitions, **self.rules, **changed}
        return FeedService(self.tables, self.blobs, self.time, **options)

    def function(self, name: str, **fields: object) -> Function:
        """A function of the change feed, behind a boundary that knows callers by token."""
        reader = ChangeFeedReader(
            ChangeFeed(self.log, self.sequencer, self.lookup, self.clock),
            self.partitions,
            self.blobs,
            DocumentRules(),
            data_partitions=self.data_partitions,
        )
        boundary = Boundary(
            settings(data_partitions=self.data_partitions, **fields), TokenAuthenticator(), self.partitions
        )
        blueprint = functions.blueprint(boundary, reader, self.sequencer, self.publication, shards=SHARDS)
        return handler_of(blueprint, name)

    async def feed(self, target: str = "/v2/changefeed") -> list[dict]:
        """The entries that a client gets."""
        response = await self.function("change_feed").get(target, READER)
        assert response.status == 200, response.body
        return json.loads(response.body)

    async def latest(self, version: str = "v2") -> dict | None:
        """The latest entry; None for an empty feed."""
        response = await self.function("change_feed_latest").get(f"/{version}/changefeed/latest", READER)
        return json.loads(response.body) if response.status == 200 else None

    async def delete(self, scope: InstanceIdentifier | ResourceIdentifier) -> int:
        """Delete what is in the scope."""
        if isinstance(scope, InstanceIdentifier):
            scope = ResourceIdentifier(scope.study_instance_uid, scope.series_instance_uid, scope.sop_instance_uid)
        return await self.index.delete(PARTITION, scope)

    async def append(self, *changes: LoggedChange) -> None:
        """Write a page of the feed by hand."""
        await self.log.append(await self.log.head(), changes, int(self.time() * 1_000_000))


def logged(
    identifier: InstanceIdentifier, version: int, operation: ChangeOperation = "create", namespace: str = "0"
) -> LoggedChange:
    """A change as the feed keeps it."""
    change_id = keys.change_id(version, identifier.series_instance_uid, identifier.sop_instance_uid)
    return LoggedChange(change_id, operation, namespace, identifier)


def brief(entries: Sequence[dict]) -> list[tuple[int, str, str]]:
    """Sequence, action and state of entries."""
    return [(entry["sequence"], entry["action"], entry["state"]) for entry in entries]
