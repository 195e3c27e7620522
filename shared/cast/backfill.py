"""CAST-EV-8 Every study that DICOM has, marked to be reconciled: for a first installation, or a new FHIR server."""

from collections.abc import AsyncIterator, Callable

from shared import telemetry
from shared.cast.dirty_studies import DirtyStudies, StudyKey
from shared.operations.model import Document, OperationFailed
from shared.operations.store import Lease
from shared.outgoing.failures import RequestFailed

_STEP = 200
"""Studies between two checkpoints."""


class Backfill:
    """The work of the operation. `listed`: every study that DICOM has; `dirty`: where they are marked."""

    def __init__(self, listed: Callable[[], AsyncIterator[StudyKey]], dirty: DirtyStudies) -> None:
        self._listed = listed
        self._dirty = dirty

    async def __call__(self, lease: Lease) -> Document | None:
        """Mark them; `{"studies": how many}`. Goes on behind the study of the last checkpoint.

        Raises OperationFailed, Unavailable.
        """
        state = lease.operation.checkpoint
        studies, after = int(state.get("studies", 0)), str(state.get("after", ""))
        try:
            if after and not await self._is_listed(after):
                studies, after = 0, ""  # it was deleted: where the list went on is not known
            async for key in self._listed():
                if after:
                    after = "" if key.name == after else after
                    continue
                await self._dirty.mark(key, 0, replay=True)
                studies += 1
                if studies % _STEP == 0:
                    await lease.checkpoint({"studies": studies, "after": key.name}, results={"studies": studies})
        except RequestFailed as error:
            telemetry.failure("cast-backfill-failed", error)
            raise OperationFailed({"error": str(error)}) from error
        return {"studies": studies}

    async def _is_listed(self, name: str) -> bool:
        async for key in self._listed():
            if key.name == name:
                return True
        return False
