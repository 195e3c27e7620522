"""azure-apis §7.1 The sources of exports: identifiers that a request lists, and all of a data partition.

A position names the next identifier or study, and a row inside it, so that a study of any size takes bounded memory.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.export.model import Position, SourcePage
from shared.export.records import ExportRecords
from shared.export.request import resource_of
from shared.index.lookup import InstanceLookup
from shared.index.model import StoredInstance
from shared.index_schema import keys
from shared.index_schema.postings import ALL, after, seek, sort_key_of, value_range
from shared.operations.model import Operation
from shared.storage.ports import TableStore

_INSTANCES: Final = 256
"""Rows of one request for the instances of a study or series: some hundred KB."""
_ENOUGH: Final = 128
"""Instances after which a page begins no further resource."""
_BYTES: Final = 2 * 1024**3
"""Of the files of a page, unless the first one has more: an export must come to its next checkpoint in minutes."""
_RESOURCES: Final = 8
"""Studies and series that are read side by side."""
_STUDIES: Final = 64
"""Rows of the list of all studies in a page."""


@dataclass(frozen=True, slots=True)
class _Found:
    """The instances of some resources: of all of them, or of the first ones and a part of the next."""

    instances: Sequence[StoredInstance]
    empty: Sequence[int]
    """The places, among the resources, of those that hold nothing."""
    done: int
    """The number of resources that are finished."""
    row: str = ""
    """Where the next one goes on; '' at its beginning."""
    some: bool = False
    """Whether something of the next one has been found."""


class IdentifierSource:
    """The studies, series and instances that a request lists."""

    def __init__(self, records: ExportRecords, lookup: InstanceLookup, operation: Operation) -> None:
        self._records = records
        self._lookup = lookup
        self._operation_id = operation.id
        self._namespace = str(operation.input["namespace"])
        self._rows: tuple[int, list[str] | None] = (-1, None)
        """The row of identifiers that was read last."""

    async def page(self, position: Position) -> SourcePage:
        """Instances behind a position: `list`, the row of identifiers; `at`, the identifier in it; `row` and `some`."""
        number, at = int(position.get("list", 0)), int(position.get("at", 0))
        listed = await self._list(number)
        if listed is None:
            return SourcePage((), (), None)
        resources = [_known(each) for each in listed[at:]]
        if members := _leading_instances(resources):
            found = await self._instances(members)
        else:
            ahead = next((place for place, each in enumerate(resources) if each.sop_instance_uid), len(resources))
            found = await _read(
                self._lookup,
                self._namespace,
                resources[:ahead],
                str(position.get("row", "")),
                some=bool(position.get("some")),
            )
        unknown = [listed[at + place] for place in found.empty]
        at += found.done
        following = {"list": number, "at": at, "row": found.row, "some": found.some}
        return SourcePage(found.instances, unknown, following if at < len(listed) else {"list": number + 1})

    async def _instances(self, members: Sequence[InstanceIdentifier]) -> _Found:
        found = await self._lookup.instances_in(self._namespace, members, metadata=False)
        instances: dict[InstanceIdentifier, StoredInstance] = {}
        empty: list[int] = []
        total = 0
        for place, member in enumerate(members):
            instance = found.get(member)
            if instance is None:
                empty.append(place)
                continue
            total += instance.length
            if instances and total > _BYTES:
                return _Found(list(instances.values()), empty, place)
            instances[member] = instance
        return _Found(list(instances.values()), empty, len(members))

    async def _list(self, number: int) -> list[str] | None:
        if self._rows[0] != number:
            self._rows = number, await self._records.identifiers(self._operation_id, number)
        return self._rows[1]


class PartitionSource:
    """All that a data partition held when the export began, and has not been deleted since.

    Studies are read off the list of all studies, newest first, shard by shard. What is stored meanwhile may be in it or
    not.
    """

    def __init__(self, tables: TableStore, lookup: InstanceLookup, operation: Operation, *, shards: int) -> None:
        self._tables = tables
        self._lookup = lookup
        self._namespace = str(operation.input["namespace"])
        self._shards = shards

    async def page(self, position: Position) -> SourcePage:
        """Instances behind a position: `shard`; `listed`, a key of the list; `study`, one begun, and its `row`."""
        shard, listed, row = (
            int(position.get("shard", 0)),
            str(position.get("listed", "")),
            str(position.get("row", "")),
        )
        if shard >= self._shards:
            return SourcePage((), (), None)
        start, end = value_range(ALL, "")
        page = await self._tables.page(
            "idx",
            keys.posting_partition(shard, self._namespace),
            listed or start,
            end,
            top=2 if row else _STUDIES,  # a study that has been begun may have two rows
            select=("study",),
        )
        if not page.entities and page.next_row_key is not None:
            return SourcePage((), (), {**position, "listed": page.next_row_key})
        # While its attributes change a study has two rows, side by side.
        studies = {str(each.properties["study"]): sort_key_of(each.row_key) for each in page.entities}
        names = list(studies)[: 1 if row else _STUDIES]
        if names[:1] != [position.get("study")]:
            row = ""  # the study that had been begun is gone
        found = await _read(self._lookup, self._namespace, [ResourceIdentifier(each) for each in names], row)
        if found.done < len(names):
            begun = names[found.done]
            following = seek(ALL, "", studies[begun])
            place = {"shard": shard, "listed": following, "study": begun, "row": found.row}
            return SourcePage(found.instances, (), place)
        if page.next_row_key is None and len(names) == len(studies):
            return SourcePage(found.instances, (), {"shard": shard + 1})
        following = seek(ALL, "", after(studies[names[-1]])) if names else page.next_row_key or ""
        return SourcePage(found.instances, (), {"shard": shard, "listed": following})


# ----------------------------------------------------------------------------------------------------------- together


async def _read(
    lookup: InstanceLookup, namespace: str, resources: Sequence[ResourceIdentifier], row: str, *, some: bool = False
) -> _Found:
    """The instances of some resources, a few of these side by side, the first one from `row` on.

    `some`: something of the first one was found before.
    """
    instances: list[StoredInstance] = []
    empty: list[int] = []
    total = done = 0
    while done < len(resources) and len(instances) < _ENOUGH:
        group = resources[done : done + _RESOURCES]
        starts = ["" if done else row, *[""] * len(group)]
        pages = await asyncio.gather(
            *(lookup.page(namespace, each, start, top=_INSTANCES) for each, start in zip(group, starts, strict=False))
        )
        for found, following in pages:
            some = some and done == 0
            for instance in found:
                total += instance.length
                if instances and total > _BYTES:
                    uids = instance.identifier
                    start = keys.instance_row(uids.series_instance_uid, uids.sop_instance_uid)
                    return _Found(instances, empty, done, start, some)
                instances.append(instance)
                some = True
            if following:
                return _Found(instances, empty, done, following, some)
            if not some:
                empty.append(done)
            done += 1
    return _Found(instances, empty, done)


def _leading_instances(resources: Sequence[ResourceIdentifier]) -> list[InstanceIdentifier]:
    """The instances that stand in front of the first study or series."""
    members: list[InstanceIdentifier] = []
    for each in resources:
        if each.series_instance_uid is None or each.sop_instance_uid is None:
            break
        members.append(InstanceIdentifier(each.study_instance_uid, each.series_instance_uid, each.sop_instance_uid))
    return members


def _known(identifier: str) -> ResourceIdentifier:
    resource = resource_of(identifier)
    if resource is None:
        raise ValueError("An identifier was kept that is none")
    return resource
