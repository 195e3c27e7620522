"""AIX-2 What is done with worklist rules."""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from shared.worklist_rules.making import MadeWorkitem, Making
from shared.worklist_rules.request import DryRun, unknown_rule
from shared.worklist_rules.rule import WorklistRule, rule_of
from shared.worklist_rules.store import RuleStore


class WorklistRules:
    """One per process. Everything raises Unavailable."""

    def __init__(
        self, rules: RuleStore, making: Making, prepare: Callable[[], Awaitable[None]], now: Callable[[], float]
    ) -> None:
        """`prepare`: sees to it that every change from now on is followed; `now`: seconds since 1970."""
        self._rules = rules
        self._making = making
        self._prepare = prepare
        self._now = now

    async def add(self, namespace: str, document: Mapping[str, Any]) -> WorklistRule:
        """Make a rule. Raises Conflict."""
        await self._prepare()
        rule = rule_of(uuid.uuid4().hex, namespace, int(self._now() * 1000), document)
        await self._rules.put(rule, replace=False)
        return rule

    async def all(self, namespace: str) -> list[WorklistRule]:
        """The rules of a data partition, the oldest first."""
        return await self._rules.of(namespace)

    async def get(self, namespace: str, rule_id: str) -> WorklistRule:
        """A rule. Raises NotFound."""
        rule = await self._rules.get(namespace, rule_id)
        if rule is None:
            raise unknown_rule()
        return rule

    async def replace(self, namespace: str, rule_id: str, document: Mapping[str, Any]) -> WorklistRule:
        """Replace a rule by another one of the same id and age. Raises NotFound."""
        present = await self.get(namespace, rule_id)
        rule = rule_of(rule_id, namespace, present.created_ms, document)
        if not await self._rules.put(rule, replace=True):
            raise unknown_rule()
        return rule

    async def delete(self, namespace: str, rule_id: str) -> None:
        """Remove a rule. What it has made stays. Raises NotFound."""
        if not await self._rules.delete(namespace, rule_id):
            raise unknown_rule()

    async def dry_run(self, namespace: str, asked: DryRun) -> Sequence[tuple[str, MadeWorkitem | None]]:
        """The workitems that a rule would make of studies, whenever stored; None for a study that is not there."""
        rule = rule_of(uuid.uuid4().hex, namespace, 0, asked.rule)
        return [(study, await self._made(study, rule)) for study in asked.studies]

    async def _made(self, study: str, rule: WorklistRule) -> MadeWorkitem | None:
        made = await self._making.of(study, [rule], only_new=False)
        return made[0] if made else None
