"""The work of an update: its studies, one after the other (UPD-29), resumed where it was (OP-9)."""

import asyncio
from dataclasses import replace

from shared import telemetry
from shared.dicomweb.json_model import loads
from shared.dicomweb.partitions import PartitionDirectory
from shared.index.documents import read_metadata
from shared.index.instance_rows import IndexedInstance
from shared.index_schema import keys
from shared.index_schema.keys import StudyPlace
from shared.operations.model import Document, OperationFailed
from shared.operations.store import Lease
from shared.pacing import Foreground, Pace
from shared.storage.ports import BlobNotFound
from shared.study_updates.former_version import FormerVersions
from shared.study_updates.moved_instances import uid_changes, uid_map
from shared.study_updates.new_version import Operation, VersionMaker
from shared.study_updates.patients import has_values
from shared.study_updates.study_update import Step, Stores, StudyUpdate, made_files
from shared.study_updates.task import Progress, UpdateTask

_SAVED_SECONDS = 5.0
"""Between two checkpoints while one study is worked on."""
_LONGEST_PAUSE = 2.0
"""Seconds between two steps, at most."""


class Update:
    """The work of the operations that update studies. One per process."""

    def __init__(
        self,
        stores: Stores,
        partitions: PartitionDirectory,
        *,
        shards: int,
        metadata_inline: bool = True,
        foreground: Foreground | None = None,
    ) -> None:
        """`foreground`: the clients that it makes way for; None: none."""
        self._foreground = foreground or Foreground()
        self._stores = stores
        self._partitions = partitions
        self._shards = shards
        self._metadata_inline = metadata_inline

    async def __call__(self, lease: Lease) -> Document | None:
        """Update the studies that are left. Raises OperationFailed at the end if one of them failed."""
        task, progress = UpdateTask.of(lease.operation.input), Progress.of(lease.operation.checkpoint)
        operation = Operation(
            lease.operation.id, int(lease.operation.created.timestamp() * 1000), task.namespace, task.changes()
        )
        versions = VersionMaker(self._stores.blobs, operation, metadata_inline=self._metadata_inline)
        partition = await self._partitions.by_namespace(task.namespace)
        into = keys.study_place(task.namespace, task.into, self._shards) if task.into else None
        while partition is not None and progress.study < len(task.studies):
            place = keys.study_place(task.namespace, task.studies[progress.study], self._shards)
            former = None
            if task.reverts:
                former = await FormerVersions.of(
                    self._stores.blobs, operation, partition, self._stores.entry_of, reverts=task.reverts, place=place
                )
            elif into is not None:
                versions = await self._moving(task, operation, place, into)
            study = StudyUpdate(
                self._stores,
                partition,
                place,
                operation,
                former or versions,
                applies=lambda each: self._applies(task, each),
                into=into,
            )
            await self._update(lease, study, place, progress, studies=len(task.studies), former=former)
        results = {**progress.results(), **task.told}
        if task.series and into is not None:
            made = await made_files(self._stores.blobs, operation, into)
            results["moved"] = uid_map({blob: file for blob, (file, _) in made.items()})
        telemetry.event("studies-updated", **{name: getattr(progress, name) for name in _COUNTED})
        if progress.failed:
            raise OperationFailed(results)
        return results

    async def _moving(
        self, task: UpdateTask, operation: Operation, place: StudyPlace, into: StudyPlace
    ) -> VersionMaker:
        """Makes the instances of another study."""
        made = await made_files(self._stores.blobs, operation, into)
        files = {blob: file for blob, (file, _) in made.items()}
        uids = await uid_changes(
            self._stores.lookup, operation.id, place, series=task.series, target=into.study_instance_uid, made=files
        )
        moving = replace(operation, changes=replace(operation.changes, uids=uids))
        return VersionMaker(self._stores.blobs, moving, metadata_inline=self._metadata_inline)

    async def _applies(self, task: UpdateTask, instance: IndexedInstance) -> bool:
        """Whether an instance is to be updated."""
        if task.series and instance.stored.identifier.series_instance_uid not in task.series:
            return False
        if not task.only:
            return True
        try:
            document = await read_metadata(instance.stored, self._stores.blobs)
        except BlobNotFound:  # deleted or replaced meanwhile
            return False
        return has_values(loads(document), task.only)

    async def _update(
        self,
        lease: Lease,
        study: StudyUpdate,
        place: StudyPlace,
        progress: Progress,
        *,
        studies: int,
        former: FormerVersions | None,
    ) -> None:
        """Take one study to its end. Raises Paused between steps."""
        view = await self._stores.lookup.study_at(place)
        # Somebody waits for an update: it rests beside clients alone.
        pace = Pace(_LONGEST_PAUSE, self._foreground, alone=0.0, beside=1.0)
        step = _steps(lease, progress, studies, view.instances if view else 0, pace)
        failures: dict[str, str] = {}
        if progress.stage == "prepare":
            failures = dict(await study.prepare(step))
            # rule: an update is decided before its first instance changes
            progress.stage = "discard" if failures else "commit"
            if failures:
                progress.fail(place.study_instance_uid, failures)
            await lease.checkpoint(progress.checkpoint())
        if progress.stage == "commit":
            updated = await study.commit(step)
            progress.instances += updated
            progress.updated += updated > 0
        else:
            await study.discard()
        if former is not None:
            progress.leave(former.left(await study.live()))
        progress.next_study()
        await lease.checkpoint(progress.checkpoint(), percent=100 * progress.study // studies)


_COUNTED = ("processed", "updated", "failed", "instances")


def _steps(lease: Lease, progress: Progress, studies: int, instances: int, pace: Pace) -> Step:
    """A step between two pieces of work: a pause, and a checkpoint that shows how far it is: from time to time, and as
    soon as work that was taken up again has got further, so that it only fails for want of progress.
    """
    loop = asyncio.get_running_loop()
    saved = loop.time()

    async def step(done: int, changed: int) -> None:
        nonlocal saved
        await pace.rest()
        resumed = lease.attempts > 1 and changed > 0
        if resumed or lease.stopping.is_set() or loop.time() - saved >= _SAVED_SECONDS:
            half = 50 if progress.stage == "commit" else 0
            share = half + 50 * min(done, instances) // max(instances, 1)
            await lease.checkpoint(progress.checkpoint(), percent=(100 * progress.study + share) // studies)
            saved = loop.time()

    return step
