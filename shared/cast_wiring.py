"""DICOMcast put together: imported only where it is switched on (dicomcast §5.4)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import get_args
from urllib.parse import urlsplit

import azure.functions as func

from shared.cast import functions as cast
from shared.cast.circuit import Circuit
from shared.cast.dirty_studies import DirtyStudies
from shared.cast.error_records import ErrorRecords
from shared.cast.matching import Matching
from shared.cast.own_studies import OwnStudies
from shared.cast.patient_links import PatientLinks
from shared.cast.ports import CastTable, StudySource
from shared.cast.queueing import Hints, Message
from shared.cast.reconcile import Reconciler
from shared.cast.remote_studies import RemoteStudies
from shared.cast.settings import CastSettings, cast_settings, dicom_settings, fhir_settings
from shared.cast.sweeping import FOLLOWING, Marking, RemoteSweep, SweepRequests
from shared.cast.worker import Worker, Workplace
from shared.change_log.follower import Follower
from shared.change_log.log import ChangeLog
from shared.change_log.sequencer import Sequencer
from shared.fhir.client import FhirClient
from shared.housekeeping.chores import Chore
from shared.index.lookup import InstanceLookup
from shared.outgoing.server import Server
from shared.outgoing.sign_in import token_source
from shared.settings import Settings
from shared.storage.azure_queues import AzureQueueStore
from shared.storage.azure_tables import AzureTableStore
from shared.storage.identity import Identity
from shared.store_wiring import Stores, storage_connection


@dataclass(frozen=True, slots=True)
class CastStores:
    """The tables and the queue."""

    tables: AzureTableStore
    queues: AzureQueueStore

    async def prepare(self) -> None:
        """Create what is missing."""
        await asyncio.gather(
            self.tables.ensure_tables(),
            self.queues.ensure_queue(cast.QUEUE),
            self.queues.ensure_queue(f"{cast.QUEUE}-poison"),
        )

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(self.tables.close(), self.queues.close())


def cast_stores(settings: Settings, identity: Identity) -> CastStores:
    """Those that the settings name. Raises Misconfigured."""
    connection = storage_connection(settings, identity)
    prefix = cast_settings(settings.sections).table_prefix
    tables = AzureTableStore(
        connection.table_endpoint, connection.credential, prefix=prefix, kinds=get_args(CastTable.__value__)
    )
    return CastStores(tables, AzureQueueStore(connection.queue_endpoint, connection.credential))


@dataclass(frozen=True, slots=True)
class Cast:
    """DICOMcast as the app has it."""

    functions: func.Blueprint
    chore: Chore
    changed: Callable[[], Awaitable[None]]
    """Called after a change of this service was logged."""


def build(
    settings: Settings,
    identity: Identity,
    base: Stores,
    lookup: InstanceLookup,
    changes: tuple[ChangeLog, Sequencer],
) -> Cast:
    """Put it together. Raises Misconfigured."""
    sections = settings.sections
    rules = cast_settings(sections)
    stores = cast_stores(settings, identity)
    now = base.clock.now
    fhir_server = fhir_settings(sections)
    fhir = FhirClient(Server(fhir_server, token_source(fhir_server.authentication, identity.credential)))
    studies = DirtyStudies(stores.tables, now)
    hints = Hints(stores.queues, cast.QUEUE, rules.message_seconds)
    marking = Marking(studies, hints, base.partitions, rules)
    dicom = dicom_settings(sections)
    source: StudySource
    if dicom is None:
        source = OwnStudies(lookup, base.blobs, base.partitions, rules)
        log, sequencer = changes
        follower = Follower(FOLLOWING, marking.handle, tables=base.tables, log=log, sequencer=sequencer, now=now)
        sweep: Callable[[], Awaitable[int]] = follower.run
    else:
        server = Server(dicom, token_source(dicom.authentication, identity.credential))
        source = RemoteStudies(server, rules)
        sweep = RemoteSweep(server, stores.tables, marking).run
    links = PatientLinks(stores.tables, now)
    place = Workplace(
        studies,
        ErrorRecords(stores.tables, now),
        Circuit(stores.tables, now),
        hints,
        Reconciler(source, Matching(fhir, links, rules), rules, now=time.time),
        rules,
    )
    worker = Worker(place)
    requests = SweepRequests(stores.tables, hints, rules.settle_seconds, now)

    async def handle(message: Message) -> None:
        if message.key is not None:
            await worker.study(message.key, message.sequence)
        elif message.kind == "probe":
            await worker.probe()
        else:
            await sweep()

    async def timer() -> None:
        await sweep()
        await worker.retry()

    triggered = cast.Triggered(handle, requests.ask, _host(rules))
    return Cast(
        cast.blueprint(triggered, "DicomStorage"),
        Chore("cast_sweep", timer),
        requests.ask,
    )


async def prepare(settings: Settings, identity: Identity) -> None:
    """Create what DICOMcast needs, before the first request is served. Raises Unavailable, DependencyRefused."""
    stores = cast_stores(settings, identity)
    try:
        await stores.prepare()
    finally:
        await stores.close()


def _host(rules: CastSettings) -> str:
    return urlsplit(rules.base).hostname or ""
