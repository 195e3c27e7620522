"""The work of a rebuild: page by page, each behind the last one that was noted (DAT-5, OP-9)."""

from contextlib import aclosing

from shared import telemetry
from shared.ingest.rebuild import Rebuild, Rebuilt
from shared.operations.model import Document
from shared.operations.store import Lease


class RebuildWork:
    """The work of the operation. One per process."""

    def __init__(self, rebuild: Rebuild) -> None:
        self._rebuild = rebuild

    async def __call__(self, lease: Lease) -> Document | None:
        """Rebuild the index; what became of the files, in numbers. Goes on behind the place of the last checkpoint.

        Raises Paused, LeaseLost, Unavailable: the health of the index stays Degraded until somebody has gone on.
        """
        state = lease.operation.checkpoint
        before: dict[str, int] = state.get("done", {})
        results = dict(before)
        async with aclosing(self._rebuild.run(after=str(state.get("after", "")))) as pages:
            async for page in pages:
                done = Rebuilt()
                done.add(before)
                done.add(page.numbers())
                results = done.numbers()
                if page.place:  # the last page is noted by the end of the work
                    await lease.checkpoint({"after": page.place, "done": results}, results=results)
        telemetry.event("index-rebuilt", **results)
        return results
