"""Settings → worklist rules (worklist §13)."""

from shared.change_log.follower import Follower
from shared.housekeeping import chores
from shared.wiring.core import Core
from shared.wiring.part import Part
from shared.workitems.store import Workitems
from shared.worklist_rules import functions
from shared.worklist_rules.making import Making
from shared.worklist_rules.store import ChangedStudies, RuleStore
from shared.worklist_rules.transaction import WorklistRules
from shared.worklist_rules.work import FOLLOWING, RuleWork


def worklist_rules(core: Core, workitems: Workitems) -> Part:
    """The part that makes workitems of what is stored."""
    tables, now = core.base.tables, core.base.clock.now
    rules = RuleStore(tables)
    making = Making(core.lookup, core.base.blobs, core.settings.index_shards, now)
    work = RuleWork(rules, ChangedStudies(tables), making, workitems, now)
    feed = core.feed
    follower = Follower(FOLLOWING, work.note, tables=tables, log=feed.log, sequencer=feed.sequencer, now=now)
    return Part(
        functions=(functions.blueprint(core.boundary, WorklistRules(rules, making, follower.prepare, now)),),
        chores=(chores.make_workitems(follower.run, work.run),),
    )
