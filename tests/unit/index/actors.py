"""Who acts in a history, and what is checked when it is over."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from unittest.mock import patch

from shared import hints
from shared.change_log.log import FeedPage
from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.errors import DicomServiceError
from shared.index import commit, fold, read_your_writes
from shared.index.instance_rows import original_blob_in
from shared.index_schema import keys
from shared.index_schema.changes import LoggedChange
from shared.registry import schema_registry
from shared.upkeep.reindex import start_reindex
from tests.builders.sequencing import run_cycle
from tests.unit.index.chaos import Crashed
from tests.unit.index.history import HOUR, MOST_AGE_SECONDS, Plan, ServiceProcess, World
from tests.unit.index.invariants import stale_postings, when_all_is_done
from tests.unit.index.virtual_time import now, run, skip_hours, sleep

FAILURES = (Crashed, DicomServiceError)
"""What an actor of a history may meet: then its request stays unanswered. A StorageError must never come through."""


@dataclass
class Reader:
    """A consumer that follows the feed, and one that asks for windows of time."""

    seen: list[tuple[int, int, LoggedChange]] = field(default_factory=list)
    windows: list[tuple[int, int, list[int]]] = field(default_factory=list)
    readings: list[tuple[set[str], int]] = field(default_factory=list)
    """The files that were acknowledged before a reading, and the sequence after the last entry that it could show."""


def run_history(seed: int, plan: Plan | None = None) -> World:
    """Run the history of a seed to its end; its world tells what was violated."""
    plan = Plan.of(seed) if plan is None else plan
    with folding(plan):
        return run(history(World(plan)))


@contextmanager
def folding(plan: Plan) -> Iterator[None]:
    """Folds of the size that the plan has."""
    with (
        patch.object(fold, "FOLDED_AT_ONCE", plan.fold_at_once),
        patch.object(fold, "_LOGGED_AT_ONCE", plan.fold_at_once),
        patch.object(hints, "new_writer", lambda: f"{random.getrandbits(64):016x}"),
        patch.object(uuid, "uuid4", lambda: uuid.UUID(int=random.getrandbits(128), version=4)),
        patch.object(read_your_writes, "_MANY_PENDING", plan.many_pending),
        patch.object(schema_registry, "FRESH_SECONDS", MOST_AGE_SECONDS / 2),
        patch.object(commit, "MOST_AGE_SECONDS", MOST_AGE_SECONDS),
    ):
        yield


async def history(world: World) -> World:
    """Let everybody act, then wait until all is done, and check what is left."""
    plan = world.plan
    await world.begin()
    reader = Reader()
    over = asyncio.Event()
    background = [
        asyncio.create_task(actor)
        for actor in (
            _events(world, over),
            _events(world, over),
            _repeatedly(world, over, lambda process: run_cycle(process.sequencer), 1.0),
            _repeatedly(world, over, lambda process: run_cycle(process.sequencer), 1.0),
            _repeatedly(world, over, _erase, 900.0),
            _repeatedly(world, over, lambda process: process.index.expire(), 20.0),
            _repeatedly(world, over, lambda process: _read(process, reader), 2.0),
            _repeatedly(world, over, lambda process: _catch_up(process, reader), 2.0),
            _repeatedly(world, over, _scrub, 120.0),
            _upgrade(world),
            _repeatedly(world, over, _reindex, 5.0),
        )
    ]
    await asyncio.gather(*(_client(world, reader) for _ in range(plan.clients)))
    world.active = False
    while world.events:
        await sleep(60)
    over.set()
    await asyncio.gather(*background)
    await sleep(10)  # ghosts come late, but they come
    plan.weather.clear_up()
    skip_hours(True)
    await _finish(world)
    skip_hours(False)
    world.note(await _feed_violations(world, reader))
    return world


# ------------------------------------------------------------------------------------------------------------ actors


async def _client(world: World, reader: Reader) -> None:
    process = world.process()
    for _ in range(world.plan.requests):
        await sleep(random.random() * world.plan.pause)
        try:
            await _request(world, process)
            if world.plan.reading and random.random() < world.plan.reading:
                await (_catch_up(process, reader) if random.random() < 0.7 else run_cycle(process.sequencer))
        except FAILURES:
            if not process.process.alive:
                world.crashes += 1
                process = world.process()


async def _request(world: World, process: ServiceProcess) -> None:
    plan = world.plan
    partition = random.choice(world.partitions)

    def any_instance() -> InstanceIdentifier:
        study, series = random.randrange(plan.studies), random.randrange(plan.series)
        return InstanceIdentifier(f"1.{study}", f"2.{study}.{series}", f"3.{random.randrange(plan.instances)}")

    if random.random() < plan.stores:
        entries = [process.upload(partition, any_instance()) for _ in range(random.choice((1, 1, 2, 4)))]
        await process.store(partition, entries)
        return
    if random.random() < plan.updates:
        await process.update(partition, any_instance())
        return
    uid, level = any_instance(), random.random()
    scope = ResourceIdentifier(
        uid.study_instance_uid,
        uid.series_instance_uid if level < 0.8 else None,
        uid.sop_instance_uid if level < 0.6 else None,
    )
    world.deleted += await process.index.delete(partition, scope)


async def _events(world: World, over: asyncio.Event) -> None:
    process = world.process()
    while not over.is_set():
        await sleep(random.random())
        due = [event for event in world.events if event[0] <= now()]
        if not due:
            await sleep(min(_idle(world), 600))
            continue
        event = random.choice(due)
        world.events.remove(event)
        try:
            await process.ensure(event[1])
        except FAILURES:
            world.events.append((now() + random.choice((1, 5)), event[1]))
            process = world.process()


async def _repeatedly(
    world: World, over: asyncio.Event, act: Callable[[ServiceProcess], Awaitable[object]], pause: float
) -> None:
    process = world.process()
    while not over.is_set():
        try:
            await act(process)
        except FAILURES:
            process = world.process()
        await sleep(random.random() * max(pause, min(_idle(world), 3600)))


def _idle(world: World) -> float:
    """Seconds for which nobody needs to look: hours between the last request and the last late event."""
    if world.active or not world.events:
        return 0.0
    return max(0.0, min(world.events)[0] - now() - 60)


async def _erase(process: ServiceProcess) -> None:
    await process.trash.erase_due(process.world.blobs)


async def _upgrade(world: World) -> None:
    """From some time on, processes that begin are of the later release."""
    if world.plan.upgrade:
        await sleep(random.random() * world.plan.pause * world.plan.requests / 4)
        world.upgraded = True


async def _reindex(process: ServiceProcess) -> None:
    if process.world.upgraded:
        await start_reindex(process.operations, process.schemas)
        await process.runner.run()


async def _scrub(process: ServiceProcess) -> None:
    if process.world.plan.scrubbing:
        await process.scrubber.run(limit=1000)


async def _read(process: ServiceProcess, reader: Reader) -> None:
    """As ChangeFeed reads, without the cycle that it runs before."""
    log, violations = process.log, process.world.violations
    sequence = len(reader.seen) + 1
    for number, timestamp, change in _entries(await log.pages(sequence, random.choice((1, 3, 100)))):
        if number < len(reader.seen) + 1:
            continue
        if number > len(reader.seen) + 1:
            violations.append("a gap in the feed")
        if reader.seen and timestamp < reader.seen[-1][1]:
            violations.append("a timestamp of the feed went back")
        reader.seen.append((number, timestamp, change))
    if random.random() < 0.15:
        end = int(now() * 1_000_000)
        start = end - random.choice((10**6, 10**8, 10**10))
        await log.fence(end)
        reader.windows.append((start, end, await _window(process, start, end)))


async def _catch_up(process: ServiceProcess, reader: Reader) -> None:
    """As ChangeFeed does before it reads."""
    acknowledged = set(process.world.acknowledged)
    if await process.sequencer.catch_up(thorough=False):
        reader.readings.append((acknowledged, process.log.end))


async def _window(process: ServiceProcess, start: int, end: int) -> list[int]:
    first = await process.log.first_since(start)
    if first is None:
        return []
    bound = await process.log.first_since(end)
    entries = _entries(await process.log.pages(first, 10**6 if bound is None else bound - first))
    return [number for number, timestamp, _ in entries if start <= timestamp < end]


def _entries(pages: Sequence[FeedPage]) -> list[tuple[int, int, LoggedChange]]:
    """Sequence, timestamp and change of each entry."""
    return [
        (page.first + at, timestamp, change)
        for page in pages
        for at, (timestamp, change) in enumerate(zip(page.timestamps(), page.changes, strict=True))
    ]


# ---------------------------------------------------------------------------------------------------------- the end


async def _finish(world: World) -> None:
    """Let the timers do their work until nothing is left, then days pass."""
    process = world.process()
    process.process.skew = 0.0
    for _ in range(20):
        while not await process.sequencer.catch_up():
            pass
        await sleep(45)
        await _reindex(process)
    if world.plan.upgrade and process.schemas.known.missing:
        world.violations.append("the re-index did not come to its end")
    _check_places(world)
    for _ in range(world.plan.days):
        await sleep(60 * HOUR)
        await process.index.expire()
        while await process.trash.erase_due(world.blobs):
            pass
        for _ in range(6):
            await process.sequencer.catch_up()
            await sleep(150)
    _check_places(world)
    live = [row for row in world.tables.rows("dicom") if row.properties.get("live")]
    used = {str(row.properties["blob"]) for row in live} | {*map(original_blob_in, live)}
    if left := set(world.blobs.names()) - used:
        world.violations.append(f"{len(left)} obsolete files were not erased")
    if world.plan.scrubbing:
        await _scrub_all(world, process)
    rows = [row.row_key for kind in ("hint", "trash") for row in world.tables.rows(kind)]
    rows += [row.row_key for row in world.tables.rows("dicom") if row.properties.get("live") is False]
    if rows:
        world.violations.append(f"rows are left: {rows[:3]}")


async def _scrub_all(world: World, process: ServiceProcess) -> None:
    """Two walks with time between them leave no stale posting; nothing was lost and nothing is found missing."""
    runs = [await process.scrubber.run(limit=10**9)]
    await sleep(1200)
    runs.append(await process.scrubber.run(limit=1))
    if any(run.ingested or run.missing or run.hinted or run.series for run in runs):
        world.violations.append(f"the scrubber had to mend something: {runs}")
    if stale := stale_postings(world.facts(place) for place in world.places()):
        world.violations.append(f"stale postings are left: {sorted(stale)[:3]}")


def _check_places(world: World) -> None:
    for place in world.places():
        world.note(when_all_is_done(world.facts(place), world.blobs.names()))


async def _feed_violations(world: World, reader: Reader) -> Iterator[str]:
    """The feed is dense, holds every committed change once, in order, and tells the stored state."""
    process = world.process()
    process.process.skew = 0.0
    pages = await process.log.pages(1, 10**6)
    log = _entries(pages)
    found: list[str] = []
    if [sequence for sequence, _, _ in log] != list(range(1, len(log) + 1)):
        found.append("the feed is not dense")
    if reader.seen != log[: len(reader.seen)]:
        found.append("a reader has seen another feed")
    if any(after.timestamps()[0] <= before.timestamps()[-1] for before, after in pairwise(pages)):
        found.append("timestamps do not increase from page to page")
    for start, end, window in reader.windows:
        if window != [sequence for sequence, timestamp, _ in log if start <= timestamp < end]:
            found.append("a window of time was not final")

    found += _order_violations(world, reader, log)
    logged = [(change.namespace, change.identifier.study_instance_uid, change.id) for _, _, change in log]
    if len(set(logged)) != len(logged):
        found.append("a change was logged twice")
    partition_keys = {place.partition_key: place for place in world.places()}
    committed = {
        (place.namespace, place.study_instance_uid, change_id)
        for key in world.committed
        for partition_key, change_id in [key.split(" ")]
        for place in [partition_keys[partition_key]]
    }
    if set(logged) != committed:
        found.append(f"{len(committed - set(logged))} changes were not logged, {len(set(logged) - committed)} invented")
    found += _replay_violations(world, [change for _, _, change in log])
    if world.acknowledged - set(world.committed.values()):
        found.append("an acknowledged store was never committed")
    return iter(found)


def _order_violations(world: World, reader: Reader, log: list[tuple[int, int, LoggedChange]]) -> Iterator[str]:
    """Nothing acknowledged before a reading is missing in it, and requests one after the other are in their order."""
    sequences: dict[str, int] = {}
    for sequence, _, change in log:
        place = keys.study_place(change.namespace, change.identifier.study_instance_uid, world.plan.shards)
        blob = world.committed.get(f"{place.partition_key} {change.id}")
        if blob:
            sequences[blob] = sequence
    for acknowledged, end in reader.readings:
        if any(sequences[blob] >= end for blob in acknowledged & sequences.keys()):
            yield "an acknowledged store is missing in a reading"
    begun = 0.0
    for blob in sequences if world.plan.skew == 0 else ():
        if world.answered.get(blob, begun) < begun:
            yield "the feed is not in the order of the requests"
        begun = max(begun, world.begun[blob])


def _replay_violations(world: World, log: list[LoggedChange]) -> Iterator[str]:
    state: dict[tuple[str, InstanceIdentifier], LoggedChange] = {}
    for change in log:
        key = (change.namespace, change.identifier)
        before = state.get(key)
        if before and before.version >= change.version:
            yield "changes of an instance are out of order"
        if change.operation == "delete" and (before is None or before.operation == "delete"):
            yield "a delete of what was not there"
        state[key] = change
    live = {
        (place.namespace, InstanceIdentifier(place.study_instance_uid, *uids)): row.properties["v"]
        for place in world.places()
        for uids, row in world.facts(place).live.items()
    }
    told = {key: change.version for key, change in state.items() if change.operation != "delete"}
    if live != told:
        yield "the feed does not tell the stored state"
