"""Settings → the Worklist Service (PS3.18 §11)."""

import time

from shared.housekeeping import chores
from shared.wiring.core import Core
from shared.wiring.part import Part
from shared.workitems.outbox import Outbox
from shared.workitems.retention import Retention
from shared.workitems.store import Workitems
from shared.worklist import functions
from shared.worklist.request_cancellation.transaction import nobody_listens
from shared.worklist.search.transaction import WorklistSearch


def worklist(core: Core) -> Part:
    """Workitems, and what is to be told of them."""
    tables, now = core.base.tables, core.base.clock.now
    workitems = Workitems(tables, now)
    search = WorklistSearch(tables, workitems, time.monotonic)
    due = [chores.forget_workitem_events(Outbox(tables), core.base.partitions, now)]
    if days := core.settings.workitem_retention_days:
        due.append(chores.remove_workitems(Retention(tables, workitems, days), core.base.partitions))
    return Part(
        functions=(functions.blueprint(core.boundary, workitems, search, nobody_listens),),
        chores=due,
    )
