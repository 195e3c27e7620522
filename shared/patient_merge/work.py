"""The work of study moves (MRG-2, MRG-6)."""

from collections.abc import Awaitable, Callable

from shared.operations.model import Document
from shared.operations.store import Lease
from shared.patient_merge.transaction import ENDS_SHARES
from shared.study_updates.task import UpdateTask

type UpdateWork = Callable[[Lease], Awaitable[Document | None]]
"""The work of updates of studies."""
type EndShares = Callable[[str, str], Awaitable[object]]
"""Ends the shares of a study, by the namespace of its data partition and its UID. Idempotent. Raises Unavailable."""


class MoveWork:
    """Ends the shares of studies that become those of somebody else, then moves them: whoever has a link of the one
    patient never sees the other.
    """

    def __init__(self, update: UpdateWork, end_shares: EndShares) -> None:
        self._update = update
        self._end_shares = end_shares

    async def __call__(self, lease: Lease) -> Document | None:
        """Do the work to its end. Raises what updates raise."""
        task = lease.operation.input
        if task.get(ENDS_SHARES):
            of = UpdateTask.of(task)
            for study in of.studies:
                await self._end_shares(of.namespace, study)
        return await self._update(lease)
