"""The tables in Azure Table Storage or Azurite (storage §2, §9).

A thin client over connections of our own: requests are built and answers read here, because the general client costs
many times the processor time (decision 0006). Keys hold patient data: no URL, key or row enters a text or a log.
"""

from collections.abc import Sequence
from typing import get_args
from urllib.parse import quote, urlsplit
from uuid import uuid4
from zlib import crc32

import orjson

from shared.errors import DependencyRefused, Unavailable
from shared.storage import table_entities
from shared.storage.authorization import authorization
from shared.storage.connection import Credential
from shared.storage.http_answer import StorageResponse
from shared.storage.http_connection import NoAnswer, NotSent
from shared.storage.ports import Ambiguous, Entity, Kind, Page, PreconditionFailed, RowWrite
from shared.storage.retry import DEFAULT_BACKOFF, Backoff, send_with_retries, was_turned_away
from shared.storage.transport import StorageRequest, StorageTransport

_KINDS: tuple[Kind, ...] = get_args(Kind.__value__)
_SPREAD_KINDS = frozenset({"dicom", "idx", "idxi", "worklist"})
_LONGEST_RETRY_AFTER = 300
"""Seconds: what a client is told at most."""
_HEADERS = {
    "Accept": table_entities.JSON,
    "DataServiceVersion": "3.0",
    "x-ms-version": "2019-02-02",
}


class AzureTableStore:
    """A TableStore over one storage account.

    `spread` physical tables stand for each kind that is read by ranges, chosen by hash of the partition key: 1 on
    Azure, more on an emulator that scans a whole table for each query. It must never change for stored data. `prefix`
    (letters and digits) goes before the table names. `kinds` are the tables of a feature that has its own. `requests`
    counts the requests sent.
    """

    def __init__(
        self,
        endpoint: str,
        credential: Credential,
        *,
        spread: int = 1,
        prefix: str = "",
        kinds: Sequence[str] = _KINDS,
        backoff: Backoff = DEFAULT_BACKOFF,
    ) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._spread = spread
        self._prefix = prefix
        self._kinds = tuple(kinds)
        self._base = urlsplit(self._endpoint).path
        self._backoff = backoff
        self._transport = StorageTransport(self._endpoint)
        self._authorization = authorization(credential, self._endpoint)

    @property
    def requests(self) -> int:
        """Requests sent so far, repeats included."""
        return self._transport.requests

    def table(self, kind: str, partition_key: str) -> str:
        """The physical table of a partition."""
        if self._spread == 1 or kind not in _SPREAD_KINDS:
            return f"{self._prefix}{kind}"
        return f"{self._prefix}{kind}{crc32(partition_key.encode()) % self._spread:03}"

    def tables(self) -> list[str]:
        """All physical tables."""
        names: list[str] = []
        for kind in self._kinds:
            if self._spread == 1 or kind not in _SPREAD_KINDS:
                names.append(f"{self._prefix}{kind}")
            else:
                names += [f"{self._prefix}{kind}{number:03}" for number in range(self._spread)]
        return names

    # ------------------------------------------------------------------------------------------------- TableStore

    async def get(self, kind: str, partition_key: str, row_key: str) -> Entity | None:
        """One row, or None."""
        path = table_entities.row_path(self.table(kind, partition_key), partition_key, row_key)
        response = await self._send("GET", path)
        if response.status_code == 404 and _code(response.body) != "TableNotFound":
            return None
        _expect(response, 200)
        return table_entities.decode(orjson.loads(response.body))

    async def page(
        self,
        kind: str,
        partition_key: str,
        low: str,
        high: str,
        *,
        top: int = table_entities.MAX_PAGE,
        select: Sequence[str] | None = None,
    ) -> Page:
        """At most `top` rows with low ≤ RowKey < high: one request, unless the service answers with an empty page."""
        if not 1 <= top <= table_entities.MAX_PAGE:
            raise ValueError("A page has 1 to 1000 rows")
        query = table_entities.range_query(partition_key, low, high, top, select)
        table = self.table(kind, partition_key)
        entities, more = await self._query(table, query, "")
        while more and not entities:
            entities, more = await self._query(table, query, more)
        # The service's continuation is opaque. The blank is the lowest character of a key: nothing lies between.
        return Page(entities, entities[-1].row_key + " " if more else None)

    async def range(
        self, kind: str, partition_key: str, low: str, high: str, *, select: Sequence[str] | None = None
    ) -> list[Entity]:
        """All rows with low ≤ RowKey < high, in key order."""
        query = table_entities.range_query(partition_key, low, high, None, select)
        table = self.table(kind, partition_key)
        entities, more = await self._query(table, query, "")
        while more:
            following, more = await self._query(table, query, more)
            entities += following
        return entities

    async def commit(self, kind: str, operations: Sequence[RowWrite]) -> str:
        """One entity group transaction, or one plain request for a single operation."""
        table_entities.check(operations)
        table = self.table(kind, operations[0].partition_key)
        if len(operations) == 1:
            response = await self._send(*table_entities.single_request(table, operations[0]))
            if response.status_code not in (201, 204):
                raise _write_failure(response.status_code, response.body)
            return response.headers.get("etag", "")
        content_type, body = table_entities.batch_request(self._endpoint, table, operations, uuid4().hex)
        response = await self._send("POST", "$batch", {"Content-Type": content_type}, body)
        if response.status_code != 202:
            raise _write_failure(response.status_code, response.body)
        try:
            failure = table_entities.batch_failure(response.body)
        except ValueError:
            raise Ambiguous("Table Storage answered a transaction with something else") from None
        if failure:
            raise _write_failure(*failure)
        return ""

    async def missing(self) -> list[str]:
        """The tables that have to be created before anything else is asked for."""
        return sorted(set(self.tables()) - await self._existing())

    async def ping(self) -> None:
        """Raise Unavailable or DependencyRefused unless the tables answer."""
        _expect(await self._send("GET", f"Tables?$filter={quote(f"TableName eq '{self.tables()[0]}'")}"), 200)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    # ----------------------------------------------------------------------------------------------------- inside

    async def _send(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> StorageResponse:
        """Send one request, again if it may be. A write that may have been applied raises Ambiguous."""
        target = f"{self._base}/{path}"
        read = method == "GET"

        async def attempt() -> StorageResponse:
            signed = {**_HEADERS, **(headers or {}), **await self._authorization.headers(target)}
            response = await self._transport.send(StorageRequest(method, target, signed, body or b""))
            if response.status_code == 401:
                self._authorization.refused()
            return response

        try:
            response = await send_with_retries(attempt, self._backoff, is_read=read)
        except NotSent as error:
            raise Unavailable(f"Table Storage cannot be reached ({error})") from None
        except NoAnswer as error:
            if read:
                raise Unavailable(f"Table Storage does not answer ({error})") from None
            raise Ambiguous(f"Table Storage did not answer a write ({error})") from None
        if response.status_code >= 500 and not read and not was_turned_away(response):
            raise Ambiguous(f"Table Storage failed in a write ({_reason(response.status_code, response.body)})")
        if response.status_code in (429, 503) and (seconds := retry_after(response)):
            raise Unavailable(
                f"Table Storage is busy ({_reason(response.status_code, response.body)})",
                fields=(("Retry-After", str(seconds)),),
            )
        return response

    async def _query(self, table: str, query: str, continuation: str) -> tuple[list[Entity], str]:
        """One page, and the query parameters that ask for the next one ('' at the end)."""
        response = await self._send("GET", f"{table}()?{query}{continuation}")
        _expect(response, 200)
        entities = [table_entities.decode(document) for document in orjson.loads(response.body)["value"]]
        return entities, _continuation(response, "NextPartitionKey", "NextRowKey")

    async def _existing(self) -> set[str]:
        names: set[str] = set()
        continuation = ""
        while True:
            response = await self._send("GET", f"Tables?$top={table_entities.MAX_PAGE}{continuation}")
            _expect(response, 200)
            names |= {table["TableName"] for table in orjson.loads(response.body)["value"]}
            continuation = _continuation(response, "NextTableName")
            if not continuation:
                return names


def _continuation(response: StorageResponse, *names: str) -> str:
    values = [(name, response.headers.get(f"x-ms-continuation-{name}".lower())) for name in names]
    return "".join(f"&{name}={quote(value, safe='')}" for name, value in values if value)


def _expect(response: StorageResponse, status: int) -> None:
    if response.status_code != status:
        raise _failure(response.status_code, response.body)


def _code(body: bytes) -> str:
    """The error code of an answer: a constant of the service, never data."""
    try:
        code = orjson.loads(body)["odata.error"]["code"]
    except (ValueError, KeyError, TypeError):
        return ""
    return code if isinstance(code, str) and code.isalnum() else ""


def retry_after(response: StorageResponse) -> int:
    """When to come back, in seconds, as the storage service says it (THR-1); 0 if it does not."""
    value = response.headers.get("retry-after", "")
    return min(int(value), _LONGEST_RETRY_AFTER) if value.isdecimal() else 0


def _reason(status: int, body: bytes) -> str:
    return f"{status} {_code(body)}".rstrip()


def _failure(status: int, body: bytes) -> Exception:
    """The meaning of an answer other than success."""
    if status in (401, 403):
        return DependencyRefused(f"Table Storage refused the request ({_reason(status, body)})")
    return Unavailable(f"Table Storage did not serve the request ({_reason(status, body)})")


def _write_failure(status: int, body: bytes) -> Exception:
    """The same for a write of rows. Codes that begin with Table speak of the table, not of a row."""
    if status in (404, 409, 412) and not _code(body).startswith("Table"):
        return PreconditionFailed(f"A row is missing, present or changed ({_reason(status, body)})")
    if status >= 500 and b"ServerBusy" not in body:
        return Ambiguous(f"Table Storage failed in a write ({_reason(status, body)})")
    return _failure(status, body)
