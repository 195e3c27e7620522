"""Telling stale postings and removing them (storage §5, invariant 3)."""

import asyncio
from collections.abc import Sequence

import orjson

from shared.index.implied_postings import ImpliedPostings
from shared.index.label_rows import posted_labels
from shared.index.study_rows import read_study
from shared.index_schema import keys
from shared.index_schema.keys import StudyPlace
from shared.index_schema.postings import Posting, Postings, is_listed, listed_range
from shared.index_schema.schema import IndexSchema, Schemas
from shared.storage.optimistic import best_effort_commit
from shared.storage.ports import Entity, Kind, RowWrite, TableStore

_COLUMNS = ("live", "attrs")
_READS_IN_FLIGHT = 16
_SINGLE_READS = 8
_MOST = 100


class StalePostings:
    """Removes what nothing implies any more.

    The order matters: postings are read first, then the state that decides, and a posting is removed only if it is
    still as it was read. Whoever implies it anew in between writes it anew.
    """

    def __init__(self, tables: TableStore, schemas: Schemas) -> None:
        self._tables = tables
        self._schemas = schemas

    async def read(self, place: StudyPlace, kind: Kind, row_keys: Sequence[str]) -> list[Entity]:
        """Those of the postings that are there."""
        slots = asyncio.Semaphore(_READS_IN_FLIGHT)

        async def read(row_key: str) -> Entity | None:
            async with slots:
                return await self._tables.get(kind, place.postings, row_key)

        return [entity for entity in await asyncio.gather(*map(read, row_keys)) if entity]

    async def read_changed(self, place: StudyPlace, sort_key: str, row_keys: Sequence[str]) -> list[Entity]:
        """Those of the study- and series-level postings that are there, and all rows of the study in the list of all
        studies: of a row that a fold wrote which then lost its race nobody else knows the key.
        """
        if not row_keys:
            return []
        others = [row_key for row_key in row_keys if not is_listed(row_key)]
        listed, named = await asyncio.gather(
            self._tables.range("idx", place.postings, *listed_range(sort_key)), self.read(place, "idx", others)
        )
        return [*listed, *named]

    async def stale(self, place: StudyPlace, kind: Kind, postings: Sequence[Entity]) -> list[Entity] | None:
        """Those of the postings of one study that nothing implies; None if that cannot be told at present.

        While changes are pending no study- or series-level posting is stale: a fold under way has read the changes, and
        what it posts may be implied by them alone.
        """
        if not postings:
            return []
        return await (self._stale_instances if kind == "idxi" else self._stale)(place, postings)

    async def remove(self, kind: Kind, postings: Sequence[Entity]) -> bool:
        """Remove postings as they were read; False if some have been written since."""
        done = True
        for at in range(0, len(postings), _MOST):
            operations = [
                # rule: a stale posting is removed only as it was read
                RowWrite("delete", posting.partition_key, posting.row_key, etag=posting.etag)
                for posting in postings[at : at + _MOST]
            ]
            done = await best_effort_commit(self._tables, kind, operations) and done
        return done

    # ----------------------------------------------------------------------------------------------------- inside

    async def _stale(self, place: StudyPlace, postings: Sequence[Entity]) -> list[Entity] | None:
        rows = await read_study(self._tables, place)
        sort_key = rows.sort_key
        if not any(Posting.parse(posting).sort_key == sort_key for posting in postings):
            return list(postings)
        # rule: nothing is unposted while changes are pending
        if rows.pending:
            return None
        schema = await self._schemas.current()
        known = ImpliedPostings(schema, place.study_instance_uid, sort_key)
        tally = rows.tally()
        implied = known.allowed(tally) if rows.summary else {}
        implied |= posted_labels(rows, place.study_instance_uid, tally)
        # rule: what the summary implies is not unposted
        return [posting for posting in postings if posting.row_key not in implied]

    async def _stale_instances(self, place: StudyPlace, postings: Sequence[Entity]) -> list[Entity]:
        anchor = await self._tables.get("dicom", place.partition_key, keys.ANCHOR)
        if anchor is None:
            return list(postings)
        if len(postings) <= _SINGLE_READS:
            bounds = [keys.instance_range(*_instance(posting)) for posting in postings]
        else:
            bounds = [keys.INSTANCES]
        found = await asyncio.gather(
            *(self._tables.range("dicom", place.partition_key, *bound, select=_COLUMNS) for bound in bounds)
        )
        live = [row for rows in found for row in rows if row.properties["live"]]
        sort_key, study, schema = str(anchor.properties["sk"]), place.study_instance_uid, await self._schemas.current()
        # rule: the postings of live instances stay
        implied = {key for row in live for key in instance_implies(schema, sort_key, study, row)}
        return [posting for posting in postings if posting.row_key not in implied]


def instance_implies(schema: IndexSchema, sort_key: str, study: str, row: Entity) -> Postings:
    """The postings that the row of a live instance implies."""
    attributes = orjson.loads(str(row.properties["attrs"]))
    return schema.instance_postings(sort_key, study, keys.instance_of(row.row_key), attributes)


def _instance(posting: Entity) -> tuple[str, str]:
    return str(posting.properties["series"]), str(posting.properties["instance"])
