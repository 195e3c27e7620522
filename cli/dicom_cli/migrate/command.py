"""The work of `dicom migrate`: an archive moves to the service; the source is never changed (exchange §6)."""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

from dicom_cli.configuration import configured
from dicom_cli.migrate.destination import Destination
from dicom_cli.migrate.dicomweb_source import DicomwebSource
from dicom_cli.migrate.feed_source import Change, FeedPosition, FeedSource
from dicom_cli.migrate.folder_source import FolderSource
from dicom_cli.migrate.labels import Labelled, move_labels
from dicom_cli.migrate.limits import MOST_WORKERS, Limits, Throttle
from dicom_cli.migrate.model import FAULTS, Entry, State
from dicom_cli.migrate.report import Report
from dicom_cli.migrate.run import Migration
from dicom_cli.migrate.source_service import SourceService
from dicom_cli.migrate.spool import SpooledFile
from dicom_cli.migrate.state import MigrationState
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.output import Bar, Output
from dicom_cli.service import Service

_SAMPLES: Final = 8
"""Instances whose sizes and times a dry run measures."""
_NOTE: Final = "feed"


def migrate(arguments: argparse.Namespace, service: Service, output: Output) -> ExitCode:
    """Do what is asked. Raises CommandFailed."""
    if arguments.to:
        options = {each: getattr(arguments, each) for each in ("url", "partition", "scope", "token_command")}
        service = Service(configured({**options, "url": arguments.to}, arguments.profile))
    throttle = _throttle(arguments)
    pairs = list(_pairs(arguments, service))
    tags = [] if arguments.dry_run or arguments.compare else _move_tags(pairs[0], output)
    code = ExitCode.DONE
    for pair in pairs:
        code = max(code, _migrate(pair, arguments, throttle, output, tags))
    return code


@dataclass(frozen=True, slots=True)
class _Pair:
    """A source, and where it goes. `service` None: a folder."""

    source: DicomwebSource | FolderSource
    service: SourceService | None
    destination: Destination


@dataclass(frozen=True, slots=True)
class _Following:
    """The way in which a change feed is followed."""

    partition: str
    interval: float
    output: Output
    deletes: bool
    """Whether deletes are repeated, too."""


def _throttle(arguments: argparse.Namespace) -> Throttle:
    if not 1 <= arguments.concurrency <= MOST_WORKERS:
        raise CommandFailed(f"--concurrency is from 1 to {MOST_WORKERS}.", ExitCode.WRONG_USE)
    limits = Limits(arguments.concurrency, arguments.bytes_per_second, arguments.requests_per_second)
    try:
        return Throttle(limits.changed({"hours": arguments.hours}), arguments.limits)
    except ValueError:
        raise CommandFailed("--hours is as 22-6.", ExitCode.WRONG_USE) from None


def _pairs(arguments: argparse.Namespace, service: Service) -> Iterator[_Pair]:
    if "://" not in arguments.source:
        folder = Path(arguments.source).expanduser()
        if not folder.is_dir():
            raise CommandFailed(f"{folder} is no folder, and no URL.", ExitCode.WRONG_USE)
        if arguments.follow or arguments.all_partitions:
            raise CommandFailed("A folder has no change feed and no data partitions.", ExitCode.WRONG_USE)
        yield _Pair(FolderSource(folder), None, Destination(service))
        return

    def source(partition: str) -> SourceService:
        return SourceService(
            arguments.source,
            partition=partition,
            token_command=arguments.source_token_command,
            scope=arguments.source_scope,
        )

    if not arguments.all_partitions:
        found = source(arguments.source_partition)
        yield _Pair(DicomwebSource(found), found, Destination(service))
        return
    told = source("").ask("GET", "/partitions").json() or []
    for name in (str(each["partitionName"]) for each in told):
        beside = Service(configured({"url": service.url, "partition": name}), tokens=service.tokens)
        found = source(name)
        yield _Pair(DicomwebSource(found), found, Destination(beside))


def _move_tags(pair: _Pair, output: Output) -> list[str]:
    """Extended query tags, before anything is stored, so that stores index them (MIG-8)."""
    if pair.service is None or not pair.service.version:
        return []
    try:
        found = pair.service.ask("GET", "/extendedquerytags", query={"limit": "200"}).json() or []
    except CommandFailed as failure:
        if failure.code in (ExitCode.NOT_REACHABLE, ExitCode.NOT_ALLOWED):
            raise
        return []
    added = pair.destination.add_tags(found)
    for each in added:
        output.say(f"extended query tag added: {each}")
    return added


def _migrate(
    pair: _Pair, arguments: argparse.Namespace, throttle: Throttle, output: Output, tags: list[str]
) -> ExitCode:
    begun = monotonic()
    state = MigrationState.of(arguments.state, pair.source.name, pair.destination.name, restart=arguments.restart)
    with tempfile.TemporaryDirectory(prefix="dicom-migrate-") as folder:
        migration = Migration(
            pair.source, pair.destination, state, throttle, Path(folder), verifies=arguments.verify == "full"
        )
        try:
            feed = FeedSource(pair.service) if arguments.follow and pair.service else None
            if feed is not None and not state.note(_NOTE):
                state.set_note(_NOTE, feed.latest().text)  # before the studies are listed: nothing falls between
            _discover(pair, state, output)
            if arguments.dry_run:
                return _estimate(pair, state, throttle, Path(folder), output)
            if arguments.compare:
                state.again(*State)
            elif arguments.again:
                state.again(*FAULTS)
            total = sum(state.counts().get(each, 0) for each in (State.FOUND, State.SENT))
            bar = Bar(total, "instances")
            (migration.compare if arguments.compare else migration.move)(bar.step)
            bar.close()
            others = _counted(pair, state, settles=arguments.verify == "count" and not arguments.compare)
            labelled = _move_labels(pair, state, throttle, arguments)
            if feed is not None:
                deletes, place = arguments.apply_deletes, arguments.source_partition
                _follow(feed, migration, pair, state, _Following(place, arguments.interval, output, deletes=deletes))
                labelled = _move_labels(pair, state, throttle, arguments)  # the feed does not tell them
            report = Report.of(state, pair.source.name, pair.destination.name, monotonic() - begun)
            report.other_counts, report.tags, report.labelled = others, tags, labelled
            report.tells_undated = not isinstance(pair.source, DicomwebSource) or pair.source.tells_undated
            if arguments.report:
                report.write(arguments.report)
            output.item(report.document(), "\n".join(report.lines()))
            return report.code
        finally:
            state.close()


def _move_labels(pair: _Pair, state: MigrationState, throttle: Throttle, arguments: argparse.Namespace) -> Labelled:
    if pair.service is None or arguments.compare:
        return Labelled()
    return move_labels(pair.service, pair.destination, state.by_study(), throttle)


def _discover(pair: _Pair, state: MigrationState, output: Output) -> None:
    """Note every instance that the source has."""
    if isinstance(pair.source, FolderSource):
        for _ in pair.source.entries(state):
            pass
        return
    for number, study in enumerate(pair.source.studies(), 1):
        state.add(pair.source.instances(study))
        if number % 1000 == 0:
            output.say(f"{number:,} studies listed")


def _estimate(pair: _Pair, state: MigrationState, throttle: Throttle, folder: Path, output: Output) -> ExitCode:
    """Print the extent of a move and its cost, estimated by a few instances (MIG-10)."""
    studies, instances, _ = state.totals()
    file, lengths = SpooledFile(folder / "sample.part"), list[int]()
    waiting = list(state.undone())
    begun = monotonic()
    for entry in waiting[:: max(1, len(waiting) // _SAMPLES)][:_SAMPLES]:
        pair.source.fetch(entry, file)
        lengths.append(file.length)
    each = (monotonic() - begun) / max(1, len(lengths))
    length = sum(lengths) / max(1, len(lengths)) * len(waiting)
    seconds = each * len(waiting) * 3 / throttle.limits.concurrency  # fetched, stored, read again
    told = {
        "studies": studies,
        "instances": instances,
        "toMove": len(waiting),
        "estimatedBytes": round(length),
        "estimatedSeconds": round(seconds),
        "passedOver": len(state.passed_over()),
    }
    text = (
        f"{studies:,} studies, {instances:,} instances, {len(waiting):,} of them to move: about {length / 1e6:,.1f} MB"
    )
    output.item(told, f"{text} in {seconds:,.0f} s.")
    return ExitCode.DONE


def _counted(pair: _Pair, state: MigrationState, *, settles: bool) -> list[dict[str, Any]]:
    """The studies that have another number of instances at the destination. `settles`: what was stored into the others
    has arrived by that.
    """
    others = []
    for study, count in state.by_study().items():
        there = pair.destination.count(study)
        if there < count:
            others.append({"study": study, "source": count, "destination": there})
    if settles:
        lacking = {each["study"] for each in others}
        for entry in list(state.undone()):
            if entry.state is State.SENT and entry.place.study not in lacking:
                state.put(replace(entry, state=State.EQUAL))
    return others


def _follow(feed: FeedSource, migration: Migration, pair: _Pair, state: MigrationState, how: _Following) -> None:
    """Repeat what the feed tells, until interrupted."""
    how.output.say("Following the change feed; Ctrl-C ends it.")
    try:
        while True:
            repeated, lag = 0, 0.0
            for change in feed.after(FeedPosition.of(state.note(_NOTE))):
                if not (change.partition and how.partition) or change.partition == how.partition:
                    _repeat(change, migration, pair, state, deletes=how.deletes)
                state.set_note(_NOTE, FeedPosition(change.sequence, change.time).text)
                repeated, lag = repeated + 1, change.age
            how.output.say(f"{repeated:,} changes repeated; {lag:,.0f} s behind" if repeated else "nothing new")
            sleep(how.interval)
    except KeyboardInterrupt:
        how.output.say("Ended.")


def _repeat(change: Change, migration: Migration, pair: _Pair, state: MigrationState, *, deletes: bool) -> None:
    entry = Entry(change.place)
    if change.action == "delete":
        if deletes:
            pair.destination.delete(entry)
            state.put(replace(state.get(change.place) or entry, state=State.DELETED))
        return
    if change.action == "update":
        migration.update(entry)
    elif (known := state.get(change.place)) is None or known.state is State.DELETED:
        state.put(entry)
    migration.move(lambda: None)
