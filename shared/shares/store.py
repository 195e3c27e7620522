"""Shares as they are stored: rows of `ops`, one for each share, in a partition `shares!{namespace}` for each data
partition. Of a token there is the SHA-256 alone (SHR-1).
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from itertools import batched
from typing import Any, Final

import orjson

from shared.dicomweb.partitions import PartitionDirectory
from shared.index_schema import keys
from shared.shares.model import Extent, Share, namespace_of
from shared.storage.large_values import join, split
from shared.storage.optimistic import Rounds, best_effort_commit, commit_all
from shared.storage.ports import Entity, RowWrite, TableStore

_KEPT_SECONDS: Final = 30 * 86_400
"""The time for which a share that has expired is still listed."""
_TOGETHER: Final = 100


class ShareStore:
    """The rows of shares. Methods raise Unavailable."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables

    async def add(self, share: Share) -> None:
        """Write a new share."""
        row = RowWrite("upsert", _of(share.namespace), share.id, _properties(share))
        await commit_all(self._tables, "ops", [row])

    async def get(self, share_id: str) -> "StoredShare | None":
        """A share; None if there is none."""
        row = await self._tables.get("ops", _of(namespace_of(share_id)), share_id)
        return StoredShare(row) if row else None

    async def all(self, namespace: str) -> list[Share]:
        """The shares of a data partition, newest first."""
        rows = await self._tables.range("ops", _of(namespace), "", keys.LAST)
        return sorted(map(_share, rows), key=lambda each: (each.created, each.id), reverse=True)

    async def count(self, namespace: str) -> int:
        """The number of these."""
        return len(await self._tables.range("ops", _of(namespace), "", keys.LAST, select=("uses",)))

    async def remove(self, share_id: str) -> bool:
        """Remove a share; False if there was none."""
        partition = _of(namespace_of(share_id))
        there = await self._tables.get("ops", partition, share_id) is not None
        while await self._tables.get("ops", partition, share_id) is not None:
            await best_effort_commit(self._tables, "ops", [RowWrite("delete", partition, share_id)])
        return there

    async def note_use(self, stored: "StoredShare", uses: int, now: float) -> bool:
        """Count uses of a share as it was read; False if it has changed meanwhile. What was removed stays removed."""
        row = stored.row
        changed = {"uses": stored.share.uses + uses, "last_use": now}
        write = RowWrite("merge", row.partition_key, row.row_key, changed, row.etag)
        return await best_effort_commit(self._tables, "ops", [write])

    async def forget_studies(self, namespace: str, studies: Collection[str]) -> int:
        """Take studies that are erased out of the shares of a data partition, and remove the shares that had no others;
        how many were changed (PHI-1). Idempotent.
        """
        changed = 0
        for share in await self.all(namespace):
            if share.studies is None or not set(share.studies) & set(studies):
                continue
            await self._without(share.id, studies)
            changed += 1
        return changed

    async def end_with(self, namespace: str, study: str) -> int:
        """End the shares that name a study, which becomes that of another patient (MRG-6); how many. Idempotent."""
        ended = [each.id for each in await self.all(namespace) if study in (each.studies or ())]
        for share_id in ended:
            await self.remove(share_id)
        return len(ended)

    async def complete(self, share_id: str) -> bool:
        """Note that all copies of a share have been made; False if it has ended. Idempotent."""
        rounds = Rounds("A share changes too fast")
        while (stored := await self.get(share_id)) is not None:
            await rounds.next()
            row = stored.row
            write = RowWrite("merge", row.partition_key, row.row_key, {"complete": True}, row.etag)
            if stored.share.complete or await best_effort_commit(self._tables, "ops", [write]):
                return True
        return False

    async def _without(self, share_id: str, studies: Collection[str]) -> None:
        rounds = Rounds("A share changes too fast")
        while (stored := await self.get(share_id)) is not None:
            await rounds.next()
            share, row = stored.share, stored.row
            left = tuple(each for each in share.studies or () if each not in studies)
            if left == share.studies:
                return
            if left:
                copies = tuple(
                    copy for copy, each in zip(share.copies, share.studies or (), strict=False) if each in left
                )
                changed = _properties(replace(share, studies=left, copies=copies))
                write = RowWrite("replace", *_key(share), changed, row.etag)
            else:
                write = RowWrite("delete", *_key(share), etag=row.etag)
            await best_effort_commit(self._tables, "ops", [write])

    async def forget(self, directory: PartitionDirectory, now: Callable[[], float]) -> int:
        """Remove the shares that expired long ago; how many. Idempotent."""
        forgotten = 0
        for partition in await directory.partitions():
            name = _of(partition.namespace)
            rows = await self._tables.range("ops", name, "", keys.LAST, select=("expires",))
            old = [each for each in rows if float(each.properties["expires"]) + _KEPT_SECONDS < now()]
            for some in batched(old, _TOGETHER, strict=False):
                await best_effort_commit(self._tables, "ops", [RowWrite("delete", name, each.row_key) for each in some])
            forgotten += len(old)
        return forgotten


class StoredShare:
    """A share with the row that it was read from."""

    def __init__(self, row: Entity) -> None:
        self.row = row
        self.share = _share(row)


def _key(share: Share) -> tuple[str, str]:
    return _of(share.namespace), share.id


def _of(namespace: str) -> str:
    return f"shares!{namespace}"


def _properties(share: Share) -> dict[str, Any]:
    document = {
        "partition": share.partition,
        "studies": share.studies,
        "series": share.series,
        "cohort": share.cohort,
        "label": share.label,
        "recipient": share.recipient,
        "downloads": share.downloads,
        "clinical": share.clinical.value,
        "copies": share.copies,
        "operation": share.operation,
    }
    return {
        "digest": share.digest,
        "created": share.created,
        "expires": share.expires,
        "uses": share.uses,
        "last_use": share.last_use,
        "complete": share.complete,
        **split("d", orjson.dumps(document)),
    }


def _share(row: Entity) -> Share:
    given = row.properties
    document = orjson.loads(join("d", given))
    digest = given["digest"]
    return Share(
        id=row.row_key,
        digest=digest if isinstance(digest, bytes) else b"",
        partition=document["partition"],
        created=float(given["created"]),
        expires=float(given["expires"]),
        studies=None if document["studies"] is None else tuple(document["studies"]),
        series=tuple(document["series"]),
        cohort=document["cohort"],
        label=document["label"],
        recipient=document["recipient"],
        downloads=document["downloads"],
        clinical=Extent(document["clinical"]),
        copies=tuple(document.get("copies", ())),
        operation=document.get("operation", ""),
        complete=bool(given.get("complete", True)),
        uses=int(given["uses"]),
        last_use=float(given["last_use"]),
    )
