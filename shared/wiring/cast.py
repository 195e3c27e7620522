"""DICOMcast put together: imported only where it is switched on (dicomcast §5.4)."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import get_args
from urllib.parse import urlsplit

from shared.cast import functions
from shared.cast.backfill import Backfill
from shared.cast.checkpoints import Checkpoints
from shared.cast.circuit import Circuit
from shared.cast.dirty_studies import DirtyStudies, StudyKey
from shared.cast.erasure import CastErasure
from shared.cast.error_records import ErrorRecords
from shared.cast.health import fhir_is_served
from shared.cast.matching import Matching
from shared.cast.own_studies import OwnStudies
from shared.cast.patient_links import PatientLinks
from shared.cast.ports import StudySource
from shared.cast.queueing import Hints, Message
from shared.cast.reconcile import Reconciler
from shared.cast.remote_studies import RemoteStudies
from shared.cast.remote_sweep import RemoteSweep, counts_rows
from shared.cast.settings import cast_settings, dicom_settings, fhir_settings
from shared.cast.study_lists import own_studies, remote_studies
from shared.cast.sweeping import FOLLOWING, Marking, SweepRequests
from shared.cast.verification import Verification
from shared.cast.worker import Worker, Workplace
from shared.cast_administration import functions as cast_administration
from shared.cast_administration.transaction import Administration, Places
from shared.cast_administration.verifications import Verifications
from shared.change_log.follower import Follower
from shared.fhir.client import FhirClient
from shared.housekeeping.chores import Chore
from shared.operations.model import OperationType
from shared.outgoing.server import Server
from shared.outgoing.sign_in import token_source
from shared.patient_erasure.traces import Erase
from shared.settings import Settings
from shared.storage.azure_queues import AzureQueueStore
from shared.storage.azure_tables import AzureTableStore
from shared.storage.connection import StorageConnection
from shared.storage.identity import Identity
from shared.storage.ports import CastTable
from shared.wiring.core import Core
from shared.wiring.part import Part
from shared.wiring.stores import create_tables, storage_connection

_WEEK = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class CastStores:
    """The tables and the queue."""

    connection: StorageConnection
    tables: AzureTableStore
    queues: AzureQueueStore

    async def prepare(self) -> None:
        """Create what is missing."""
        await asyncio.gather(
            create_tables(self.tables, self.connection),
            self.queues.ensure_queue(functions.QUEUE),
            self.queues.ensure_queue(f"{functions.QUEUE}-poison"),
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
    return CastStores(connection, tables, AzureQueueStore(connection.queue_endpoint, connection.credential))


def cast(core: Core) -> Part:
    """DICOMcast, and its administration. Raises Misconfigured."""
    settings, identity, base = core.settings, core.identity, core.base
    sections = settings.sections
    rules = cast_settings(sections)
    stores = cast_stores(settings, identity)
    now = base.clock.now
    fhir_server = fhir_settings(sections)
    tokens = token_source(fhir_server.authentication, identity.credential)
    fhir = FhirClient(Server(fhir_server, tokens))
    studies = DirtyStudies(stores.tables, now)
    hints = Hints(stores.queues, functions.QUEUE, rules.message_seconds)
    marking = Marking(studies, hints, base.partitions, rules)
    dicom = dicom_settings(sections)
    source: StudySource
    if dicom is None:
        source = OwnStudies(core.lookup, base.blobs, base.partitions, rules)
        follower = Follower(
            FOLLOWING, marking.handle, tables=base.tables, log=core.feed.log, sequencer=core.feed.sequencer, now=now
        )
        sweep: Callable[[], Awaitable[int]] = follower.run
        position, lag = follower.position, follower.lag

        async def reset(sequence: int) -> None:
            await follower.reset(sequence + 1)

        listed: Callable[[], AsyncIterator[StudyKey]] = partial(
            own_studies, base.tables, base.partitions, rules, settings.index_shards
        )
    else:
        server = Server(dicom, token_source(dicom.authentication, identity.credential))
        source = RemoteStudies(server, rules)
        remote = RemoteSweep(server, Checkpoints(stores.tables, now), marking, rows=counts_rows(dicom.endpoint))
        sweep, position, lag, reset = remote.run, remote.position, remote.lag, remote.reset
        listed = partial(remote_studies, server, rules)
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
    verification = Verification(listed, source, place.reconciler.matching, studies, rules)
    verifications = Verifications(core.operations, stores.tables, verification)
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

    async def weekly() -> None:
        await verifications.start(f"{rules.base}/cast/verify", repair=False)

    administration = Administration(place, Places(source, position, lag, reset, tokens.token))
    messages = functions.blueprint(handle, "DicomStorage")
    if dicom is not None:
        functions.add_events(messages, requests.ask, hosts(rules.base, dicom.endpoint))
    return Part(
        functions=(
            messages,
            cast_administration.blueprint(core.boundary, administration, verifications),
        ),
        chores=(Chore("sweep_cast", timer), Chore("verify_cast", weekly, _WEEK)),
        work={OperationType.CAST_VERIFY: verifications, OperationType.CAST_BACKFILL: Backfill(listed, studies)},
        health={"fhir": fhir_is_served(place.circuit, verifications.differences)},
        changed=requests.ask,
        erase=_erase(CastErasure(studies, place.errors, links, rules)),
    )


def _erase(erasure: CastErasure) -> Erase:
    return lambda subject: erasure.erase(subject.partition.name, subject.studies, subject.patient)


def hosts(*addresses: str) -> frozenset[str]:
    """The names by which a service may call itself in its events: with a port and without (CAST-EV-2)."""
    parts = [urlsplit(address) for address in addresses]
    return frozenset(name.lower() for each in parts for name in (each.netloc, each.hostname) if name)


async def prepare(settings: Settings, identity: Identity) -> None:
    """Create what DICOMcast needs, before the first request is served. Raises Unavailable, DependencyRefused."""
    stores = cast_stores(settings, identity)
    try:
        await stores.prepare()
    finally:
        await stores.close()
