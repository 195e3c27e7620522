"""The store's own row: its format, its identity and its shape, fixed when the store is created (storage §2)."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.errors import Misconfigured
from shared.index_schema.clock import HybridClock
from shared.storage.optimistic import Rounds, best_effort_commit
from shared.storage.ports import Entity, RowWrite, TableStore, Value

STORE_ROW = ("cfg", "store")
"""Partition key and row key of the store's own row in `conf`."""

FORMAT = 2
"""The format of rows and blobs of a new store. Another number means that an older release would misread what is stored;
what the rows of the index carry has numbers of its own (`IndexSchema`)."""
WITHOUT_STUDY_LISTS = 1
"""The format of a store whose hints a release may have dropped that knew no study lists. Nobody keeps lists there."""
_KNOWN = (WITHOUT_STUDY_LISTS, FORMAT)


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """The content of the store's own row."""

    store_id: str
    """32 hex digits, random: tells this store from every other one, whatever its account is called."""
    shards: int
    """Shards of the search index."""
    spread: int
    """Physical tables that one table is spread over."""
    created: datetime
    format: int = FORMAT


class StoreSettingsRow:
    """The store's own row. `shards` and `spread` are the settings, which must be those of the store."""

    def __init__(self, tables: TableStore, clock: HybridClock, *, shards: int, spread: int) -> None:
        self._tables = tables
        self._clock = clock
        self._shape = {"shards": shards, "spread": spread}
        self._known: StoreSettings | None = None

    async def settings(self) -> StoreSettings:
        """The settings of the store; the first call of all makes them.

        Raises Misconfigured when the format is unknown or the shape is not that of the store, and Unavailable.
        """
        if self._known is None:
            properties = await self._properties()
            for name, value in self._shape.items():
                if properties[name] != value:
                    raise Misconfigured(
                        f"The store was created with {name}={properties[name]}; the setting says {value}"
                    )
            created = datetime.fromtimestamp(properties["created"] / 1000, UTC)
            self._known = StoreSettings(
                properties["id"], properties["shards"], properties["spread"], created, int(properties["format"])
            )
        return self._known

    async def has_study_lists(self) -> bool:
        """Whether the store has study lists (storage §6.6): whether every release that ever ran on it knows them."""
        return (await self.settings()).format > WITHOUT_STUDY_LISTS

    async def _properties(self) -> Mapping[str, Any]:
        rounds = Rounds("The store cannot be set up")
        while True:
            await rounds.next()
            present = await self._tables.get("conf", *STORE_ROW)
            properties: Mapping[str, Any] = present.properties if present else {}
            stored = properties.get("format")
            if stored in _KNOWN:
                return properties
            if stored is not None:
                raise Misconfigured(
                    f"The store has format {stored}, which this release does not know: it reads and writes formats "
                    f"{WITHOUT_STUDY_LISTS} and {FORMAT}. Start a release that knows the format of the store."
                )
            await best_effort_commit(self._tables, "conf", [self._completed(present)])

    def _completed(self, present: Entity | None) -> RowWrite:
        """The row of a new store, or what one lacks that is older than formats and identities."""
        named: dict[str, Value] = {"format": WITHOUT_STUDY_LISTS if present else FORMAT, "id": uuid.uuid4().hex}
        if present:
            return RowWrite("merge", *STORE_ROW, named, present.etag)
        return RowWrite("insert", *STORE_ROW, {**self._shape, **named, "created": self._clock.now_ms()})
