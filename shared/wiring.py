"""Settings → adapters → services: the only module that names concrete adapters."""

import asyncio
import sys
import threading
import time
import uuid
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import azure.functions as func

from shared import telemetry
from shared.bulk_import import functions as bulk_import
from shared.bulk_import.transaction import Archive, BulkImport, ImportRules, Inbox
from shared.bulk_update import functions as bulk_update
from shared.bulk_update.transaction import BulkUpdate
from shared.capabilities import functions as capabilities
from shared.cast_administration import functions as cast_administration
from shared.change_feed import functions as change_feed
from shared.change_feed.health import events_in_time
from shared.change_feed.publication import PUBLICATION, EventOrigin, Publication
from shared.change_feed.transaction import ChangeFeedReader
from shared.change_log.follower import Follower
from shared.change_log.log import ChangeLog
from shared.change_log.reader import ChangeFeed
from shared.change_log.sequencer import Sequencer
from shared.concurrency import SWITCH_SECONDS
from shared.delete import functions as delete
from shared.dicomweb.document_rules import DocumentRules
from shared.errors import DependencyRefused, Unavailable
from shared.events.dicom_events import changes_pending
from shared.events.event_grid import EventGridPublisher
from shared.events.publisher import Announcer, CloudEventData
from shared.export_wiring import export
from shared.extended_query_tags import functions as extended_query_tags
from shared.extended_query_tags.transaction import ExtendedQueryTags
from shared.housekeeping import chores
from shared.housekeeping import functions as housekeeping
from shared.housekeeping.chores import Housekeeping
from shared.http import azure_functions
from shared.http.authentication import authenticator
from shared.http.boundary import Boundary
from shared.index.covering_rows import CoveringRows
from shared.index.hints import Hints
from shared.index.instances import InstanceIndex
from shared.index.lookup import InstanceLookup
from shared.index.tag_errors import TagErrors
from shared.index_schema.clock import HybridClock
from shared.index_schema.study_lists import StudyOrder
from shared.ingest import functions as ingest_functions
from shared.ingest.ingest import Ingest
from shared.ingest.ingest_settings import IngestSettings
from shared.operations import functions as operation_functions
from shared.operations.model import OperationType
from shared.operations.runner import Runner, Work
from shared.operations.store import Operations
from shared.pacing import Foreground
from shared.pages import functions as pages
from shared.partitions import functions as partitions
from shared.patient_merge import functions as patient_merge
from shared.patient_merge.transaction import PatientMerge
from shared.retrieve import functions as retrieve
from shared.retrieve.pixel_pool import PixelPool
from shared.retrieve.snapshot import Backend
from shared.search import functions as search
from shared.settings import Settings
from shared.storage.connection import quiet_sdk_logs
from shared.storage.identity import Identity
from shared.store import functions as store
from shared.store_wiring import Stores, import_stores, stores
from shared.study_updates.operation import Update
from shared.study_updates.patients import PatientStudies
from shared.study_updates.study_update import Stores as UpdateStores
from shared.upkeep.cleanup import StudyCleanup
from shared.upkeep.erasure import Erasure
from shared.upkeep.reindex import Reindex, start_reindex
from shared.upkeep.scrubber import Scrubber
from shared.upkeep.study_reindex import StudyReindex
from shared.upkeep.tag_removal import TagRemoval
from shared.workitems.outbox import Outbox
from shared.workitems.store import Workitems
from shared.worklist import functions as worklist
from shared.worklist.request_cancellation.transaction import nobody_listens
from shared.worklist.search.transaction import WorklistSearch

if TYPE_CHECKING:
    from shared import cast_wiring, cohort_wiring

_START_SECONDS = 15.0
"""The longest wait of the start for a store that does not answer: the host gives it two minutes."""


def _bulk_import(
    settings: Settings, identity: Identity, base: Stores, ingest: Ingest, lookup: InstanceLookup
) -> tuple[func.Blueprint, chores.Chore]:
    inbox = import_stores(settings, identity)
    audit = telemetry.AuditLog(
        authority=settings.authority,
        audience=settings.audiences[0] if settings.audiences else "",
        query_values=settings.audit_query_values,
    )
    transaction = BulkImport(
        Inbox(inbox.files, inbox.queues, inbox.places),
        Archive(ingest, lookup, base.blobs, base.partitions),
        ImportRules(settings.data_partitions, settings.max_file_bytes),
        audit=audit,
        now=time.time,
    )
    functions = bulk_import.blueprint(transaction, inbox.places, inbox.connection_setting)
    return functions, chores.sweep_imports(transaction.sweep)


def _events(settings: Settings, identity: Identity) -> EventGridPublisher | None:
    """The topic; None where there is none."""
    if not settings.events_topic:
        return None
    credential = settings.events_topic_key or identity.credential()
    return EventGridPublisher(settings.events_topic, credential, schema=settings.events_schema)


def _announcer(settings: Settings, clock: HybridClock, events: EventGridPublisher | None) -> Announcer:
    def event(places: Sequence[str]) -> CloudEventData:
        now = datetime.fromtimestamp(clock.now(), UTC)
        return changes_pending(settings.events_topic, places, event_id=str(uuid.uuid4()), time=now)

    return Announcer(events, event)


@dataclass(frozen=True, slots=True)
class _Feed:
    """The numbering of changes and the publication of their events."""

    log: ChangeLog
    sequencer: Sequencer
    publication: Follower


def _feed(settings: Settings, base: Stores, trash: Erasure, events: EventGridPublisher | None, hints: Hints) -> _Feed:
    log = ChangeLog(base.tables)
    remover = StudyCleanup(base.tables, trash, base.schemas, CoveringRows(base.tables, base.row.has_study_lists))
    sequencer = Sequencer(
        base.tables, base.clock, remover, base.schemas, hints=hints, shards=settings.index_shards, log=log
    )
    publish = None
    if events is not None and settings.image_events:
        origin = EventOrigin(settings.host, settings.events_source or settings.events_topic)
        publish = Publication(events, base.partitions, origin, base.clock.now).publish
    publication = Follower(PUBLICATION, publish, tables=base.tables, log=log, sequencer=sequencer, now=base.clock.now)
    return _Feed(log, sequencer, publication)


def _trash(settings: Settings, base: Stores) -> Erasure:
    return Erasure(
        base.tables,
        base.clock,
        shards=settings.index_shards,
        retention_hours=settings.deleted_retention_hours,
        marks=base.blobs,
    )


def _cast(
    settings: Settings,
    identity: Identity,
    base: Stores,
    lookup: InstanceLookup,
    changes: tuple[ChangeLog, Sequencer, Operations],
) -> "cast_wiring.Cast | None":
    """DICOMcast; None where it is switched off, which then costs nothing."""
    if not settings.dicomcast:
        return None
    from shared import cast_wiring

    return cast_wiring.build(settings, identity, base, lookup, changes)


def blueprints(settings: Settings) -> list[func.Blueprint]:
    """The functions of the whole app. Raises Misconfigured."""
    quiet_sdk_logs()
    telemetry.set_level(settings.telemetry_level)
    sys.setswitchinterval(SWITCH_SECONDS)
    if settings.telemetry_export != "off":
        # Its packages take a second to import: only where somebody looks at what they send.
        from shared.telemetry_export import export_to_application_insights

        export_to_application_insights(
            settings.application_insights, settings.identity_client_id, sampled=settings.telemetry_sampled
        )
    identity = Identity(settings.identity_client_id)
    base = stores(settings, identity)
    tables, blobs, directory, clock = base.tables, base.blobs, base.partitions, base.clock
    schemas = base.schemas
    events = _events(settings, identity)
    announcer = _announcer(settings, clock, events)

    azure_functions.choose(settings)
    foreground = Foreground()
    boundary = Boundary(settings, authenticator(settings), directory, foreground=foreground)
    lookup = InstanceLookup(tables, shards=settings.index_shards)
    index = InstanceIndex(tables, clock, schemas, shards=settings.index_shards, on_change=announcer.announce)
    rules = IngestSettings(
        max_file_bytes=settings.max_file_bytes,
        clear_preamble=settings.clear_preamble,
        full_item_validation=settings.full_item_validation,
        metadata_inline=settings.metadata_inline,
    )
    trash = _trash(settings, base)
    feed = _feed(settings, base, trash, events, index.hints)

    operations = Operations(tables, clock.now)
    ingest = Ingest(blobs, index, lookup, directory, rules=rules, now=time.time, is_active=operations.is_active)
    scrubber = Scrubber(tables, blobs, clock, directory, ingest.ensure, schemas=schemas, shards=settings.index_shards)
    documents = DocumentRules(settings.bulk_data_uris, settings.character_set_as_stored)
    reader = ChangeFeedReader(
        ChangeFeed(feed.log, feed.sequencer, lookup, clock),
        directory,
        blobs,
        documents,
        data_partitions=settings.data_partitions,
    )
    caster = _cast(settings, identity, base, lookup, (feed.log, feed.sequencer, operations))
    update = Update(
        UpdateStores(blobs, index, lookup),
        directory,
        shards=settings.index_shards,
        metadata_inline=settings.metadata_inline,
        foreground=foreground,
    )
    reindex = Reindex(
        tables,
        schemas,
        directory,
        StudyReindex(tables, blobs, clock, schemas, shards=settings.index_shards),
        Hints(tables, clock, shards=settings.index_shards),
        shards=settings.index_shards,
        foreground=foreground,
    )
    exports = export(
        settings, identity, base.connection, tables=tables, blobs=blobs, lookup=lookup, operations=operations
    )
    workitems = Workitems(tables, clock.now)
    cohort: cohort_wiring.CohortEngine | None = None
    if settings.sections.below("Fhir").text("Endpoint"):
        from shared.cohort_wiring import build

        cohort = build(settings, identity, tables=tables, operations=operations)
    work: dict[OperationType, Work] = {OperationType.REINDEX: reindex, OperationType.EXPORT: exports.work}
    work |= dict.fromkeys((OperationType.UPDATE, OperationType.MERGE, OperationType.MOVE), update)
    if cohort is not None:
        work[OperationType.COHORT] = cohort.work
    due = [
        chores.sweep_changes(feed.sequencer, feed.publication),
        chores.expire_studies(index.expire),
        chores.erase_deleted(partial(trash.erase_due, blobs)),
        chores.run_operations(
            Runner(operations, {**work, **({OperationType.CAST_VERIFY: caster.verifications} if caster else {})}).run,
            partial(start_reindex, operations, schemas),
        ),
        chores.purge_operations(operations.purge),
        chores.sweep_exports(exports.records.sweep),
        *([chores.collect_terms(cohort.terms.collect)] if cohort is not None else []),
        chores.purge_tags(TagRemoval(tables, schemas, directory, clock.now, shards=settings.index_shards).run),
        chores.scrub_store(scrubber.run),
        chores.forget_workitem_events(Outbox(tables), directory, clock.now),
    ]
    due += caster.chores if caster else ()
    imports = [_bulk_import(settings, identity, base, ingest, lookup)] if settings.bulk_import else []
    return [
        store.blueprint(boundary, ingest),
        retrieve.blueprint(
            boundary,
            Backend(lookup, blobs, PixelPool(settings.transcode_memory_bytes, settings.max_transcode_bytes)),
            documents,
            zip_names=settings.zip_names,
        ),
        search.blueprint(
            boundary,
            tables,
            lookup,
            blobs,
            settings.index_shards,
            study_lists=base.row.has_study_lists,
            schemas=schemas,
            character_set_as_stored=documents.character_set_as_stored,
            study_order=StudyOrder(settings.study_order),
        ),
        delete.blueprint(boundary, index),
        partitions.blueprint(boundary, directory),
        capabilities.blueprint(
            boundary,
            settings,
            base.row,
            {
                "files": blobs.ping,
                "index": tables.ping,
                "events": events_in_time(feed.publication),
                **({"fhir": caster.health} if caster else {}),
            },
        ),
        ingest_functions.blueprint(ingest, settings.container),
        change_feed.blueprint(
            boundary,
            reader,
            feed.sequencer,
            feed.publication,
            shards=settings.index_shards,
            also=caster.changed if caster else None,
        ),
        operation_functions.blueprint(boundary, operations),
        bulk_update.blueprint(boundary, BulkUpdate(operations, enabled=settings.asynchronous_operations)),
        patient_merge.blueprint(
            boundary,
            PatientMerge(
                operations,
                PatientStudies(tables, blobs, lookup, shards=settings.index_shards),
                clock.now,
                enabled=settings.asynchronous_operations,
            ),
        ),
        extended_query_tags.blueprint(
            boundary,
            ExtendedQueryTags(
                schemas,
                operations,
                TagErrors(tables),
                directory,
                clock.now,
                most_tags=settings.extended_query_tags,
                operations_enabled=settings.asynchronous_operations,
            ),
        ),
        worklist.blueprint(boundary, workitems, WorklistSearch(tables, workitems, time.monotonic), nobody_listens),
        housekeeping.blueprint(Housekeeping([*due, *(chore for _, chore in imports)], tables, clock.now)),
        *([pages.blueprint(boundary, settings)] if settings.ui else []),
        *(functions for functions, _ in imports),
        *([cohort.blueprint(boundary)] if cohort is not None else []),
        *([exports.blueprint(boundary)] if settings.export and settings.asynchronous_operations else []),
        cast_administration.blueprint(
            boundary, caster.administration if caster else None, caster.verifications if caster else None
        ),
        *((caster.functions,) if caster else ()),
    ]


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
                hints = Hints(base.tables, base.clock, shards=settings.index_shards)
                feed = _feed(settings, base, _trash(settings, base), _events(settings, identity), hints)
                await feed.publication.prepare()
                if settings.dicomcast:
                    from shared import cast_wiring

                    await cast_wiring.prepare(settings, identity)
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
