"""The steps behind the numbering of changes: acknowledging pages, clean-up, dropping hints (storage §7). Idempotent."""

import asyncio
from collections.abc import Collection, Mapping, Sequence

from shared.change_log.log import FeedPage
from shared.change_log.look import look_at
from shared.change_log.numbering import ChangeKey, Found, Study, change_key
from shared.change_log.tail import Tail
from shared.hints import Hint, Hints, Mark
from shared.index.fold import Folder
from shared.index.study_rows import StudyRows
from shared.index_schema import keys
from shared.index_schema.changes import LoggedChange
from shared.index_schema.keys import StudyPlace
from shared.storage.ports import TableStore
from shared.upkeep.cleanup import StudyCleanup

STUDIES_IN_FLIGHT = 32
ROWS_KEPT = 64
"""Of so many studies the rows that a look has read are kept until the study is folded."""


class Finishing:
    """One per process. While it works, more changes may be numbered."""

    def __init__(
        self, tables: TableStore, folder: Folder, remover: StudyCleanup, hints: Hints, tail: Tail, *, shards: int
    ) -> None:
        self._tables = tables
        self._folder = folder
        self._remover = remover
        self._hints = hints
        self._tail = tail
        self._shards = shards
        self._running = asyncio.Lock()

    async def acknowledge(self, found: Sequence[Found] = ()) -> None:
        """Fold the changes of all pages that are left, and those that get no number; remove their D and E rows, and
        note that. Raises Unavailable.
        """
        async with self._running:
            pages, bucket = list(self._tail.pages), self._tail.bucket
            await self._acknowledge(_to_acknowledge(pages, found), {})
            await self._tail.acknowledged(pages, bucket)

    async def finish(self, found: Sequence[Found]) -> None:
        """The same; then clean up in the studies that cycles have found, and drop hints in time. Raises Unavailable."""
        async with self._running:
            pages, bucket = list(self._tail.pages), self._tail.bucket
            studies = {key: study for each in found for key, study in each.studies.items()}
            await self._look(studies.values())
            changes = _to_acknowledge(pages, found)
            cleanup = await self._acknowledge(changes, studies)
            await self._tail.acknowledged(pages, bucket)
            cleanup |= {study.place for study in studies.values() if study.look and study.look.cleanup}
            await self._clean(cleanup)
            done = {change_key(change, self._shards) for change in changes}
            settled = {hint: mark for each in found for hint, mark in each.settled.items()}
            await self._settle(studies, settled, done, cleanup)

    # ----------------------------------------------------------------------------------------------------- inside

    async def _look(self, studies: Collection[Study]) -> None:
        """Look at the studies whose changes were numbered without."""
        slots = asyncio.Semaphore(STUDIES_IN_FLIGHT)
        kept = 0

        async def look(study: Study) -> None:
            nonlocal kept
            study.hints = {hint: self._hints.mark(hint) for hint in study.hints}
            async with slots:
                study.look = await look_at(self._tables, study.place)
            kept += bool(study.look.changes)
            if kept > ROWS_KEPT:
                study.look.rows = None

        await asyncio.gather(*(look(study) for study in studies if study.look is None))

    async def _acknowledge(self, changes: Sequence[LoggedChange], studies: Mapping[str, Study]) -> set[StudyPlace]:
        """Fold changes and remove their D and E rows; the studies with clean-up."""
        by_study: dict[StudyPlace, set[str]] = {}
        for change in changes:
            place = keys.study_place(change.namespace, change.identifier.study_instance_uid, self._shards)
            by_study.setdefault(place, set()).add(change.id)
        slots = asyncio.Semaphore(STUDIES_IN_FLIGHT)

        async def acknowledge(place: StudyPlace, change_ids: set[str]) -> bool:
            look = study.look if (study := studies.get(place.partition_key)) else None
            rows: StudyRows | None = None
            # rule: rows that were read before a change was committed do not tell that it is folded
            if look and change_ids <= {change.id for change in look.changes}:
                rows, look.rows = look.rows, None
            async with slots:
                return await self._folder.acknowledge(place, change_ids, rows)

        left = await asyncio.gather(*(acknowledge(place, change_ids) for place, change_ids in by_study.items()))
        self._hints.logged(changes)
        return {place for place, cleanup in zip(by_study, left, strict=True) if cleanup}

    async def _clean(self, places: Collection[StudyPlace]) -> None:
        slots = asyncio.Semaphore(STUDIES_IN_FLIGHT)

        async def clean(place: StudyPlace) -> None:
            async with slots:
                await self._remover.tidy(place)

        await asyncio.gather(*map(clean, places))

    async def _settle(
        self,
        studies: Mapping[str, Study],
        settled: Mapping[Hint, Mark],
        done: Collection[ChangeKey],
        cleanup: Collection[StudyPlace],
    ) -> None:
        """Note which studies have nothing left to do, and drop their hints in time."""
        idle: dict[StudyPlace, dict[Hint, Mark]] = {}
        for hint, mark in settled.items():
            idle.setdefault(hint.place, {})[hint] = mark
        emptied: set[StudyPlace] = set()
        for key, study in studies.items():
            idle.pop(study.place, None)
            look = study.look
            if look is None or study.place in cleanup or not look.complete:
                continue
            # rule: a hint stays while something is unfinished
            if any((change.id, key) not in done for change in look.changes):
                continue
            idle[study.place] = study.hints
            if look.emptied:
                emptied.add(study.place)
                continue
            for hint, mark in study.hints.items():
                self._hints.found_idle(hint, mark)
        slots = asyncio.Semaphore(STUDIES_IN_FLIGHT)
        drops: dict[Hint, Mark] = {}

        async def settle(place: StudyPlace, hints: Mapping[Hint, Mark]) -> None:
            due = {hint: mark for hint, mark in hints.items() if self._hints.may_drop(hint, mark)}
            if due:
                async with slots:
                    # rule: a hint is dropped only when the lists say what the study is
                    if await self._remover.settle(place, emptied=place in emptied):
                        drops.update(due)

        await asyncio.gather(*(settle(place, hints) for place, hints in idle.items()))
        await self._hints.drop(drops)


def _to_acknowledge(pages: Sequence[FeedPage], found: Sequence[Found]) -> list[LoggedChange]:
    """The changes that have their numbers, and those that get none."""
    numbered = [change for page in pages for change in page.changes]
    return [*numbered, *(change for each in found for change in each.hidden.values())]
