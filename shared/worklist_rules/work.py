"""AIX-2 Rules at work: changes are noted, and a study that has been quiet for long enough gets its workitems.

A study is noted before the cursor moves on, and forgotten after its workitems are made; the UID of a workitem follows
from rule and study. So whatever dies or runs twice, each is made, and made once.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from shared import telemetry
from shared.change_log.follower import FollowedChange, Following
from shared.concurrency import together
from shared.errors import InvalidRequest, TooLarge
from shared.workitems.creation import create
from shared.workitems.store import WorkitemExists, Workitems
from shared.worklist_rules.making import MadeWorkitem, Making
from shared.worklist_rules.rule import WorklistRule
from shared.worklist_rules.store import ChangedStudies, ChangedStudy, RuleStore

FOLLOWING: Final = Following("worklist-rules", "worklist-rules-sweep-failed")
"""From now on: a rule is about what is stored after it was made."""
_PARALLEL: Final = 8
_STUDIES: Final = 2_000
"""Studies that are judged in one run; the others wait for the next."""


@dataclass(frozen=True, slots=True)
class RuleWork:
    """The maker of workitems. `now`: seconds since 1970. Everything raises Unavailable."""

    rules: RuleStore
    studies: ChangedStudies
    making: Making
    workitems: Workitems
    now: Callable[[], float]

    async def note(self, changes: Sequence[FollowedChange]) -> None:
        """Note the studies in which something was stored, where there are rules (a handler of `Follower`)."""
        newest: dict[tuple[str, str], int] = {}
        for each in changes:
            if each.change.operation != "delete":
                key = each.change.namespace, each.change.identifier.study_instance_uid
                newest[key] = max(newest.get(key, 0), each.timestamp // 1000)
        namespaces = sorted({namespace for namespace, _ in newest})
        ruled = {namespace for namespace in namespaces if await self.rules.are_there(namespace)}
        slots = asyncio.Semaphore(_PARALLEL)

        async def one(namespace: str, study: str, changed_ms: int) -> None:
            async with slots:
                await self.studies.mark(namespace, study, changed_ms)

        await together(*(one(*key, at) for key, at in newest.items() if key[0] in ruled))

    async def run(self) -> int:
        """Judge the studies that have become quiet; how many workitems were made."""
        now, rules = self.now(), dict[str, list[WorklistRule]]()
        slots = asyncio.Semaphore(_PARALLEL)
        due: list[tuple[ChangedStudy, list[WorklistRule]]] = []
        async for study in self.studies.all():
            if study.namespace not in rules:
                found = await self.rules.of(study.namespace)
                rules[study.namespace] = [rule for rule in found if rule.enabled]
            known = rules[study.namespace]
            age = now - study.changed_ms / 1000
            ready = [rule for rule in known if study.judged_seconds < rule.quiet_seconds <= age]
            if ready or all(rule.quiet_seconds <= study.judged_seconds for rule in known):
                due.append((study, ready))
            if len(due) == _STUDIES:
                break

        async def one(study: ChangedStudy, ready: Sequence[WorklistRule]) -> int:
            async with slots:
                return await self._judge(study, ready, rules[study.namespace])

        return sum(await together(*(one(*each) for each in due)))

    async def _judge(self, study: ChangedStudy, ready: Sequence[WorklistRule], known: Sequence[WorklistRule]) -> int:
        made = await self.making.of(study.study, ready) if ready else []
        number = 0
        for each in made:
            number += bool(each.series) and await self._create(study.namespace, each)
        judged = max((rule.quiet_seconds for rule in ready), default=study.judged_seconds)
        if all(rule.quiet_seconds <= judged for rule in known):
            await self.studies.forget(study)
        else:
            await self.studies.judged(study, judged)
        return number

    async def _create(self, namespace: str, made: MadeWorkitem) -> bool:
        try:
            await create(self.workitems, namespace, made.uid, made.attributes)
        except WorkitemExists:
            return False
        except (InvalidRequest, TooLarge) as error:  # it would be no other the next time
            telemetry.failure("worklist-rule-made-no-workitem", error)
            return False
        return True
