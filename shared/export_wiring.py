"""Settings → adapters → export (azure-apis §7): the part of `shared.wiring` that other accounts are reached by."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import azure.functions as func
from azure.core.credentials import AzureSasCredential

from shared.export import functions
from shared.export.copying import Files
from shared.export.deidentified import copies_of
from shared.export.destinations import DestinationRules
from shared.export.model import Access, Destination, SourceOf
from shared.export.records import ExportRecords
from shared.export.sources import IdentifierSource, PartitionSource
from shared.export.transaction import IDENTIFIERS, PARTITION, Exports
from shared.export.work import ExportWork
from shared.http.boundary import Boundary
from shared.index.lookup import InstanceLookup
from shared.operations.store import Operations
from shared.settings import Settings
from shared.storage.azure_foreign_container import AzureForeignContainer
from shared.storage.azure_read_grants import ReadGrants
from shared.storage.connection import EMULATOR, StorageConnection
from shared.storage.identity import Identity
from shared.storage.ports import BlobStore, ForeignContainer, TableStore
from shared.storage.secret_stores import secret_store


@dataclass(frozen=True, slots=True)
class Export:
    """What the app has of export."""

    exports: Exports
    rules: DestinationRules
    work: ExportWork
    records: ExportRecords

    def blueprint(self, boundary: Boundary) -> func.Blueprint:
        """Its function."""
        return functions.blueprint(boundary, self.exports, self.rules)


def export(
    settings: Settings,
    identity: Identity,
    connection: StorageConnection,
    *,
    tables: TableStore,
    blobs: BlobStore,
    lookup: InstanceLookup,
    operations: Operations,
) -> Export:
    """Export, of the files of that connection. Raises Misconfigured."""
    secrets = secret_store(settings.secret_store, identity.credential) if settings.secret_store else None
    records = ExportRecords(tables, operations, secrets, time.time)
    connect = partial(_connect, identity)
    grants = ReadGrants(connection.blob_endpoint, settings.container, connection.credential)
    files = Files(blobs, lookup, grants)
    sources: Mapping[str, SourceOf] = {
        IDENTIFIERS: partial(IdentifierSource, records, lookup),
        PARTITION: partial(PartitionSource, tables, lookup, shards=settings.index_shards),
    }

    return Export(
        Exports(operations, records, connect),
        destination_rules(settings, connection),
        ExportWork(sources, records, connect, partial(copies_of, files, records)),
        records,
    )


def destination_rules(settings: Settings, connection: StorageConnection) -> DestinationRules:
    """The destinations that the settings allow. Raises Misconfigured."""
    imports = settings.import_blob_service_uri or connection.blob_endpoint
    if settings.import_connection:
        imports = StorageConnection.from_connection_string(settings.import_connection).blob_endpoint
    own = {connection.blob_endpoint, imports, settings.host_storage_uri} - {""}
    return DestinationRules.checked(
        settings.export_destinations,
        own_accounts=sorted(own),
        own_containers=[
            (connection.blob_endpoint, settings.container),
            (imports, settings.import_container),
            (imports, settings.import_error_container),
        ],
        signatures=settings.export_signatures,
        public=settings.export_public,
        identity=bool(settings.identity_client_id) or not settings.storage_connection,
        secrets=bool(settings.secret_store),
    )


def _connect(identity: Identity, destination: Destination) -> ForeignContainer:
    match destination.access:
        case Access.IDENTITY:
            return AzureForeignContainer(destination.url, identity.credential())
        case Access.SIGNATURE:
            return AzureForeignContainer(destination.url, AzureSasCredential(destination.signature))
        case Access.EMULATOR:
            return AzureForeignContainer(destination.url, EMULATOR)
        case Access.NONE:
            return AzureForeignContainer(destination.url, None)
