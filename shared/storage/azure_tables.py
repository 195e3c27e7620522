"""The tables in Azure Table Storage or Azurite (storage §2, §9).

A thin client on azure-core's pipeline: requests are built and answers read here, because the general client costs many
times the processor time on transactions and pages. Keys hold patient data: no URL, key or row enters a text or a log.
"""

import asyncio
import hmac
import time
from base64 import b64decode, b64encode
from collections.abc import Sequence
from email.utils import formatdate
from typing import cast, get_args
from urllib.parse import quote, urlsplit
from uuid import uuid4
from zlib import crc32

import orjson
from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline import AsyncPipeline, PipelineRequest
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy, AsyncHTTPPolicy, SansIOHTTPPolicy
from azure.core.pipeline.transport import HttpRequest

from shared.errors import DependencyRefused, Unavailable
from shared.storage import table_entities
from shared.storage.connection import STORAGE_SCOPE, Credential, SharedKey
from shared.storage.ports import Ambiguous, Entity, Kind, Operation, Page, PreconditionFailed
from shared.storage.retry import DEFAULT_BACKOFF, Backoff, RetryPolicy, is_read, was_turned_away
from shared.storage.transport import StorageResponse, StorageTransport

_KINDS: tuple[Kind, ...] = get_args(Kind.__value__)
_SPREAD_KINDS = frozenset({"dicom", "idx", "idxi"})
_HEADERS = {
    "Accept": table_entities.JSON,
    "DataServiceVersion": "3.0",
    "x-ms-version": "2019-02-02",
}
_CREATE_SECONDS = 90
_CREATE_PAUSE = 3.0
_CREATES_IN_FLIGHT = 16


type _Policy = AsyncHTTPPolicy[HttpRequest, StorageResponse] | SansIOHTTPPolicy[HttpRequest, StorageResponse]


class AzureTableStore:
    """A TableStore over one storage account.

    `spread` physical tables stand for each kind that is read by ranges, chosen by hash of the partition key: 1 on
    Azure, more on an emulator that scans a whole table for each query. It must never change for stored data. `prefix`
    (letters and digits) goes before the table names. `requests` counts the requests sent.
    """

    def __init__(
        self,
        endpoint: str,
        credential: Credential,
        *,
        spread: int = 1,
        prefix: str = "",
        backoff: Backoff = DEFAULT_BACKOFF,
    ) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._spread = spread
        self._prefix = prefix
        self._transport = StorageTransport(urlsplit(self._endpoint).scheme)
        authentication: _Policy
        if isinstance(credential, SharedKey):
            authentication = _SharedKeyLite(credential)
        else:
            # It is typed for azure-core's own answers; of ours it reads the status and the headers, which we have.
            authentication = cast("_Policy", AsyncBearerTokenCredentialPolicy(credential, STORAGE_SCOPE))
        self._pipeline: AsyncPipeline[HttpRequest, StorageResponse] = AsyncPipeline(
            self._transport, [RetryPolicy(backoff), authentication]
        )

    @property
    def requests(self) -> int:
        """Requests sent so far, repeats included."""
        return self._transport.requests

    def table(self, kind: Kind, partition_key: str) -> str:
        """The physical table of a partition."""
        if self._spread == 1 or kind not in _SPREAD_KINDS:
            return f"{self._prefix}{kind}"
        return f"{self._prefix}{kind}{crc32(partition_key.encode()) % self._spread:03}"

    def tables(self) -> list[str]:
        """All physical tables."""
        names: list[str] = []
        for kind in _KINDS:
            if self._spread == 1 or kind not in _SPREAD_KINDS:
                names.append(f"{self._prefix}{kind}")
            else:
                names += [f"{self._prefix}{kind}{number:03}" for number in range(self._spread)]
        return names

    # ------------------------------------------------------------------------------------------------- TableStore

    async def get(self, kind: Kind, partition_key: str, row_key: str) -> Entity | None:
        """One row, or None."""
        path = table_entities.row_path(self.table(kind, partition_key), partition_key, row_key)
        response = await self._send("GET", path)
        if response.status_code == 404 and _code(response.body) != "TableNotFound":
            return None
        _expect(response, 200)
        return table_entities.decode(orjson.loads(response.body))

    async def page(
        self,
        kind: Kind,
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
        self, kind: Kind, partition_key: str, low: str, high: str, *, select: Sequence[str] | None = None
    ) -> list[Entity]:
        """All rows with low ≤ RowKey < high, in key order."""
        query = table_entities.range_query(partition_key, low, high, None, select)
        table = self.table(kind, partition_key)
        entities, more = await self._query(table, query, "")
        while more:
            following, more = await self._query(table, query, more)
            entities += following
        return entities

    async def commit(self, kind: Kind, operations: Sequence[Operation]) -> None:
        """One entity group transaction, or one plain request for a single operation."""
        table_entities.check(operations)
        table = self.table(kind, operations[0].partition_key)
        if len(operations) == 1:
            response = await self._send(*table_entities.single_request(table, operations[0]))
            if response.status_code not in (201, 204):
                raise _write_failure(response.status_code, response.body)
            return
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

    async def ensure_tables(self) -> None:
        """Create the tables that are missing. Waits for one that is being deleted; raises Unavailable in the end."""
        missing = sorted(set(self.tables()) - await self._existing())
        slots = asyncio.Semaphore(_CREATES_IN_FLIGHT)

        async def create(name: str) -> None:
            async with slots:
                await self._create(name)

        async with asyncio.TaskGroup() as group:
            for name in missing:
                group.create_task(create(name))

    async def ping(self) -> None:
        """Raise Unavailable or DependencyRefused unless the tables answer."""
        _expect(await self._send("GET", f"Tables?$filter={quote(f"TableName eq '{self._prefix}conf'")}"), 200)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    # ----------------------------------------------------------------------------------------------------- inside

    async def _send(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> StorageResponse:
        """Send one request. A write that may have been applied raises Ambiguous."""
        request = HttpRequest(method, f"{self._endpoint}/{path}", {**_HEADERS, **(headers or {})}, data=body)
        try:
            response = (await self._pipeline.run(request)).http_response
        except ServiceRequestError as error:
            raise Unavailable(f"Table Storage cannot be reached ({error.message})") from None
        except ServiceResponseError as error:
            if is_read(request):
                raise Unavailable(f"Table Storage does not answer ({error.message})") from None
            raise Ambiguous(f"Table Storage did not answer a write ({error.message})") from None
        except AzureError as error:
            raise Unavailable(f"No access token for Table Storage ({type(error).__name__})") from None
        if response.status_code >= 500 and not is_read(request) and not was_turned_away(response):
            raise Ambiguous(f"Table Storage failed in a write ({_reason(response.status_code, response.body)})")
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

    async def _create(self, name: str) -> None:
        deadline = time.monotonic() + _CREATE_SECONDS
        while True:
            try:
                response = await self._send(
                    "POST",
                    "Tables",
                    {"Content-Type": "application/json", "Prefer": "return-no-content"},
                    orjson.dumps({"TableName": name}),
                )
            except Ambiguous:  # creating twice does no harm
                code = "Ambiguous"
            else:
                code = _code(response.body)
                if response.status_code in (201, 204) or code == "TableAlreadyExists":
                    return
                if code != "TableBeingDeleted":
                    raise _failure(response.status_code, response.body)
            if time.monotonic() > deadline:
                raise Unavailable(f"A table cannot be created ({code})")
            await asyncio.sleep(_CREATE_PAUSE)


class _SharedKeyLite(SansIOHTTPPolicy[HttpRequest, StorageResponse]):
    """Signs requests with the account key, as the Table service has it ("Authorize with Shared Key")."""

    def __init__(self, credential: SharedKey) -> None:
        self._key = b64decode(credential.key)
        self._account = credential.account
        self._second = 0
        self._date = ""

    def on_request(self, request: PipelineRequest[HttpRequest]) -> None:
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True)
        http = request.http_request
        path = http.url.partition("?")[0]
        resource = f"/{self._account}{path[path.index('/', 8) :]}"
        digest = hmac.digest(self._key, f"{self._date}\n{resource}".encode(), "sha256")
        http.headers["x-ms-date"] = self._date
        http.headers["Authorization"] = f"SharedKeyLite {self._account}:{b64encode(digest).decode()}"


def _continuation(response: StorageResponse, *names: str) -> str:
    values = [(name, response.headers.get(f"x-ms-continuation-{name}")) for name in names]
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


def _reason(status: int, body: bytes) -> str:
    return f"{status} {_code(body)}".rstrip()


def _failure(status: int, body: bytes) -> Exception:
    """What an answer other than success means."""
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
