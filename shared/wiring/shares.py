"""Settings → shares (exchange §1)."""

import time
from functools import partial

from shared.housekeeping import chores
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
    return Part(
        functions=(functions.blueprint(core.boundary, made),),
        chores=(chores.forget_shares(partial(store.forget, core.base.partitions, time.time)),),
    )
