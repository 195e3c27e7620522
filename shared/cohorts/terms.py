"""The dictionary of the site: what its codings say, collected from the FHIR server and kept (NL-2).

Rows of `ops`, partition `terms`: `head`, and the CodeableConcepts in pieces. Only codes and their texts are kept, with
the number of resources that have them: nothing that belongs to one patient.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from shared.cohorts.evaluation.codes import pairs_of, texts_of
from shared.cohorts.gathering.reader import Reader
from shared.cohorts.language.dictionary import CodedText, Dictionary, TermKind
from shared.cohorts.value_sets import ValueSets
from shared.fhir.client import FhirClient, Parameters
from shared.fhir.resources import Resource, elements
from shared.storage.large_values import join, split
from shared.storage.optimistic import best_effort_commit, commit_all
from shared.storage.ports import RowWrite, TableStore, Value

_PARTITION: Final = "terms"
_PIECE: Final = 2000
"""Concepts of one row: about 300 KB."""
_MOST: Final = 200_000
"""Concepts that are kept: a site has thousands; more are free texts."""
_LONGEST: Final = 200
"""Characters of a term."""
_OVERLAP_SECONDS: Final = 120.0
"""The margin for resources that were written before the last collection looked, by another clock."""
_FRESH_SECONDS: Final = 20.0
"""An unknown word leads to a look at what is new at the site, at most so often."""
_LOADED_SECONDS: Final = 300.0
"""How long one process believes what it has loaded."""
_WAIT_SECONDS: Final = 30.0
"""The longest that a question waits for that look."""
_WHOLE_SECONDS: Final = 24 * 3600.0
"""After so long everything is collected anew: what is gone from the site is gone from the dictionary."""

_SOURCES: Final[tuple[tuple[str, TermKind, str], ...]] = (
    ("Condition", TermKind.CONDITION, "code"),
    ("MedicationRequest", TermKind.MEDICATION, "medicationCodeableConcept"),
    ("Medication", TermKind.MEDICATION, "code"),
    ("Procedure", TermKind.PROCEDURE, "code"),
    ("Observation", TermKind.OBSERVATION, "code"),
)

type _Key = tuple[TermKind, frozenset[tuple[str, str]], frozenset[str]]


class Terms:
    """The terms of one site."""

    def __init__(self, client: FhirClient, tables: TableStore, value_sets: ValueSets, now: Callable[[], float]) -> None:
        self._client = client
        self._tables = tables
        self._value_sets = value_sets
        self._now = now
        self._rows: list[CodedText] = []
        self._dictionary: Dictionary | None = None
        self._collected = 0.0
        self._loaded = 0.0
        self._looking = asyncio.Lock()

    async def dictionary(self, *, look: bool = False) -> Dictionary:
        """The dictionary; with `look`, of what is new at the site too. Raises Unavailable, RequestFailed."""
        async with self._looking:
            await self._load()
            stale = self._now() - self._collected > (_FRESH_SECONDS if look else float("inf"))
            if not self._collected or stale:
                async with asyncio.timeout(_WAIT_SECONDS):
                    await self._collect(whole=not self._collected)
            if self._dictionary is None:
                rows, sets = self._rows, self._value_sets
                self._dictionary = await asyncio.to_thread(Dictionary.build, rows, sets)
            return self._dictionary

    async def conditions(self) -> list[CodedText]:
        """The terms in the conditions of the site."""
        await self.dictionary()
        return [each for each in self._rows if each.kind is TermKind.CONDITION]

    async def collect(self) -> int:
        """Collect what is new, once a day everything; the number of concepts. Raises Unavailable, RequestFailed."""
        async with self._looking:
            await self._load()
            head = await self._tables.get("ops", _PARTITION, "head")
            whole = head is None or self._now() - float(head.properties["whole"]) > _WHOLE_SECONDS
            await self._collect(whole=whole)
            return len(self._rows)

    # ------------------------------------------------------------------------------------------------------- inside

    async def _load(self) -> None:
        """Read the collection of other processes, from time to time."""
        if self._collected and self._now() - self._loaded < _LOADED_SECONDS:
            return
        head = await self._tables.get("ops", _PARTITION, "head")
        self._loaded = self._now()
        if head is None or float(head.properties["collected"]) <= self._collected:
            return
        rows: list[CodedText] = []
        generation = str(head.properties["generation"])
        for row in await self._tables.range("ops", _PARTITION, f"{generation}!", f'{generation}"'):
            rows += map(_row, orjson.loads(join("d", row.properties)))
        self._take(rows, float(head.properties["collected"]))

    def _take(self, rows: Sequence[CodedText], collected: float) -> None:
        self._rows, self._collected, self._dictionary = list(rows), collected, None

    async def _collect(self, *, whole: bool) -> None:
        """Read the site, whole or what has changed, and keep what it says."""
        now = self._now()
        since = datetime.fromtimestamp(self._collected - _OVERLAP_SECONDS, UTC).isoformat(timespec="seconds")
        changed: Parameters = () if whole else (("_lastUpdated", f"ge{since.replace('+00:00', 'Z')}"),)
        counted: Counter[_Key] = Counter() if whole else Counter({_key(each): each.count for each in self._rows})
        reader = Reader(self._client)
        for kind, meaning, element in _SOURCES:
            parameters = (*changed, ("_elements", element))
            async for resource in reader.each(kind, parameters):
                _add(counted, meaning, [resource.get(element)])
        async for study in reader.each("ImagingStudy", changed):
            _add(counted, TermKind.BODY_SITE, _sites(study))
        rows = [CodedText(kind, codes, terms, count) for (kind, codes, terms), count in counted.most_common(_MOST)]
        if whole or {_key(each) for each in rows} != {_key(each) for each in self._rows}:
            await self._keep(rows, now, whole=whole)
        self._take(rows, now)

    async def _keep(self, rows: Sequence[CodedText], now: float, *, whole: bool) -> None:
        """Write a new generation, then the head that leads to it, then remove the old one."""
        head = await self._tables.get("ops", _PARTITION, "head")
        before = str(head.properties["generation"]) if head else ""
        since = now if whole or head is None else float(head.properties["whole"])
        generation = f"g{int(now * 1000):015}"
        for number, at in enumerate(range(0, len(rows), _PIECE)):
            data = orjson.dumps([_document(each) for each in rows[at : at + _PIECE]])
            row = RowWrite("upsert", _PARTITION, f"{generation}!{number:06}", split("d", data))
            await commit_all(self._tables, "ops", [row])
        properties: dict[str, Value] = {"generation": generation, "collected": now, "whole": since}
        await commit_all(self._tables, "ops", [RowWrite("upsert", _PARTITION, "head", properties)])
        if before and before != generation:
            for old in await self._tables.range("ops", _PARTITION, f"{before}!", f'{before}"', select=("n",)):
                await best_effort_commit(self._tables, "ops", [RowWrite("delete", _PARTITION, old.row_key)])


def _add(counted: Counter[_Key], kind: TermKind, concepts: Iterable[Any]) -> None:
    for concept in concepts:
        if isinstance(concept, Mapping):
            codes = frozenset(pairs_of(concept))
            terms = frozenset(each for each in texts_of(concept) if 0 < len(each) <= _LONGEST)
            if codes and terms:
                counted[kind, codes, terms] += 1


def _sites(study: Resource) -> Iterable[Resource]:
    for series in elements(study, "series"):
        site = series.get("bodySite")
        if isinstance(site, Mapping):
            yield {"coding": [site]}


def _key(row: CodedText) -> _Key:
    return row.kind, row.codes, row.terms


def _document(row: CodedText) -> dict[str, Any]:
    return {"k": row.kind.value, "c": sorted(row.codes), "t": sorted(row.terms), "n": row.count}


def _row(document: Mapping[str, Any]) -> CodedText:
    codes = frozenset((system, code) for system, code in document["c"])
    return CodedText(TermKind(document["k"]), codes, frozenset(document["t"]), int(document["n"]))
