"""What a page of the change feed costs far behind its beginning: at sequence 1,000, and at 1,000,000.

The feed is made as the sequencer makes it, page by page, but of changes that no store has left: the instances are gone.
"""

import time
from datetime import UTC, datetime
from urllib.parse import quote

from benchmarks.client import Client
from benchmarks.measure import Bench
from benchmarks.service import LocalService
from shared.change_log.log import PAGE_ENTRIES, ChangeLog
from shared.dicom.identifiers import InstanceIdentifier
from shared.index_schema import keys
from shared.index_schema.changes import LoggedChange
from shared.storage.azure_tables import AzureTableStore
from shared.storage.connection import StorageConnection

_PAGE = 100
_PAGES = 1001
_TABLE_SPREAD = 64
"""Of local.settings.sample.json, with which the service runs."""


async def run(bench: Bench, client: Client, service: LocalService | None) -> None:
    """Needs a service of its own in which nothing runs but requests: nobody publishes a million events."""
    assert service is not None, "only of a service that is started here"
    times = await _fill(service, bench.times(_PAGES))
    last = len(times) * PAGE_ENTRIES
    await client.get("changefeed/latest?includeMetadata=false", "application/json")
    for at in (PAGE_ENTRIES, last - PAGE_ENTRIES):
        page = at // PAGE_ENTRIES
        window = f"startTime={quote(times[page - 1])}&endTime={quote(times[page])}"
        for name, path in (
            ("from", f"changefeed?offset={at}&limit={_PAGE}&includeMetadata=false"),
            ("of a window of time from", f"changefeed?{window}&limit={_PAGE}&includeMetadata=false"),
        ):

            async def read(_number: int, path: str = path) -> None:
                await client.get(path, "application/json")

            await bench.run(f"long change feed: {_PAGE} entries {name} sequence {at:,}", read, bench.times(300))


async def _fill(service: LocalService, pages: int) -> list[str]:
    """Append pages; the times of their last entries."""
    connection = StorageConnection.from_connection_string(service.connection_string)
    tables = AzureTableStore(connection.table_endpoint, connection.credential, spread=_TABLE_SPREAD)
    log = ChangeLog(tables)
    one = InstanceIdentifier("1.2.826.1", "1.2.826.1.1", "1.2.826.1.1.1")
    times = []
    for _ in range(pages):
        head = await log.head()
        version = int(time.time() * 1000) << 16
        changes = [
            LoggedChange(
                keys.change_id(version + number, one.series_instance_uid, one.sop_instance_uid), "create", "0", one
            )
            for number in range(PAGE_ENTRIES)
        ]
        page = await log.append(head, changes, int(time.time() * 1_000_000))
        assert page is not None, "nobody else appends"
        await log.acknowledged(head.bucket, page.end - 1)
        times.append(datetime.fromtimestamp(page.timestamp / 1_000_000, UTC).isoformat())
    await tables.close()
    return times
