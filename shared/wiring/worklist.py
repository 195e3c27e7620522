"""Settings → the Worklist Service (PS3.18 §11)."""

import time

from shared.housekeeping import chores
from shared.wiring.core import Core
from shared.wiring.part import Part
from shared.wiring.workitems import WorkitemStores
from shared.workitems.retention import Retention
from shared.worklist import functions
from shared.worklist.request_cancellation.transaction import nobody_listens
from shared.worklist.search.transaction import WorklistSearch
from shared.worklist.subscribe import functions as subscribe


def worklist(core: Core, stores: WorkitemStores) -> Part:
    """Workitems, and what is to be told of them."""
    tables, directory, now = core.base.tables, core.base.partitions, core.base.clock.now
    workitems, reporting = stores.workitems, stores.reporting
    search = WorklistSearch(tables, workitems, time.monotonic)
    is_reachable = stores.subscriptions.hears if reporting else nobody_listens
    answering = [functions.blueprint(core.boundary, workitems, search, is_reachable)]
    due = [chores.forget_workitem_events(stores.outbox, directory, now)]
    if days := core.settings.workitem_retention_days:
        retention = Retention(tables, workitems, days, stores.subscriptions.is_locked)
        due.append(chores.remove_workitems(retention, directory))
    if reporting:
        source = subscribe.EventSource(core.settings.notifications_endpoint, core.settings.notifications_key)
        answering.append(subscribe.blueprint(core.boundary, reporting.subscribing, source))
        due.append(chores.send_event_reports(reporting.dispatch.sweep, directory))
        due.append(chores.clear_event_reports(reporting.clearing.run, directory))
    return Part(functions=answering, chores=due)
