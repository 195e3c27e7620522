"""The core that every part of the app is built from: stores, the index of instances, the log of changes, operations."""

import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared import audit_files, memory_plan, telemetry
from shared.allocator import give_back_freed_memory
from shared.change_feed.publication import PUBLICATION, EventOrigin, Publication
from shared.change_log.follower import Follower
from shared.change_log.high_water import BlobHighWaterMark
from shared.change_log.log import ChangeLog
from shared.change_log.sequencer import Sequencer
from shared.concurrency import SWITCH_SECONDS
from shared.dicomweb.document_rules import DocumentRules
from shared.events.dicom_events import changes_pending
from shared.events.event_grid import EventGridPublisher
from shared.events.publisher import Announcer, CloudEventData
from shared.hints import Hints
from shared.http import azure_functions
from shared.http.authentication import authenticator
from shared.http.boundary import Boundary
from shared.index.covering_rows import CoveringRows
from shared.index.instances import InstanceIndex
from shared.index.lookup import InstanceLookup
from shared.index_schema.clock import HybridClock
from shared.operations.store import Operations
from shared.pacing import Foreground
from shared.settings import Settings
from shared.shares.authentication import ShareAuthenticator
from shared.shares.present import PresentStudies
from shared.shares.store import ShareStore
from shared.storage.connection import quiet_sdk_logs
from shared.storage.identity import Identity
from shared.study_documents.documents import StudyDocuments
from shared.telemetry import AuditLog
from shared.upkeep.cleanup import StudyCleanup
from shared.upkeep.erasure import Erasure
from shared.wiring.stores import Stores, stores


@dataclass(frozen=True, slots=True)
class Feed:
    """The numbering of changes and the publication of their events."""

    log: ChangeLog
    sequencer: Sequencer
    publication: Follower


@dataclass(frozen=True, slots=True)
class Core:
    """One per process."""

    settings: Settings
    identity: Identity
    base: Stores
    boundary: Boundary
    lookup: InstanceLookup
    index: InstanceIndex
    trash: Erasure
    feed: Feed
    operations: Operations
    documents: DocumentRules
    foreground: Foreground
    """The clients that are being served: long-running work makes way for them."""

    def audit(self) -> AuditLog:
        """The audit records of what is done without a request."""
        return AuditLog(
            authority=self.settings.authority,
            audience=self.settings.audiences[0] if self.settings.audiences else "",
            query_values=self.settings.audit_query_values,
        )


def core(settings: Settings) -> Core:
    """The core of the app. Raises Misconfigured."""
    _prepare_process(settings)
    identity = Identity(settings.identity_client_id)
    base = stores(settings, identity)
    events = _events(settings, identity)
    azure_functions.choose(settings)
    announcer = _announcer(settings, base.clock, events)
    index = InstanceIndex(
        base.tables, base.clock, base.schemas, shards=settings.index_shards, on_change=announcer.announce
    )
    trash = trash_of(settings, base)
    foreground = Foreground()
    lookup = InstanceLookup(base.tables, shards=settings.index_shards)
    present = PresentStudies(lookup, time.monotonic)
    bearers = ShareAuthenticator(authenticator(settings), ShareStore(base.tables), present, time.time, time.monotonic)
    return Core(
        settings,
        identity,
        base,
        Boundary(settings, bearers, base.partitions, foreground=foreground),
        lookup,
        index,
        trash,
        _feed(settings, base, trash, events, index.hints),
        Operations(base.tables, base.clock.now),
        DocumentRules(settings.bulk_data_uris, settings.character_set_as_stored),
        foreground,
    )


def feed_of(settings: Settings, identity: Identity, base: Stores) -> Feed:
    """The feed alone, for the preparation of a store. Raises Misconfigured."""
    hints = Hints(base.tables, base.clock, shards=settings.index_shards)
    return _feed(settings, base, trash_of(settings, base), _events(settings, identity), hints)


def trash_of(settings: Settings, base: Stores) -> Erasure:
    """Where files go that are no instance any more."""
    return Erasure(
        base.tables,
        base.clock,
        shards=settings.index_shards,
        retention_hours=settings.deleted_retention_hours,
        marks=base.blobs,
    )


def tell_memory(settings: Settings) -> None:
    """A line in the log if all that the service may take at a time is more than an instance has."""
    needed = memory_plan.needed(settings.http_concurrency, settings.max_request_bytes, settings.transcode_memory_bytes)
    if 0 < settings.instance_memory_mib < needed // memory_plan.MIB:
        telemetry.event("memory-may-not-suffice", level=30, needed_mib=needed // memory_plan.MIB)


# --------------------------------------------------------------------------------------------------------- inside


def _prepare_process(settings: Settings) -> None:
    quiet_sdk_logs()
    telemetry.set_level(settings.telemetry_level)
    if settings.audit_folder:
        audit_files.write_to(settings.audit_folder)
    tell_memory(settings)
    sys.setswitchinterval(SWITCH_SECONDS)
    give_back_freed_memory()
    if settings.telemetry_export != "off":
        # Its packages take a second to import: only where somebody looks at what they send.
        from shared.telemetry_export import export_to_application_insights

        export_to_application_insights(
            settings.application_insights, settings.identity_client_id, sampled=settings.telemetry_sampled
        )


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


def _feed(settings: Settings, base: Stores, trash: Erasure, events: EventGridPublisher | None, hints: Hints) -> Feed:
    log = ChangeLog(base.tables, BlobHighWaterMark(base.blobs))
    lists = CoveringRows(base.tables, base.row.has_study_lists)
    remover = StudyCleanup(base.tables, trash, base.schemas, lists, StudyDocuments(base.blobs))
    sequencer = Sequencer(
        base.tables, base.clock, remover, base.schemas, hints=hints, shards=settings.index_shards, log=log
    )
    publish = None
    if events is not None and settings.image_events:
        origin = EventOrigin(settings.host, settings.events_source or settings.events_topic)
        publish = Publication(events, base.partitions, origin, base.clock.now).publish
    publication = Follower(PUBLICATION, publish, tables=base.tables, log=log, sequencer=sequencer, now=base.clock.now)
    return Feed(log, sequencer, publication)
