"""Settings → what is done for one patient's rights: erasure and access report (data-safety §6)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from shared.access_report import functions as access_report
from shared.access_report.transaction import AccessReports
from shared.bulk_import.leftovers import ImportLeftovers
from shared.bulk_import.transaction import Inbox
from shared.ingest.ingest import Ingest
from shared.ingest.rebuild import is_rebuilding
from shared.operations.model import Document, OperationType
from shared.operations.store import RETENTION
from shared.patient_erasure import functions
from shared.patient_erasure.operations import PatientOperations
from shared.patient_erasure.study import Stores
from shared.patient_erasure.task import ErasureTask
from shared.patient_erasure.traces import Erase, Subject
from shared.patient_erasure.transaction import OPERATION, ErasureRequests, Patients
from shared.patient_erasure.trash import PatientTrash
from shared.patient_erasure.work import PatientErasure
from shared.patient_erasure.workitems import PatientWorkitems
from shared.registry.patient_hashes import PatientHashes
from shared.settings import Settings
from shared.storage.identity import Identity
from shared.storage.ports import TableStore
from shared.study_updates.patients import PatientStudies
from shared.wiring.core import Core
from shared.wiring.part import Part
from shared.wiring.stores import import_stores
from shared.workitems.store import Workitems

_ELSEWHERE: Final = (
    {"what": "Copies of exports in accounts of others.", "until": "their owners erase them"},
    {"what": "Audit records and logs: UIDs and a keyed hash.", "until": "the end of their retention"},
    {"what": "Event reports of workitems to subscribers: UIDs, states, free text.", "until": "an hour later"},
    {"what": "Entries of the change feed: UIDs.", "until": "the index is made anew"},
)
"""Places that no erasure here reaches."""


def privacy(core: Core, ingest: Ingest, parts: Sequence[Part]) -> Part:
    """Patient erasure, access reports. `parts`: the areas that may keep something of studies. Raises Misconfigured."""
    settings, tables, blobs = core.settings, core.base.tables, core.base.blobs
    audit, shards = core.audit(), settings.index_shards
    workitems = PatientWorkitems(tables, Workitems(tables, core.base.clock.now))
    traces: list[Erase] = [
        PatientTrash(core.trash, blobs).erase,
        workitems.erase,
        PatientOperations(core.operations).erase,
        _of_cohorts(tables),
        *(part.erase for part in parts if part.erase),
    ]
    if settings.bulk_import:
        traces.append(_of_imports(settings, core.identity))

    def ended(task: ErasureTask, studies: Sequence[str], results: Document) -> None:
        details = {"patient": task.hash, "studies": list(studies), "results": dict(results)}
        audit.detail(OPERATION, "", {}, event="erased", **details)

    patients = Patients(PatientStudies(tables, blobs, core.lookup, shards=shards), workitems, PatientHashes(tables))
    requests = ErasureRequests(
        core.operations,
        patients,
        audit,
        two_persons=settings.erasure_two_persons and settings.authentication != "off",
        rebuilding=partial(is_rebuilding, tables),
        enabled=settings.asynchronous_operations,
    )
    stores = Stores(tables, blobs, core.index, core.lookup, ingest.ensure, core.feed.sequencer.catch_up)
    work = PatientErasure(
        stores,
        core.base.partitions,
        traces,
        shards=shards,
        remaining=lambda: _remaining(settings, core.base.clock.now()),
        ended=ended,
    )
    folder = Path(settings.audit_folder) if settings.audit_folder else None
    reports = AccessReports(patients.studies, patients.hashes, folder)
    return Part(
        functions=(functions.blueprint(core.boundary, requests), access_report.blueprint(core.boundary, reports)),
        work={OperationType.ERASE: work},
    )


def _of_cohorts(tables: TableStore) -> Erase:
    """Manifests outlive the setting that switches cohorts on."""

    async def erase(subject: Subject) -> dict[str, Any]:
        from shared.cohorts.erasure import forget_studies
        from shared.cohorts.store import CohortStore

        cohorts, studies = CohortStore(tables), set(subject.studies)
        return {"cohortEntriesChanged": await forget_studies(cohorts, subject.partition.name, studies)}

    return erase


def _of_imports(settings: Settings, identity: Identity) -> Erase:
    stores = import_stores(settings, identity)
    inbox = Inbox(stores.files, stores.queues, stores.places)
    leftovers = ImportLeftovers(inbox, stores.errors, data_partitions=settings.data_partitions)
    return lambda subject: leftovers.erase(subject.partition.name, subject.patient.fits)


def _remaining(settings: Settings, now: float) -> list[dict[str, str]]:
    """The data that are still there after an erasure, and until when."""
    time = datetime.fromtimestamp(now, UTC)
    kept = time + timedelta(days=settings.account_retention_days)
    account = {
        "what": "Deleted blobs and versions of them that the storage account keeps.",
        "until": f"{kept:%Y-%m-%d}" if settings.account_retention_days else "as the account is set",
    }
    patient = {
        "what": "The Patient on the FHIR server, also if it was created for these studies.",
        "until": "the owner of the server erases it",
    }
    operations = {"what": "Ids of operations and their results: UIDs.", "until": f"{time + RETENTION:%Y-%m-%d}"}
    return [account, operations, *([patient] if settings.dicomcast else []), *_ELSEWHERE]
