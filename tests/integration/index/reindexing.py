"""A process of a later release, which runs re-indexes. `python -m tests.integration.index.reindexing`."""

import asyncio
import os
import time

from shared.hints import Hints
from shared.index_schema.clock import HybridClock
from shared.index_schema.indexed_attributes import IndexedAttribute
from shared.operations.model import OperationType
from shared.operations.runner import Runner
from shared.operations.store import Operations
from shared.registry.data_partitions import DataPartitions
from shared.registry.schema_registry import MOST_AGE_SECONDS, SchemaRegistry
from shared.storage.azure_blobs import AzureBlobStore
from shared.storage.azure_tables import AzureTableStore
from shared.storage.connection import StorageConnection
from shared.upkeep.reindex import Reindex, start_reindex
from shared.upkeep.study_reindex import StudyReindex

SHARDS, SPREAD, CONTAINER = 1, 64, "dicom"
"""Of local.settings.sample.json, with which the tests run the service."""
ADDED = (
    IndexedAttribute("00081040", "LO", "study", ("dn",)),
    IndexedAttribute("00180015", "CS", "series", ("bp",)),
    IndexedAttribute("00200012", "IS", "instance", ("aq",)),
)
_SETTLED_SECONDS = MOST_AGE_SECONDS + 10
"""Requests to an emulator on this machine are over earlier than those to a data centre."""


async def run(connection_string: str, ahead: float) -> None:
    """Start a re-index if one is needed, and run it, with a clock that is so many seconds ahead."""
    connection = StorageConnection.from_connection_string(connection_string)
    tables = AzureTableStore(connection.table_endpoint, connection.credential, spread=SPREAD)
    blobs = AzureBlobStore(connection.blob_endpoint, CONTAINER, connection.credential)
    clock = HybridClock(time.time)
    schemas = SchemaRegistry(tables, added=ADDED)
    operations = Operations(tables, lambda: time.time() + ahead)
    hints = Hints(tables, clock, shards=SHARDS)
    reindex = Reindex(
        tables,
        schemas,
        DataPartitions(tables, clock),
        StudyReindex(tables, blobs, clock, schemas, hints),
        hints,
        shards=SHARDS,
        settled_seconds=_SETTLED_SECONDS,
    )
    await start_reindex(operations, schemas)
    await Runner(operations, {OperationType.REINDEX: reindex}).run()
    await asyncio.gather(tables.close(), blobs.close())


if __name__ == "__main__":
    asyncio.run(run(os.environ["STORAGE"], float(os.environ["AHEAD"])))
