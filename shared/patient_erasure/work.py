"""The work of an erasure: its studies one after the other, then every other place, resumed where it was (PHI-14)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from shared import telemetry
from shared.dicomweb.partitions import PartitionDirectory
from shared.index_schema import keys
from shared.operations.model import Document
from shared.operations.store import Lease
from shared.patient_erasure.study import Stores, StudyErasure
from shared.patient_erasure.task import ErasureTask, Progress
from shared.patient_erasure.traces import Erase, Subject

_LOOK_SECONDS: Final = 5.0
"""Between two looks whether what was deleted has been cleaned up."""

type Ended = Callable[[ErasureTask, Sequence[str], Document], None]
"""Told of an erasure that has ended: its task, the studies that are gone, and its results."""


class PatientErasure:
    """The work of the operations that erase patients. One per process. `remaining`: what the platform keeps, and until
    when; `ended` writes the audit record.
    """

    def __init__(
        self,
        stores: Stores,
        partitions: PartitionDirectory,
        traces: Sequence[Erase],
        *,
        shards: int,
        remaining: Callable[[], Sequence[Mapping[str, str]]],
        ended: Ended,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._stores = stores
        self._partitions = partitions
        self._traces = traces
        self._shards = shards
        self._remaining = remaining
        self._ended = ended
        self._pause = pause

    async def __call__(self, lease: Lease) -> Document | None:
        """Erase what is left."""
        task, progress = ErasureTask.of(lease.operation.input), Progress.of(lease.operation.checkpoint)
        if not task.patient.identifier:  # it had ended, and only that was not written
            return lease.operation.results
        partition = await self._partitions.by_namespace(task.namespace)
        if partition is None:
            return progress.results(self._remaining())
        steps = len(task.studies) + 1 + len(self._traces)
        while progress.study < len(task.studies):
            await self._study(lease, task, progress, steps)
        erased = [study for study in task.studies if study not in set(progress.untouched)]
        if progress.study == len(task.studies):
            await self._wait_for_rest(lease, task, progress, erased)
            progress.next()
            await lease.checkpoint(progress.checkpoint(), percent=100 * progress.study // steps)
        subject = Subject(partition, task.patient, erased)
        for erase in self._traces[progress.study - len(task.studies) - 1 :]:
            progress.traces |= await erase(subject)
            progress.next()
            await lease.checkpoint(progress.checkpoint(), percent=100 * progress.study // steps)
        results = progress.results(self._remaining())
        self._ended(task, erased, results)
        telemetry.event("patient-erased", **_counts(results))
        # The identifier of the patient does not outlive the erasure
        await lease.forget(task.nameless(), progress.checkpoint(), results)
        return results

    async def _study(self, lease: Lease, task: ErasureTask, progress: Progress, steps: int) -> None:
        """Take one study to its end. Raises Paused between steps."""
        name = task.studies[progress.study]
        study = self._erasure(task, name)
        if progress.stage == "examine":
            found = await study.examine()
            if found.others or not found.own:
                # A study with instances of somebody else is not touched
                progress.leave(name)
                progress.next()
            else:
                progress.stage, progress.expected = "delete", found.own
            await lease.checkpoint(progress.checkpoint(), percent=100 * progress.study // steps)
            return
        if progress.stage == "delete":
            await study.delete()
            progress.stage = "files"
            await lease.checkpoint(progress.checkpoint())
        # Files are erased once nothing of their deletion is pending
        while not await study.is_settled():
            await self._pause(_LOOK_SECONDS)
            await lease.checkpoint(progress.checkpoint())
        progress.files += await study.erase_files()
        progress.instances += progress.expected
        progress.studies += 1
        progress.next()
        await lease.checkpoint(progress.checkpoint(), percent=100 * progress.study // steps)

    async def _wait_for_rest(self, lease: Lease, task: ErasureTask, progress: Progress, studies: Sequence[str]) -> None:
        """Wait until the study lists say nothing of what is gone. Raises Paused."""
        for name in studies:
            while not await self._erasure(task, name).is_at_rest():
                await self._pause(_LOOK_SECONDS)
                await lease.checkpoint(progress.checkpoint())

    def _erasure(self, task: ErasureTask, study: str) -> StudyErasure:
        return StudyErasure(self._stores, keys.study_place(task.namespace, study, self._shards), task.patient)


def _counts(results: Mapping[str, Any]) -> dict[str, int]:
    return {name: value for name, value in results.items() if isinstance(value, int)}
