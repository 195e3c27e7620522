"""The sequencer, one cycle at a time."""

from collections.abc import Iterable

from shared.change_log.sequencer import Sequencer
from shared.index_schema.keys import StudyPlace


async def run_cycle(sequencer: Sequencer, studies: Iterable[StudyPlace] = ()) -> int:
    """Log what is pending where there is a hint, and in `studies`, and clean up; how many changes were logged."""
    async with sequencer._running:
        found, logged, _ = await sequencer._cycle(studies)
    await sequencer._finishing.finish([found])
    return logged
