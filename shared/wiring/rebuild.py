"""Settings → the rebuild of the index from the files (data-safety §5), of the app and of the command."""

import time
from collections.abc import Awaitable, Callable

from shared.index.instances import InstanceIndex
from shared.index.lookup import InstanceLookup
from shared.index_rebuild import functions
from shared.index_rebuild.transaction import IndexRebuilds
from shared.index_rebuild.work import RebuildWork
from shared.ingest.ingest import Ingest
from shared.ingest.ingest_settings import IngestSettings
from shared.ingest.rebuild import Note, Rebuild
from shared.operations.model import OperationType
from shared.pacing import Foreground
from shared.settings import Settings
from shared.upkeep.erasure import Erasure
from shared.wiring.core import Core
from shared.wiring.part import Part
from shared.wiring.stores import Stores, stores

_AT_ONCE = 4
"""Studies side by side in a process that answers requests."""


def rebuild(core: Core) -> Part:
    """The rebuild as an operation."""
    work = RebuildWork(
        index_rebuild(
            core.settings,
            core.base,
            core.trash,
            core.feed.sequencer.catch_up,
            at_once=_AT_ONCE,
            foreground=core.foreground,
        )
    )

    async def prepare() -> None:
        fresh = stores(core.settings, core.identity)  # whoever knows a store already looks no further
        try:
            # Data partitions that come back with the files are no contradiction of the settings.
            await fresh.prepare(data_partitions=True)
        finally:
            await fresh.close()

    rebuilds = IndexRebuilds(core.operations, prepare, enabled=core.settings.asynchronous_operations)
    return Part(functions=(functions.blueprint(core.boundary, rebuilds),), work={OperationType.REBUILD: work})


def index_rebuild(
    settings: Settings,
    base: Stores,
    trash: Erasure,
    catch_up: Callable[[], Awaitable[object]],
    *,
    at_once: int,
    note: Note = lambda _what, _blob: None,
    foreground: Foreground | None = None,
) -> Rebuild:
    """The rebuild of the store that the settings name. It numbers what it commits itself: no event asks others to."""
    shards = settings.index_shards
    return Rebuild(
        base.tables,
        base.blobs,
        base.clock,
        Ingest(
            base.blobs,
            InstanceIndex(base.tables, base.clock, base.schemas, shards=shards),
            InstanceLookup(base.tables, shards=shards),
            base.partitions,
            rules=IngestSettings.of(settings),
            now=time.time,
        ),
        partitions=base.partitions,
        trash=trash,
        shards=shards,
        catch_up=catch_up,
        at_once=at_once,
        note=note,
        foreground=foreground,
    )
