"""Cohorts as they are stored: rows of `ops` (cohorts §8.5).

`cohorts` has one row for each cohort. `cohort!{id}` has the candidates (`c!{patient}`), the entries of members
(`m!{patient}`) and of the indeterminate (`i!{patient}`): keyed by patient, so that a step that runs twice changes
nothing, and in the order of the manifest. An entry that is too large for a row goes on in `m!{patient}!{number}`.
"""

import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import batched
from typing import Any, Final

import orjson

from shared.index_schema import keys
from shared.storage.large_values import join, split
from shared.storage.optimistic import Rounds, best_effort_commit, commit_all
from shared.storage.ports import Entity, RowWrite, TableStore

type Document = Mapping[str, Any]

_COHORTS: Final = "cohorts"
_ROW_BYTES: Final = 500_000
"""Bytes of one row: half of what a row may have."""
_TOGETHER: Final = 100
_PAGE: Final = 200
MEMBER: Final = "m"
INDETERMINATE: Final = "i"
_CANDIDATE: Final = "c"


class CohortStore:
    """The rows of cohorts. Methods raise Unavailable."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables

    async def keep(self, cohort_id: str, document: Document) -> None:
        """Write what is known of a cohort as a whole, in place of what was."""
        row = RowWrite("upsert", _COHORTS, cohort_id, split("d", orjson.dumps(document)))
        await commit_all(self._tables, "ops", [row])

    async def get(self, cohort_id: str) -> dict[str, Any] | None:
        """The record of a cohort; None if there is none."""
        row = await self._tables.get("ops", _COHORTS, cohort_id)
        return _document(row) if row else None

    async def all(self) -> list[dict[str, Any]]:
        """The records of all cohorts, the newest first."""
        rows = await self._tables.range("ops", _COHORTS, "", keys.LAST)
        return sorted(map(_document, rows), key=lambda each: (each["createdAt"], each["id"]), reverse=True)

    async def delete(self, cohort_id: str) -> bool:
        """Remove a cohort, its own row last; False if there was none."""
        rounds = Rounds("The rows of a cohort cannot be removed")
        there = await self._tables.get("ops", _COHORTS, cohort_id) is not None
        while entities := (await self._tables.page("ops", _of(cohort_id), "", keys.LAST, select=("n",))).entities:
            await rounds.next()
            for some in batched(entities, _TOGETHER, strict=False):
                gone = [RowWrite("delete", _of(cohort_id), each.row_key) for each in some]
                await best_effort_commit(self._tables, "ops", gone)
        await best_effort_commit(self._tables, "ops", [RowWrite("delete", _COHORTS, cohort_id)])
        return there

    async def add_candidates(self, cohort_id: str, ids: Iterable[str]) -> None:
        """Note patients who may be members."""
        rows = [RowWrite("upsert", _of(cohort_id), f"{_CANDIDATE}!{each}") for each in dict.fromkeys(ids)]
        await commit_all(self._tables, "ops", rows)

    async def candidates(self, cohort_id: str, after: str) -> list[str]:
        """The next candidates behind one, in the order of their ids; empty at the end."""
        low = f"{_CANDIDATE}!{after}\0" if after else f"{_CANDIDATE}!"
        while True:
            page = await self._tables.page("ops", _of(cohort_id), low, f'{_CANDIDATE}"', top=_PAGE)
            if page.entities or page.next_row_key is None:
                return [each.row_key[2:] for each in page.entities]
            low = page.next_row_key

    async def add_entries(self, cohort_id: str, kind: str, entries: Mapping[str, Document]) -> None:
        """Write entries by patient."""
        for patient, entry in entries.items():
            data = orjson.dumps(entry)
            pieces = [data[at : at + _ROW_BYTES] for at in range(0, len(data), _ROW_BYTES)]
            for number, piece in reversed(list(enumerate(pieces))):
                key = f"{kind}!{patient}" + (f"!{number:04}" if number else "")
                row = RowWrite("upsert", _of(cohort_id), key, {"more": len(pieces) - 1, **split("d", piece)})
                await commit_all(self._tables, "ops", [row])

    async def replace_entry(self, cohort_id: str, kind: str, patient: str, entry: Document) -> None:
        """Write a shorter entry in place of what there is of a patient, in one transaction."""
        key, partition = f"{kind}!{patient}", _of(cohort_id)
        data = orjson.dumps(entry)
        pieces = [data[at : at + _ROW_BYTES] for at in range(0, len(data), _ROW_BYTES)]
        keys_of_pieces = [key, *(f"{key}!{number:04}" for number in range(1, len(pieces)))]
        present = await self._tables.range("ops", partition, key, f'{key}"', select=("more",))
        writes = [
            RowWrite("upsert", partition, row_key, {"more": len(pieces) - 1, **split("d", piece)})
            for row_key, piece in zip(keys_of_pieces, pieces, strict=True)
        ]
        gone = [each.row_key for each in present if each.row_key not in keys_of_pieces]
        await commit_all(self._tables, "ops", [*writes, *(RowWrite("delete", partition, each) for each in gone)])

    async def member(self, cohort_id: str, patient: str, *, following: bool) -> dict[str, Any] | None:
        """The entry of a member, or `following`, of the next one behind it ('': the first); None if there is none."""
        low, high = f"{MEMBER}!{patient}", f'{MEMBER}"'
        low = f'{low}"' if following and patient else low
        while True:
            page = await self._tables.page("ops", _of(cohort_id), low, high, top=1)
            if page.entities or page.next_row_key is None:
                break
            low = page.next_row_key
        if not page.entities:
            return None
        first = page.entities[0]
        rest = [f"{first.row_key}!{number:04}" for number in range(1, int(first.properties["more"]) + 1)]
        others = [await self._tables.get("ops", _of(cohort_id), each) for each in rest]
        pieces = [join("d", each.properties) for each in (first, *others) if each is not None]
        found: dict[str, Any] = orjson.loads(b"".join(pieces))
        return found

    async def entries(self, cohort_id: str, kind: str) -> AsyncIterator[dict[str, Any]]:
        """The entries of a kind, by patient, a page at a time."""
        low, high = f"{kind}!", f'{kind}"'
        pending: list[Entity] = []
        while True:
            page = await self._tables.page("ops", _of(cohort_id), low, high, top=_PAGE)
            pending += page.entities
            while pending and len(pending) > int(pending[0].properties["more"]):
                count = int(pending[0].properties["more"]) + 1
                yield orjson.loads(b"".join(join("d", each.properties) for each in pending[:count]))
                del pending[:count]
            if page.next_row_key is None:
                return
            low = page.next_row_key


def new_key() -> str:
    """The key of one cohort's pseudonyms."""
    return secrets.token_hex(32)


def _document(row: Entity) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(join("d", row.properties))
    return found


def _of(cohort_id: str) -> str:
    return f"cohort!{cohort_id}"
