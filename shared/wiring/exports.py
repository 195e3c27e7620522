"""Settings → export (azure-apis §7): what other accounts are reached by."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

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
from shared.housekeeping import chores
from shared.operations.model import OperationType
from shared.settings import Settings
from shared.storage.azure_foreign_container import AzureForeignContainer
from shared.storage.azure_read_grants import ReadGrants
from shared.storage.connection import EMULATOR, StorageConnection
from shared.storage.identity import Identity
from shared.storage.ports import ForeignContainer
from shared.storage.secret_stores import secret_store
from shared.wiring.core import Core
from shared.wiring.part import Part


@dataclass(frozen=True, slots=True)
class Exporting:
    """The start and the work of exports, for areas that add a source of their own."""

    part: Part
    exports: Exports
    work: ExportWork
    records: ExportRecords
    rules: DestinationRules
    files: Files
    enabled: bool


def exports(core: Core) -> Exporting:
    """Export of instances, and the work of exports. Raises Misconfigured."""
    settings, base, connection = core.settings, core.base, core.base.connection
    secrets = secret_store(settings.secret_store, core.identity.credential) if settings.secret_store else None
    records = ExportRecords(base.tables, core.operations, secrets, time.time)
    connect = partial(_connect, core.identity)
    files = Files(
        base.blobs, core.lookup, ReadGrants(connection.blob_endpoint, settings.container, connection.credential)
    )
    sources: Mapping[str, SourceOf] = {
        IDENTIFIERS: partial(IdentifierSource, records, core.lookup),
        PARTITION: partial(PartitionSource, base.tables, core.lookup, shards=settings.index_shards),
    }
    rules = destination_rules(settings, connection)
    starting = Exports(core.operations, records, connect)
    work = ExportWork(sources, records, connect, partial(copies_of, files, records), foreground=core.foreground)
    enabled = settings.export and settings.asynchronous_operations
    part = Part(
        functions=(functions.blueprint(core.boundary, starting, rules),) if enabled else (),
        chores=(chores.sweep_exports(records.sweep),),
        work={OperationType.EXPORT: work},
    )
    return Exporting(part, starting, work, records, rules, files, enabled)


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
