"""What a rebuild needs of the service, put together from the settings of the app."""

from dataclasses import dataclass

from shared.ingest.rebuild import Note, Rebuild
from shared.settings import Settings
from shared.storage.identity import Identity
from shared.upkeep.rows_without_file import RowsWithoutFile
from shared.wiring.core import feed_of, trash_of
from shared.wiring.rebuild import index_rebuild
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
    catch_up = feed_of(settings, identity, base).sequencer.catch_up
    rebuild = index_rebuild(settings, base, trash_of(settings, base), catch_up, at_once=at_once, note=note)
    rows = RowsWithoutFile(base.tables, base.blobs, base.partitions, shards=settings.index_shards)
    return RebuildService(base, identity, rebuild, rows)
