"""The rows of worklist rules, and of studies that wait until they are quiet (storage §11). Table `worklist`.

`rules` has one row for each rule, `{ns}!{id}`, and one for each data partition, `{ns}!`, whose etag makes changes of
its rules one after the other. `quiet` has a row for each study in which something was stored lately, `{ns}!{study}`.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from shared.errors import Conflict
from shared.index_schema import keys
from shared.storage.large_values import join, split
from shared.storage.optimistic import Rounds, best_effort_commit
from shared.storage.ports import Entity, RowWrite, TableStore
from shared.workitems.rows import TABLE
from shared.worklist_rules.rule import WorklistRule, rule_of

MOST_RULES: Final = 50
"""Of a data partition: each is judged for each study that has become quiet."""
_RULES: Final = "rules"
_QUIET: Final = "quiet"


class RuleStore:
    """The rules of all data partitions. Methods raise Unavailable."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables

    async def get(self, namespace: str, rule_id: str) -> WorklistRule | None:
        """A rule; None if there is none."""
        row = await self._tables.get(TABLE, _RULES, f"{namespace}!{rule_id}")
        return _rule(row) if row else None

    async def of(self, namespace: str) -> list[WorklistRule]:
        """The rules of a data partition, the oldest first."""
        rows = await self._tables.range(TABLE, _RULES, f"{namespace}!", f'{namespace}"')
        return _sorted(rows)

    async def are_there(self, namespace: str) -> bool:
        """Whether a data partition has rules."""
        return bool(await self._row_keys(namespace))

    async def put(self, rule: WorklistRule, *, replace: bool) -> bool:
        """Write a rule; whether that was done. `replace`: only in place of one. Raises Conflict for one
        too many.
        """
        properties = {"created": rule.created_ms, **split("d", orjson.dumps(rule.document))}
        return await self._change(rule.namespace, rule.id, properties, there=replace)

    async def delete(self, namespace: str, rule_id: str) -> bool:
        """Remove a rule; False if there was none."""
        return await self._change(namespace, rule_id, None, there=True)

    async def _change(self, namespace: str, rule_id: str, properties: Mapping[str, Any] | None, *, there: bool) -> bool:
        row_key = f"{namespace}!{rule_id}"
        rounds = Rounds("The worklist rule cannot be written")
        while True:
            attempts = await rounds.next()
            guard = await self._tables.get(TABLE, _RULES, f"{namespace}!")
            present = await self._row_keys(namespace)
            if (row_key in present) != there:
                # Made or removed by an attempt before this one that got no answer; or replaced where there is none.
                return attempts > 0 and not (there and properties)
            if not there and len(present) >= MOST_RULES:
                raise Conflict(
                    f"There are {MOST_RULES} worklist rules, which is the most.",
                    remedy="Delete those that nobody needs.",
                )
            writes = [
                RowWrite("replace" if guard else "insert", _RULES, f"{namespace}!", {}, guard.etag if guard else "*"),
                RowWrite("delete", _RULES, row_key)
                if properties is None
                else RowWrite("upsert", _RULES, row_key, properties),
            ]
            if await best_effort_commit(self._tables, TABLE, writes):
                return True

    async def _row_keys(self, namespace: str) -> set[str]:
        rows = await self._tables.range(TABLE, _RULES, f"{namespace}!", f'{namespace}"', select=("created",))
        return {row.row_key for row in rows if not row.row_key.endswith("!")}


def _sorted(rows: list[Entity]) -> list[WorklistRule]:
    rules = [_rule(row) for row in rows if not row.row_key.endswith("!")]
    return sorted(rules, key=lambda rule: (rule.created_ms, rule.id))


def _rule(row: Entity) -> WorklistRule:
    namespace, _, rule_id = row.row_key.partition("!")
    return rule_of(rule_id, namespace, int(row.properties["created"]), orjson.loads(join("d", row.properties)))


# ------------------------------------------------------------------------------------------------------ quiet studies


@dataclass(frozen=True, slots=True)
class ChangedStudy:
    """A study in which something was stored, and whose rules have not all been judged since."""

    namespace: str
    study: str
    changed_ms: int
    """When something was last stored in it, in milliseconds since 1970."""
    judged_seconds: int
    """The rules that wait no longer than that have been judged since."""
    etag: str = ""

    @property
    def row_key(self) -> str:
        """Of its row."""
        return f"{self.namespace}!{self.study}"


class ChangedStudies:
    """The studies that wait until they are quiet. Methods raise Unavailable."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables

    async def mark(self, namespace: str, study: str, changed_ms: int) -> None:
        """Note a change. One that is older than what is noted changes nothing."""
        rounds = Rounds("The study cannot be noted")
        while True:
            await rounds.next()
            row = await self._tables.get(TABLE, _QUIET, f"{namespace}!{study}")
            if row is not None and int(row.properties["changed"]) >= changed_ms:
                return
            if await self._write(ChangedStudy(namespace, study, changed_ms, -1, row.etag if row else "")):
                return

    async def all(self) -> AsyncIterator[ChangedStudy]:
        """All of them, a page at a time."""
        low: str | None = ""
        while low is not None:
            page = await self._tables.page(TABLE, _QUIET, low, keys.LAST)
            for row in page.entities:
                namespace, _, study = row.row_key.partition("!")
                changed, judged = row.properties["changed"], row.properties["judged"]
                yield ChangedStudy(namespace, study, int(changed), int(judged), row.etag)
            low = page.next_row_key

    async def judged(self, study: ChangedStudy, seconds: int) -> bool:
        """Note that the rules that wait up to `seconds` have been judged, unless the study has changed since it was
        read; whether that was done.
        """
        noted = ChangedStudy(study.namespace, study.study, study.changed_ms, seconds, study.etag)
        return await self._write(noted)

    async def forget(self, study: ChangedStudy) -> bool:
        """Remove a study whose rules have all been judged, unless it has changed since; whether that was done."""
        write = RowWrite("delete", _QUIET, study.row_key, etag=study.etag)
        return await best_effort_commit(self._tables, TABLE, [write])

    async def _write(self, study: ChangedStudy) -> bool:
        verb: Literal["replace", "insert"] = "replace" if study.etag else "insert"
        properties = {"changed": study.changed_ms, "judged": study.judged_seconds}
        return await best_effort_commit(
            self._tables, TABLE, [RowWrite(verb, _QUIET, study.row_key, properties, study.etag or "*")]
        )
