"""Settings → shares (exchange §1)."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from shared.housekeeping import chores
from shared.registry.data_partitions import namespace_of
from shared.shares import functions
from shared.shares.store import ShareStore
from shared.shares.transaction import Shares
from shared.wiring.core import Core
from shared.wiring.part import Part


def shares(core: Core, parts: list[Part]) -> Part:
    """Links that open studies to whoever has them. `parts`: those that come before."""
    store = ShareStore(core.base.tables)
    studies = next((part.cohort_studies for part in parts if part.cohort_studies), None)
    clinical = next((part.clinical_data for part in parts if part.clinical_data), None)
    made = Shares(store, core.lookup, time.time, cohort_studies=studies, clinical_data=clinical)

    async def erase(partition: str, studies: Sequence[str]) -> Mapping[str, Any]:
        return {"sharesChanged": await store.forget_studies(namespace_of(partition), studies)}

    return Part(
        erase=erase,
        functions=(functions.blueprint(core.boundary, made),),
        chores=(chores.forget_shares(partial(store.forget, core.base.partitions, time.time)),),
    )
