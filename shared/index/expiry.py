"""Studies that expire (dicomweb §6.9, EXP-1): the last store of a study decides when, or that it does not."""

from collections.abc import Sequence

from shared.concurrency import together
from shared.index.deletion import Deleter
from shared.index.model import NewInstance
from shared.index_schema import keys
from shared.index_schema.clock import HybridClock
from shared.index_schema.keys import StudyPlace
from shared.registry.due_work import DueWork
from shared.storage.ports import Entity, TableStore

_LIST = "expiry"


def _due_list(tables: TableStore) -> DueWork:
    return DueWork(tables, _LIST, buckets=1)


async def schedule_expiry(
    tables: TableStore, clock: HybridClock, place: StudyPlace, entries: Sequence[NewInstance]
) -> None:
    """Note when the study has to be looked at, before a commit says that it expires. Raises Unavailable."""
    times = {int(entry.expires.timestamp() * 1000) for entry in entries if entry.expires}
    await together(*(_due_list(tables).put(due, clock.now_ms(), 0, place.name, {}) for due in sorted(times)))


async def expire_studies(
    tables: TableStore, clock: HybridClock, deleter: Deleter, *, shards: int, limit: int = 100
) -> int:
    """Delete the studies that have expired, about `limit` of them. Returns how many rows of work are done."""

    async def expire(row: Entity) -> bool:
        await deleter.delete_expired(keys.named_place(row.row_key, shards))
        return True

    return await _due_list(tables).work(clock.now_ms(), expire, limit=limit)
