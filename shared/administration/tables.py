"""The tables of an account by azure-data-tables: what is rare and may cost its import (decision 0051).

Rows hold patient data: none of them enters a text or a log.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Self

from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.data.tables import TableErrorCode
from azure.data.tables.aio import TableServiceClient

from shared.errors import DependencyRefused, Unavailable
from shared.storage.connection import SharedKey, StorageConnection

_CREATE_SECONDS: Final = 90
"""A table that was deleted is gone after forty seconds or more."""
_CREATE_PAUSE: Final = 3.0
_AT_ONCE: Final = 16
_BEING_DELETED: Final = "TableBeingDeleted"


class TableAdministration:
    """Belongs to the event loop on which it is first used; a context manager that closes its connections. Methods raise
    Unavailable, DependencyRefused.
    """

    def __init__(self, connection: StorageConnection, *, retries: int = 3) -> None:
        """`retries`: how often a request that fails is sent again, after growing pauses."""
        credential = connection.credential
        self._client = TableServiceClient(
            connection.table_endpoint,
            credential=(
                AzureNamedKeyCredential(credential.account, credential.key)
                if isinstance(credential, SharedKey)
                else credential
            ),
            retry_total=retries,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._client.close()

    async def names(self) -> list[str]:
        """All tables of the account."""
        with _translated():
            return [str(table.name) async for table in self._client.list_tables()]

    async def create(self, names: Iterable[str]) -> None:
        """Create tables; those that are there stay. Waits for one that is being deleted."""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def create(name: str) -> None:
            async with slots:
                await self._create(name)

        await asyncio.gather(*map(create, names))

    async def rows(
        self, table: str, partition_key: str | None = None, *, keys_only: bool = False
    ) -> AsyncIterator[Mapping[str, Any]]:
        """The rows of a table, or of one of its partitions; none of a table that is not there."""
        client = self._client.get_table_client(table)
        select = ["PartitionKey", "RowKey"] if keys_only else None
        with _translated():
            if partition_key is None:
                found = client.list_entities(select=select)
            else:
                found = client.query_entities("PartitionKey eq @key", parameters={"key": partition_key}, select=select)
            try:
                async for row in found:
                    yield {name: getattr(value, "value", value) for name, value in row.items()}
            except HttpResponseError as error:
                if error.status_code != 404:
                    raise

    async def _create(self, name: str) -> None:
        deadline = time.monotonic() + _CREATE_SECONDS
        while True:
            try:
                with _translated():
                    await self._client.create_table(name)
            except _AlreadyThere as error:
                if error.code != _BEING_DELETED:
                    return
            else:
                return
            if time.monotonic() > deadline:
                raise Unavailable(f"A table cannot be created ({_BEING_DELETED})")
            await asyncio.sleep(_CREATE_PAUSE)


class _AlreadyThere(Exception):
    """409: a table of that name is there, or is being deleted."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@contextmanager
def _translated() -> Iterator[None]:
    """Failures of the client as those of the service; their texts hold a status and a code, nothing of a row."""
    try:
        yield
    except HttpResponseError as error:
        code = getattr(error, "error_code", "")
        reason = f"{error.status_code} {code.value if isinstance(code, TableErrorCode) else code or ''}".rstrip()
        if error.status_code == 409:
            raise _AlreadyThere(reason.partition(" ")[2]) from None
        if error.status_code in (401, 403):
            raise DependencyRefused(f"Table Storage refused the request ({reason})") from None
        raise Unavailable(f"Table Storage did not serve the request ({reason})") from None
    except ServiceRequestError:
        raise Unavailable("Table Storage cannot be reached") from None
    except ServiceResponseError:
        raise Unavailable("Table Storage does not answer") from None
