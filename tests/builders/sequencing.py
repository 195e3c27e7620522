"""The sequencer, one cycle at a time."""

from collections.abc import Iterable

from shared.change_log.sequencer import Sequencer
from shared.index_schema.keys import StudyPlace


async def run_cycle(sequencer: Sequencer, studies: Iterable[StudyPlace] | None = None) -> int:
    """Log what is pending, at most one page, and clean up; how many changes were logged.

    `studies`: look at these first of all, at the others only every 30 seconds. None: at every study that has a hint.
    """
    async with sequencer._running:
        logged, _ = await sequencer._cycle(studies, clean=True)
    return logged
