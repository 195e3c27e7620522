"""A service whose tables can be lost, and a rebuild of them."""

import json
import re
from typing import Any

from shared.change_log.high_water import BlobHighWaterMark
from shared.change_log.log import ChangeLog
from shared.dicomweb.document_rules import DocumentRules
from shared.http.boundary import Boundary
from shared.index_schema import keys
from shared.ingest.rebuild import Rebuild, Rebuilt
from shared.registry.data_partitions import DataPartitions
from shared.retrieve import functions as retrieve
from shared.retrieve.pixel_pool import PixelPool
from shared.retrieve.snapshot import Backend
from shared.search import functions as search
from shared.upkeep.erasure import Erasure
from shared.upkeep.rows_without_file import RowsChecked, RowsWithoutFile
from tests.builders.feed import READER, FeedService
from tests.builders.functions import Function, handler_of
from tests.builders.http import TokenAuthenticator, settings
from tests.builders.service import SHARDS, sequencer, study_cleanup
from tests.fakes.lists import kept
from tests.fakes.schemas import FixedSchemas
from tests.fakes.tables import MemoryTableStore

_RETENTION_HOURS = 72
_SORT_KEY = re.compile(r"![0-9a-f]{16}(?=!|$)")


class LosableService(FeedService):
    """A process of the service that marks what becomes obsolete, and can rebuild its index."""

    def __init__(self, *stores: Any, **options: Any) -> None:
        super().__init__(*stores, **options)
        self.partitions = DataPartitions(self.tables, self.clock, self.blobs)
        self.ingest._partitions = self.partitions
        self.trash = Erasure(self.tables, self.clock, shards=SHARDS, retention_hours=_RETENTION_HOURS, marks=self.blobs)
        self.log = ChangeLog(self.tables, BlobHighWaterMark(self.blobs))
        self.sequencer = sequencer(self, study_cleanup(self, self.trash), self.log)
        self.noted: list[tuple[str, str]] = []
        self.rebuild = Rebuild(
            self.tables,
            self.blobs,
            self.clock,
            self.ingest,
            partitions=self.partitions,
            trash=self.trash,
            shards=SHARDS,
            catch_up=self.sequencer.catch_up,
            note=lambda what, blob: self.noted.append((what, blob)),
        )

    def on(self, tables: MemoryTableStore) -> "LosableService":
        """Another process, on these tables and the same files."""
        return LosableService(tables, self.blobs, self.time, data_partitions=self.data_partitions)

    async def settle(self) -> None:
        """All that was committed is numbered, folded and cleaned up, some time later."""
        for _ in range(3):
            await self.sequencer.catch_up()
            self.time.seconds += 200

    async def rebuilt(self, **options: bool) -> Rebuilt:
        """Run a rebuild to its end."""
        await self.partitions.check_at_start(enabled=True)
        return [done async for done in self.rebuild.run(**options)][-1]

    async def checked(self) -> RowsChecked:
        """What is found wrong with the rows of all studies."""
        found = RowsChecked()
        async for each in RowsWithoutFile(self.tables, self.blobs, self.partitions, shards=SHARDS).run():
            found.instances += each.instances
            found.without_file += each.without_file
            found.marked += each.marked
        return found

    def _function(self, name: str) -> Function:
        boundary = Boundary(settings(), TokenAuthenticator(), self.partitions)
        if name.startswith("search"):
            blueprint = search.blueprint(
                boundary,
                self.tables,
                self.lookup,
                self.blobs,
                SHARDS,
                study_lists=kept,
                schemas=FixedSchemas(),
            )
        else:
            backend = Backend(self.lookup, self.blobs, PixelPool(1 << 30, 1 << 30))
            blueprint = retrieve.blueprint(boundary, backend, DocumentRules())
        return handler_of(blueprint, name)

    async def answer(self, function: str, target: str) -> Any:
        """The answer of a function: status, and its JSON or its bytes without the boundary of its parts; of an error,
        which names its request, the status alone.
        """
        response = await self._function(function).get(target, READER)
        if response.status >= 400:
            return response.status, b""
        fields = {name.lower(): value for name, value in response.headers}
        body = response.body
        if "json" in fields.get("content-type", ""):
            return response.status, json.loads(body)
        _, _, delimiter = fields.get("content-type", "").partition("boundary=")
        return response.status, body.replace(delimiter.strip('"').encode(), b"") if delimiter else body

    def index_rows(self) -> dict[str, Any]:
        """What the index holds, without versions, sort keys' random ends and times."""
        rows: dict[str, Any] = {}
        for row in self.tables.rows("dicom"):
            properties = dict(row.properties)
            if row.row_key.startswith("I!") and properties["live"]:
                rows[f"{row.partition_key} {row.row_key}"] = {
                    name: value for name, value in properties.items() if name not in ("v", "dead", "refused")
                }
            elif row.row_key[0] in "BC":
                attributes = json.loads(properties["attrs"])
                values = {key: pair[0] if isinstance(pair, list) else pair for key, pair in attributes.items()}
                rows[f"{row.partition_key} {row.row_key}"] = (properties["n"], values)
        for kind in ("idx", "idxi"):
            for row in self.tables.rows(kind):
                if not row.partition_key.startswith("l!") and not row.row_key.startswith("a!"):
                    rows[f"{kind} {row.partition_key} {_SORT_KEY.sub('!', row.row_key)}"] = keys.namespace_of(
                        row.partition_key
                    )
        return rows
