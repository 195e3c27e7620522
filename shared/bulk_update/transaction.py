"""azure-apis §6 Bulk update: an operation that gives instances new versions."""

from shared.bulk_update.request import BulkUpdateRequest
from shared.dicomweb.partitions import Partition
from shared.dicomweb.urls import Urls
from shared.operations.model import Operation, OperationActive, OperationType
from shared.operations.start import busy, check_enabled
from shared.operations.store import Operations
from shared.study_updates.task import UpdateTask


class BulkUpdate:
    """One per process."""

    def __init__(self, operations: Operations, *, enabled: bool = True) -> None:
        """`enabled`: whether operations may be started (UPD-2)."""
        self._operations = operations
        self._enabled = enabled

    def check_enabled(self) -> None:
        """Raises InvalidRequest while operations are switched off (UPD-2)."""
        check_enabled(enabled=self._enabled)

    async def start(self, request: BulkUpdateRequest, partition: Partition, urls: Urls) -> Operation:
        """Start the update. Raises Conflict while another one is under way (UPD-8), Unavailable."""
        task = UpdateTask(partition.namespace, request.studies, request.values)
        try:
            return await self._operations.create(OperationType.UPDATE, task.document(), partition=partition.name)
        except OperationActive as error:
            raise busy(error, urls, "Send the request again when it has ended.") from error
