"""Settings → shares (exchange §1)."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from shared.housekeeping import chores
from shared.ingest.ingest import Ingest
from shared.operations.model import OperationType
from shared.patient_erasure.traces import Subject
from shared.shares import functions
from shared.shares.copies import Copies, CopyStores
from shared.shares.copying import CopyWork
from shared.shares.store import ShareStore
from shared.shares.transaction import Shares
from shared.wiring.core import Core
from shared.wiring.exports import Exporting
from shared.wiring.part import Part


def shares(core: Core, taken_in: Ingest, exporting: Exporting, parts: list[Part]) -> Part:
    """Links that open studies to whoever has them. `parts`: those that come before."""
    store = ShareStore(core.base.tables)
    studies = next((part.cohort_studies for part in parts if part.cohort_studies), None)
    clinical = next((part.clinical_data for part in parts if part.clinical_data), None)
    stores = CopyStores(
        core.base.tables, core.base.blobs, core.index, core.lookup, exporting.records, core.operations, store
    )
    copies = Copies(stores, time.time)
    made = Shares(
        store,
        core.lookup,
        time.time,
        cohort_studies=studies,
        clinical_data=clinical,
        copies=copies if core.settings.asynchronous_operations else None,
    )

    async def erase(subject: Subject) -> Mapping[str, Any]:
        namespace = subject.partition.namespace
        await copies.forget_studies(namespace, subject.studies)  # while the shares still tell which copies are theirs
        return {"sharesChanged": await store.forget_studies(namespace, subject.studies)}

    return Part(
        erase=erase,
        functions=(functions.blueprint(core.boundary, made),),
        chores=(
            chores.forget_shares(partial(store.forget, core.base.partitions, time.time)),
            chores.remove_copies(copies.sweep),
        ),
        work={
            OperationType.SHARE: CopyWork(
                exporting.files, exporting.records, store, taken_in, foreground=core.foreground
            )
        },
    )
