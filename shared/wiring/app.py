"""All functions of the app, and the preparation of its store."""

import asyncio
import threading
from collections.abc import Coroutine
from functools import partial
from typing import Any

import azure.functions as func

from shared import telemetry
from shared.capabilities import functions as capabilities
from shared.cast_administration import functions as cast_administration
from shared.change_feed import functions as change_feed
from shared.change_feed.health import events_in_time
from shared.change_feed.transaction import ChangeFeedReader
from shared.change_log.reader import ChangeFeed
from shared.errors import DependencyRefused, Unavailable
from shared.housekeeping import chores
from shared.housekeeping import functions as housekeeping
from shared.housekeeping.chores import Housekeeping
from shared.ingest.rebuild import index_is_whole
from shared.operations import functions as operation_functions
from shared.operations.runner import Runner
from shared.pages import functions as pages
from shared.partitions import functions as partitions
from shared.settings import Settings
from shared.storage.identity import Identity
from shared.upkeep.reindex import start_reindex
from shared.wiring.core import Core, core, feed_of
from shared.wiring.exports import Exporting, exports
from shared.wiring.part import Part
from shared.wiring.privacy import privacy
from shared.wiring.rebuild import rebuild
from shared.wiring.shares import shares
from shared.wiring.stores import import_stores, stores
from shared.wiring.studies import imports, ingest, studies
from shared.wiring.updates import tags, updates
from shared.wiring.workitems import workitem_stores
from shared.wiring.worklist import worklist
from shared.wiring.worklist_rules import worklist_rules

_START_SECONDS = 15.0
"""The longest wait of the start for a store that does not answer: the host gives it two minutes."""


def blueprints(settings: Settings) -> list[func.Blueprint]:
    """The functions of the whole app. Raises Misconfigured."""
    parts_of = core(settings)
    taken_in = ingest(parts_of)
    exporting = exports(parts_of)
    stored = workitem_stores(parts_of)
    parts = [
        studies(parts_of, taken_in),
        imports(parts_of, taken_in),
        tags(parts_of),
        updates(parts_of, taken_in),
        rebuild(parts_of),
        exporting.part,
        worklist(parts_of, stored),
        worklist_rules(parts_of, stored.workitems),
        _cast(parts_of),
        *_cohorts(parts_of, exporting),
    ]
    parts.append(shares(parts_of, taken_in, exporting, parts))
    parts.append(_feed(parts_of, parts))
    parts.append(privacy(parts_of, taken_in, parts))
    parts.append(_service(parts_of, parts))
    return [functions for part in parts for functions in part.functions]


def _cast(core: Core) -> Part:
    """DICOMcast; switched off it costs nothing, and its resources say so."""
    if not core.settings.dicomcast:
        return Part(functions=(cast_administration.blueprint(core.boundary, None, None),))
    from shared.wiring.cast import cast

    return cast(core)


def _cohorts(core: Core, exporting: Exporting) -> list[Part]:
    """Cohorts, where there is a FHIR server."""
    if not core.settings.sections.below("Fhir").text("Endpoint"):
        return []
    from shared.wiring.cohorts import cohorts

    return [cohorts(core, exporting)]


def _feed(core: Core, parts: list[Part]) -> Part:
    """The change feed and the events of changes."""
    settings, base, feed = core.settings, core.base, core.feed
    reader = ChangeFeedReader(
        ChangeFeed(feed.log, feed.sequencer, core.lookup, base.clock),
        base.partitions,
        base.blobs,
        core.documents,
        data_partitions=settings.data_partitions,
    )
    also = next((part.changed for part in parts if part.changed), None)
    return Part(
        functions=(
            change_feed.blueprint(
                core.boundary, reader, feed.sequencer, feed.publication, shards=settings.index_shards, also=also
            ),
        ),
        chores=(chores.sweep_changes(feed.sequencer, feed.publication),),
        health={
            "files": base.blobs.ping,
            "index": index_is_whole(base.tables, base.tables.ping),
            "events": events_in_time(feed.publication),
        },
    )


def _service(core: Core, parts: list[Part]) -> Part:
    """The part of the service as a whole: operations, the timer, capabilities and health, partitions, pages."""
    settings, base, boundary = core.settings, core.base, core.boundary
    operations = core.operations
    work = {kind: each for part in parts for kind, each in part.work.items()}
    health = {name: check for part in reversed(parts) for name, check in part.health.items()}
    due = [
        *(chore for part in parts for chore in part.chores),
        chores.run_operations(Runner(operations, work).run, partial(start_reindex, operations, base.schemas)),
        chores.purge_operations(operations.purge),
    ]
    return Part(
        functions=(
            partitions.blueprint(boundary, base.partitions),
            capabilities.blueprint(boundary, settings, base.row, health),
            operation_functions.blueprint(boundary, operations),
            housekeeping.blueprint(Housekeeping(due, base.tables, base.clock.now)),
            *([pages.blueprint(boundary, settings)] if settings.ui else []),
        )
    )


def check_store(settings: Settings) -> None:
    """Create what a new store needs, before the first request is served.

    Raises Misconfigured when settings and stored data contradict each other (PART-8): the app must not start then. A
    store that cannot be reached, or refuses, is not an error here: roles take minutes to be effective in a new
    deployment. Requests will say so until it can. The account of the import keeps nothing else from working.
    """

    async def prepare() -> None:
        identity = Identity(settings.identity_client_id)
        base = stores(settings, identity)
        inbox = import_stores(settings, identity) if settings.bulk_import else None
        try:
            async with asyncio.timeout(_START_SECONDS):
                await base.prepare(data_partitions=settings.data_partitions)
                await feed_of(settings, identity, base).publication.prepare()
                if settings.dicomcast:
                    from shared.wiring import cast

                    await cast.prepare(settings, identity)
                if inbox is not None:
                    await inbox.prepare((await base.row.settings()).store_id)
        except (Unavailable, DependencyRefused, TimeoutError) as error:
            telemetry.failure("store-not-reached-at-start", error)
        finally:
            await base.close()
            if inbox is not None:
                await inbox.close()
            await identity.close()

    _run_aside(prepare())


def _run_aside(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end on a loop of its own: the worker imports the app while its loop is running."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            failures.append(error)

    thread = threading.Thread(target=run, name="check-store")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
