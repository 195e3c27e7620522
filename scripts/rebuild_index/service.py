"""What a rebuild needs of the service, put together from the settings of the app."""

import time
from dataclasses import dataclass

from shared.change_log.high_water import BlobHighWaterMark
from shared.change_log.log import ChangeLog
from shared.change_log.sequencer import Sequencer
from shared.index.covering_rows import CoveringRows
from shared.index.instances import InstanceIndex
from shared.index.lookup import InstanceLookup
from shared.ingest.ingest import Ingest
from shared.ingest.ingest_settings import IngestSettings
from shared.ingest.rebuild import Note, Rebuild
from shared.settings import Settings
from shared.storage.identity import Identity
from shared.upkeep.cleanup import StudyCleanup
from shared.upkeep.erasure import Erasure
from shared.upkeep.rows_without_file import RowsWithoutFile
from shared.wiring.stores import Stores, stores


@dataclass(frozen=True, slots=True)
class RebuildService:
    """A rebuild, and the stores that it works on. No events are published."""

    stores: Stores
    identity: Identity
    rebuild: Rebuild
    rows: RowsWithoutFile

    async def close(self) -> None:
        """Close the connections."""
        await self.stores.close()
        await self.identity.close()


def rebuild_service(settings: Settings, *, at_once: int, note: Note) -> RebuildService:
    """The rebuild of the store that the settings name. Raises Misconfigured."""
    identity = Identity(settings.identity_client_id)
    base = stores(settings, identity)
    shards = settings.index_shards
    index = InstanceIndex(base.tables, base.clock, base.schemas, shards=shards)
    rules = IngestSettings(
        max_file_bytes=settings.max_file_bytes,
        clear_preamble=settings.clear_preamble,
        full_item_validation=settings.full_item_validation,
        metadata_inline=settings.metadata_inline,
    )
    ingest = Ingest(
        base.blobs,
        index,
        InstanceLookup(base.tables, shards=shards),
        base.partitions,
        rules=rules,
        now=time.time,
    )
    trash = Erasure(
        base.tables,
        base.clock,
        shards=shards,
        retention_hours=settings.deleted_retention_hours,
        marks=base.blobs,
    )
    cleanup = StudyCleanup(base.tables, trash, base.schemas, CoveringRows(base.tables, base.row.has_study_lists))
    sequencer = Sequencer(
        base.tables,
        base.clock,
        cleanup,
        base.schemas,
        hints=index.hints,
        shards=shards,
        log=ChangeLog(base.tables, BlobHighWaterMark(base.blobs)),
    )
    rebuild = Rebuild(
        base.tables,
        base.blobs,
        base.clock,
        ingest,
        partitions=base.partitions,
        trash=trash,
        shards=shards,
        catch_up=sequencer.catch_up,
        at_once=at_once,
        note=note,
    )
    return RebuildService(
        base, identity, rebuild, RowsWithoutFile(base.tables, base.blobs, base.partitions, shards=shards)
    )
