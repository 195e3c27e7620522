"""azure-apis §7.2 The work of an export: instances are copied, a page of the source after the other.

Every step may run twice: a file is overwritten with the same bytes (XPT-26), what is counted is counted with the
position of the source in one checkpoint, and a line of the error log may come again (XPT-24).
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from shared import telemetry
from shared.export.copying import Copied, FileCopies
from shared.export.model import Access, Destination, InstanceSource, SourceOf, SourcePage, error_log
from shared.export.records import ExportRecords
from shared.index.model import StoredInstance
from shared.operations.model import Document, Operation, OperationFailed
from shared.operations.store import Lease
from shared.pacing import Foreground, Pace
from shared.storage.ports import ForeignContainer

NO_MATCH: Final = "The identifier matches nothing that is stored."
_AT_ONCE: Final = 16
"""Files that one export copies side by side."""
_LONGEST_PAUSE: Final = 0.5
"""Seconds between two files beside clients, at most: a page of them must come to its end."""
_DONE: Final = "done"
_ENDED: Final = "ended"
"""How many of the endings are written, in checkpoints behind the last page."""


type CopiesOf = Callable[[Operation, ForeignContainer], Awaitable[FileCopies]]
"""A maker of the copier of an operation."""


@dataclass(frozen=True, slots=True)
class Work:
    """The services that the export of one operation needs."""

    source: InstanceSource
    copies: FileCopies
    container: ForeignContainer
    foreground: Foreground
    """The clients that it makes way for."""


class ExportWork:
    """The work of operations of the type export."""

    def __init__(
        self,
        sources: Mapping[str, SourceOf],
        records: ExportRecords,
        connect: Callable[[Destination], ForeignContainer],
        copies: CopiesOf,
        *,
        foreground: Foreground | None = None,
    ) -> None:
        """`sources`: by the type of the source that a task names; `foreground`: the clients that it makes way for."""
        self._foreground = foreground or Foreground()
        self._sources = sources
        self._records = records
        self._connect = connect
        self._copies = copies
        self._own_copies: dict[str, CopiesOf] = {}

    def add(self, source: str, source_of: SourceOf, copies: CopiesOf) -> None:
        """Export sources of one more type, with copies of their own."""
        self._sources = {**self._sources, source: source_of}
        self._own_copies[source] = copies

    async def __call__(self, lease: Lease) -> Document | None:
        """Do the work to its end. Raises OperationFailed; ContainerRefused and Unavailable, to be tried again."""
        operation = lease.operation
        state = operation.checkpoint
        if not state.get(_DONE):
            telemetry.event("exporting", operation=operation.id)
            container = self._connect(await self._destination(operation))
            try:
                work = Work(
                    self._sources[operation.input["source"]](operation),
                    await self._own_copies.get(operation.input["source"], self._copies)(operation, container),
                    container,
                    self._foreground,
                )
                state = await copy_all(lease, work, state)
            finally:
                await container.close()
        await self._records.forget(operation.id)
        telemetry.event("exported", operation=operation.id, exported=state["exported"], skipped=state["skipped"])
        return results_of(operation, state)

    async def _destination(self, operation: Operation) -> Destination:
        """The destination with its signature, which is nowhere but in the secret store. Raises OperationFailed."""
        url, access = str(operation.input["destination"]), Access(operation.input["access"])
        if access is not Access.SIGNATURE:
            return Destination(url, access)
        signature = await self._records.signature(operation.id)
        if signature is None:
            raise OperationFailed(operation.results)
        return Destination(url, access, signature)


async def copy_all(lease: Lease, work: Work, state: Document) -> Document:
    """Copy what there is from a checkpoint on, then write what is written at the end; the last checkpoint, with the
    numbers of files that are `exported` and `skipped`.
    """
    if _ENDED not in state:
        state = await _copy_pages(lease, work, state)
    endings = work.copies.endings(state["tally"])
    for ended in range(state[_ENDED], len(endings)):
        await endings[ended]()
        # Each is counted alone: an end of many files that is interrupted again and again gets on all the same.
        state = {**state, _ENDED: ended + 1, _DONE: ended + 1 == len(endings)}
        await lease.checkpoint(state, results=results_of(lease.operation, state))
    return state


async def _copy_pages(lease: Lease, work: Work, state: Document) -> Document:
    """Copy page after page, the next one being read meanwhile; the checkpoint behind the last."""
    reading = asyncio.create_task(_read(work.source, state.get("position", {})))
    try:
        while True:
            page = await reading
            if page.following is not None:
                reading = asyncio.create_task(_read(work.source, page.following))
            copied = await _copied(lease, work, page.instances)
            state = await _after_page(lease.operation, work, page, copied, state)
            # A page is counted with the position behind it.
            await lease.checkpoint(state, results=results_of(lease.operation, state))
            if page.following is None:
                return state
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _read(source: InstanceSource, position: Mapping[str, Any]) -> SourcePage:
    return await source.page(position)


async def _copied(lease: Lease, work: Work, instances: Sequence[StoredInstance]) -> list[Copied]:
    """Copy the files of a page side by side; beside clients one after the other, with rests. Whoever is to stop hurries
    to the next checkpoint.
    """
    # Files are copied between accounts, which costs our tables nothing; de-identification works in a thread of its own.
    pace = Pace(_LONGEST_PAUSE, work.foreground, alone=0, beside=0, processor=time.process_time)
    waiting, copied = deque(instances), list[Copied]()
    copying: set[asyncio.Task[Copied]] = set()
    try:
        while waiting or copying:
            at_once = _AT_ONCE if lease.stopping.is_set() else work.foreground.at_once(_AT_ONCE)
            while waiting and len(copying) < at_once:
                copying.add(asyncio.create_task(work.copies.copy(waiting.popleft())))
            done, copying = await asyncio.wait(copying, return_when=asyncio.FIRST_COMPLETED)
            copied += await asyncio.gather(*done)
            if not lease.stopping.is_set():
                await pace.rest()
    finally:
        for task in copying:
            task.cancel()
        await asyncio.gather(*copying, return_exceptions=True)
    return copied


async def _after_page(
    operation: Operation, work: Work, page: SourcePage, copied: Sequence[Copied], before: Document
) -> Document:
    """Write the part of the error log that a page has; what is known behind it."""
    failed = [(each.identifier, each.fault) for each in copied if each.fault]
    faults = [*failed, *((work.copies.named(each), NO_MATCH) for each in page.unknown)]
    if faults:
        await work.container.append(error_log(operation.id), _lines(faults))
    tally = work.copies.tally(before.get("tally", {}), copied)
    last = page.following is None
    return {
        "tally": tally,
        "position": page.following,
        "exported": before.get("exported", 0) + len(copied) - len(failed),
        "skipped": before.get("skipped", 0) + len(faults),
        _DONE: last and not work.copies.endings(tally),
        **({_ENDED: 0} if last else {}),
    }


def _lines(faults: Sequence[tuple[str, str]]) -> bytes:
    """Lines of the error log (XPT-22)."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return b"".join(
        orjson.dumps({"timestamp": now, "identifier": identifier, "error": fault}, option=orjson.OPT_APPEND_NEWLINE)
        for identifier, fault in faults
    )


def first_results(destination: Destination, operation_id: str) -> Document:
    """The results of an export that has not begun."""
    return {"exported": 0, "skipped": 0, "errorHref": destination.error_log(operation_id)}


def results_of(operation: Operation, state: Document) -> Document:
    """The results of an export at a checkpoint."""
    return {**(operation.results or {}), "exported": state["exported"], "skipped": state["skipped"]}
