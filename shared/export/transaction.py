"""azure-apis §7.1 Starting an export (XPT-13, XPT-14)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from shared.deidentification.key import Key
from shared.deidentification.profile import Profile
from shared.dicomweb.partitions import Partition
from shared.errors import InvalidRequest, Unavailable
from shared.export.deidentified import profile_document
from shared.export.model import Destination, NewExport, error_log
from shared.export.records import ExportRecords
from shared.export.work import first_results
from shared.http.json_body import WHERE
from shared.operations.model import Operation, OperationType
from shared.operations.store import Operations, new_operation_id
from shared.storage.ports import ContainerRefused, ForeignContainer

_CONNECT_SECONDS: Final = 30.0
IDENTIFIERS: Final = "identifiers"
PARTITION: Final = "partition"
"""Types of sources, as tasks name them."""


class Exports:
    """Starts exports."""

    def __init__(
        self, operations: Operations, records: ExportRecords, connect: Callable[[Destination], ForeignContainer]
    ) -> None:
        self._operations = operations
        self._records = records
        self._connect = connect

    async def start(self, request: NewExport, partition: Partition) -> Operation:
        """The operation that exports what a request asks for. Raises InvalidRequest (XPT-13), Unavailable."""
        if request.identifiers is None:
            return await self.start_from(PARTITION, request.destination, partition, profile=request.profile)
        return await self.start_from(
            IDENTIFIERS, request.destination, partition, identifiers=request.identifiers, profile=request.profile
        )

    async def start_from(
        self,
        source: str,
        destination: Destination,
        partition: Partition,
        *,
        identifiers: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
        profile: Profile | None = None,
        key: Key | None = None,
    ) -> Operation:
        """The operation that exports a source of a type. `settings`: what the source finds in the task, under its own
        names; a few KB at most. `profile`: how files are de-identified, under `key` or else under a new one.
        """
        operation_id = new_operation_id()
        await self._try(destination, operation_id)
        key = (key or Key.new()) if profile else None
        await self._records.keep(operation_id, identifiers, destination.signature, key)
        return await self._operations.create(
            OperationType.EXPORT,
            {
                **(settings or {}),
                "source": source,
                "namespace": partition.namespace,
                "destination": destination.url,
                "access": destination.access.value,
                "deidentify": None if profile is None else profile_document(profile),
            },
            operation_id=operation_id,
            results=first_results(destination, operation_id),
            partition=partition.name,
        )

    async def _try(self, destination: Destination, operation_id: str) -> None:
        """Make the error log: so the container is there, and can be written (XPT-13, XPT-22)."""
        where = f"the container '{destination.container}' of '{destination.account}'"
        container = self._connect(destination)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await container.create_log(error_log(operation_id))
        except ContainerRefused as refused:
            raise InvalidRequest(
                f"The service cannot write to {where}: {refused}.",
                where=WHERE,
                remedy="Check that the container exists, and that the identity or the signature may write blobs there.",
            ) from None
        except (Unavailable, TimeoutError):
            raise InvalidRequest(
                f"Cannot connect to {where}.", where=WHERE, remedy="Check the URL, and the firewall of the account."
            ) from None
        finally:
            await container.close()
