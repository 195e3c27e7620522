"""data-safety §5 The start of a rebuild, by those who may do everything in the whole service (DAT-5)."""

from collections.abc import Awaitable, Callable

from shared.dicomweb.urls import Urls
from shared.errors import Forbidden
from shared.http.caller import Caller
from shared.operations.model import Operation, OperationActive, OperationType
from shared.operations.start import busy, check_enabled
from shared.operations.store import Operations


class IndexRebuilds:
    """One per process. `prepare` creates what a store lacks, tables above all; `enabled`: operations may be started."""

    def __init__(
        self, operations: Operations, prepare: Callable[[], Awaitable[object]], *, enabled: bool = True
    ) -> None:
        self._operations = operations
        self._prepare = prepare
        self._enabled = enabled

    @staticmethod
    def check_permitted(caller: Caller) -> None:
        """Raises Forbidden unless the caller may do everything in the whole service."""
        if not caller.permissions.all_in(None):
            raise Forbidden("Authorization failed.")

    async def start(self, urls: Urls) -> Operation:
        """Begin one, at the first file. Raises InvalidRequest, Conflict, Unavailable, Misconfigured.

        Updates, merges, moves and erasures find their studies in the index: none is active beside it (OP-8).
        """
        check_enabled(enabled=self._enabled)
        await self._prepare()
        try:
            return await self._operations.create(OperationType.REBUILD, {})
        except OperationActive as error:
            raise busy(error, urls, "Send the request again when it has ended.") from error
