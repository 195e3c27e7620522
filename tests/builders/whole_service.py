"""The whole app, wired as in a deployment, on stores in memory: every row of the table of resources answers."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

from shared.dicomweb.resource import Resource
from shared.dicomweb.service_resources import FALLBACK
from shared.http.boundary import Boundary
from shared.http.messages import Response
from shared.http.transaction import Transaction
from shared.index_schema.clock import HybridClock
from shared.registry.data_partitions import DataPartitions
from shared.registry.schema_registry import SchemaRegistry
from shared.registry.store_settings import StoreSettingsRow
from shared.settings import Settings
from shared.storage.connection import StorageConnection
from shared.wiring import app, core, rebuild
from shared.wiring.stores import Stores
from tests.builders.http import routed
from tests.fakes.blobs import MemoryBlobStore
from tests.fakes.tables import MemoryTableStore

ENVIRONMENT = {
    "DicomStorage": "UseDevelopmentStorage=true",
    "AUTHENTICATION_MODE": "off",
    "EXPORT_DESTINATIONS": "https://*.blob.core.windows.net",
}


@dataclass
class WholeService:
    """What answers requests. Bodies of responses are read to their ends."""

    boundary: Boundary
    transactions: Mapping[str, Transaction[Any, Any]]
    data_partitions: bool
    stores: Any

    async def ask(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> tuple[Response, bytes]:
        """The response, and what its body holds."""
        resource, request = routed(method, target, headers, body=body, data_partitions=self.data_partitions)
        if resource.name not in self.transactions:  # the feature is off: the host knows no such function
            resource, request = FALLBACK, replace(request, route={"path": request.path.lstrip("/")})
        with patch.object(rebuild, "stores", lambda *_: self.stores):  # a rebuild opens stores of its own
            answer = await self.boundary.run(resource, request, self.transactions[resource.name])
        if isinstance(answer.body, bytes):
            return answer, answer.body
        return answer, b"".join([piece async for piece in answer.body])


class _InMemory(Stores):
    """Stores that need nothing to be created."""

    async def prepare(self, *, data_partitions: bool) -> None:
        """As in a store that is there."""
        await self.row.settings()
        await self.schemas.refresh()
        await self.partitions.check_at_start(enabled=data_partitions)

    async def close(self) -> None:
        """There are no connections."""


@dataclass
class _Noted:
    """What is mounted, and on which boundary."""

    boundary: Boundary | None = None
    transactions: dict[str, Transaction[Any, Any]] = field(default_factory=dict)


async def whole_service(environment: Mapping[str, str] | None = None) -> WholeService:
    """The app with these settings beside `ENVIRONMENT`. Needs a running loop."""
    settings = Settings.from_environment({**ENVIRONMENT, **(environment or {})})
    tables, blobs, clock, noted = MemoryTableStore(), MemoryBlobStore(), HybridClock(time.time), _Noted()
    row = StoreSettingsRow(tables, clock, shards=settings.index_shards, spread=settings.table_spread)
    stores: Any = _InMemory(
        StorageConnection.from_connection_string(settings.storage_connection),
        tables,
        blobs,
        DataPartitions(tables, clock, blobs),
        row,
        SchemaRegistry(tables),
        clock,
    )

    class Noting(Boundary):
        def add(self, resource: Resource, transaction: Transaction[Any, Any]) -> None:
            super().add(resource, transaction)
            noted.boundary, noted.transactions[resource.name] = self, transaction

    with (
        patch.object(core, "stores", lambda *_: stores),
        patch.object(core, "Boundary", Noting),
        patch.object(core, "_prepare_process"),
    ):
        app.blueprints(settings)
    await stores.prepare(data_partitions=settings.data_partitions)
    assert noted.boundary is not None
    return WholeService(noted.boundary, noted.transactions, settings.data_partitions, stores)
