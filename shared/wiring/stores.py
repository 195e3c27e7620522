"""Settings → the stores of data and of imports: programs beside the app use them, too."""

import asyncio
import time
from dataclasses import dataclass

from shared.bulk_import.transaction import ImportPlaces
from shared.index_schema.clock import HybridClock
from shared.registry.data_partitions import DataPartitions
from shared.registry.schema_registry import SchemaRegistry
from shared.registry.store_settings import StoreSettingsRow
from shared.settings import Settings
from shared.storage.azure_blobs import AzureBlobStore
from shared.storage.azure_queues import AzureQueueStore
from shared.storage.azure_tables import AzureTableStore
from shared.storage.connection import StorageConnection
from shared.storage.identity import Identity


@dataclass(frozen=True, slots=True)
class Stores:
    """The data stores, connected to nothing yet: connections open with the first request on the worker's loop."""

    connection: StorageConnection
    tables: AzureTableStore
    blobs: AzureBlobStore
    partitions: DataPartitions
    row: StoreSettingsRow
    schemas: SchemaRegistry
    clock: HybridClock

    async def prepare(self, *, data_partitions: bool) -> None:
        """Create what a new store needs. Raises Misconfigured when settings and store contradict each other."""
        await asyncio.gather(self.blobs.ensure_container(), create_tables(self.tables, self.connection))
        await self.row.settings()
        await self.schemas.refresh()
        await self.partitions.check_at_start(enabled=data_partitions)

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(self.tables.close(), self.blobs.close())


def stores(settings: Settings, identity: Identity) -> Stores:
    """The stores that the settings name. Raises Misconfigured."""
    connection = storage_connection(settings, identity)
    tables = AzureTableStore(connection.table_endpoint, connection.credential, spread=settings.table_spread)
    blobs = AzureBlobStore(connection.blob_endpoint, settings.container, connection.credential)
    clock = HybridClock(time.time)
    row = StoreSettingsRow(tables, clock, shards=settings.index_shards, spread=settings.table_spread)
    return Stores(connection, tables, blobs, DataPartitions(tables, clock, blobs), row, SchemaRegistry(tables), clock)


async def create_tables(tables: AzureTableStore, connection: StorageConnection) -> None:
    """Create the tables that are missing. Raises Unavailable, DependencyRefused."""
    if missing := await tables.missing():
        # Why here: no start pays for it that finds everything.
        from shared.administration.tables import TableAdministration

        async with TableAdministration(connection) as administration:
            await administration.create(missing)


def storage_connection(settings: Settings, identity: Identity) -> StorageConnection:
    """The account that holds the data. Raises Misconfigured."""
    if settings.storage_connection:
        return StorageConnection.from_connection_string(settings.storage_connection)
    return StorageConnection.from_uris(
        settings.blob_service_uri, settings.table_service_uri, settings.queue_service_uri, identity.credential()
    )


@dataclass(frozen=True, slots=True)
class ImportStores:
    """The containers and queues of bulk import (IMP-3)."""

    files: AzureBlobStore
    errors: AzureBlobStore
    queues: AzureQueueStore
    places: ImportPlaces
    connection_setting: str
    """The setting that tells the host of the functions which account it is."""

    async def prepare(self, store_id: str) -> None:
        """Create what is missing. The container names the store, for programs that remember what they have sent."""
        await asyncio.gather(
            self.files.ensure_container({"storeid": store_id}),
            self.errors.ensure_container(),
            *map(self.queues.ensure_queue, (self.places.queue, self.places.error_queue)),
        )

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(self.files.close(), self.errors.close(), self.queues.close())


def import_stores(settings: Settings, identity: Identity) -> ImportStores:
    """Those that the settings name: in the account of the data unless they name another. Raises Misconfigured."""
    if settings.import_connection:
        connection = StorageConnection.from_connection_string(settings.import_connection)
    elif settings.import_blob_service_uri:
        blobs, queues = settings.import_blob_service_uri, settings.import_queue_service_uri
        connection = StorageConnection.from_uris(blobs, blobs, queues, identity.credential())  # it needs no tables
    else:
        connection = storage_connection(settings, identity)
    own = settings.import_connection or settings.import_blob_service_uri
    endpoint, credential = connection.blob_endpoint, connection.credential
    return ImportStores(
        AzureBlobStore(endpoint, settings.import_container, credential),
        AzureBlobStore(endpoint, settings.import_error_container, credential),
        AzureQueueStore(connection.queue_endpoint, credential),
        ImportPlaces(
            endpoint,
            settings.import_container,
            settings.import_error_container,
            settings.import_queue,
            settings.import_error_queue,
        ),
        "ImportStorage" if own else "DicomStorage",
    )
