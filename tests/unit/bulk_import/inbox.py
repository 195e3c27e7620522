"""Bulk import on stores in memory, as the functions run it."""

import json
from datetime import UTC, datetime

from shared import telemetry
from shared.bulk_import import transaction
from shared.bulk_import.request import read_message
from shared.bulk_import.transaction import BulkImport, ImportPlaces
from tests.builders.files import PATIENT_NAME, file
from tests.builders.store import StoreService
from tests.fakes.blobs import MemoryBlobStore
from tests.fakes.queues import MemoryQueueStore

PLACES = ImportPlaces(
    "https://account.blob.core.windows.net", "import-container", "error-container", "import-queue", "error-queue"
)


def event(name: str, container: str = "import-container") -> str:
    """What Event Grid puts into the queue for a new file."""
    return json.dumps(
        {
            "topic": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/account",
            "subject": f"/blobServices/default/containers/{container}/blobs/{name}",
            "eventType": "Microsoft.Storage.BlobCreated",
            "data": {"api": "PutBlob", "url": f"https://account.blob.core.windows.net/{container}/{name}"},
        }
    )


class Inbox:
    """The import container, its queues, and a process that imports; `again` is the next process."""

    def __init__(self, service: StoreService | None = None, **rules: object) -> None:
        self.service = service or StoreService(**rules)
        self._now = lambda: datetime.fromtimestamp(self.service.time(), UTC)
        self.errors = MemoryBlobStore(now=self._now)
        self.files = MemoryBlobStore(now=self._now, others={"error-container": self.errors})
        self.queues = MemoryQueueStore("import-queue", "error-queue")
        self.bulk_import = self._process()

    def _process(self) -> BulkImport:
        service = self.service
        return BulkImport(
            transaction.Inbox(self.files, self.queues, PLACES),
            transaction.Archive(service.ingest, service.lookup, service.blobs, service.partitions),
            transaction.ImportRules(service.data_partitions, int(service.rules.get("max_file_bytes", 1 << 40))),
            audit=telemetry.AuditLog(),
            now=service.time,
        )

    def again(self) -> None:
        """The process has died; another one goes on."""
        self.service = self.service.again()
        self.bulk_import = self._process()

    async def drop(self, name: str, data: bytes, metadata: dict[str, str] | None = None) -> None:
        """Upload a file and deliver its event."""
        self.files.drop(name, data, metadata)
        await self.deliver(event(name))

    async def deliver(self, message: str) -> None:
        """Handle one message."""
        wanted = read_message(message, "import-container")
        assert wanted is not None
        await self.bulk_import.run(wanted)

    async def work_off(self) -> list[int]:
        """Handle the messages of the queue until there is none; the delays with which they were sent."""
        delays = []
        while self.queues.messages["import-queue"]:
            message, delay = self.queues.messages["import-queue"].pop(0)
            delays.append(delay)
            await self.deliver(message)
        return delays

    @property
    def error_records(self) -> list[dict[str, object]]:
        """What is in the error queue."""
        return [json.loads(message) for message, _ in self.queues.messages["error-queue"]]


def conflicting(one):
    """Another file of the same instance."""
    identifier = one.identifier
    other = file(
        {PATIENT_NAME: "Someone^Else"},
        study=identifier.study_instance_uid,
        series=identifier.series_instance_uid,
        sop_instance=identifier.sop_instance_uid,
    )
    assert other.data != one.data
    return other
