"""What the storage account holds when all work is done: rows, postings, change feed and files must agree."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from azure.storage.blob.aio import ContainerClient

from shared.change_log.log import ChangeLog
from shared.dicom.identifiers import InstanceIdentifier
from shared.index_schema import blob_names, keys
from shared.index_schema.changes import LoggedChange
from shared.storage.azure_tables import AzureTableStore
from shared.storage.connection import StorageConnection
from tests.integration.crashes.archive import Archive
from tests.unit.index.invariants import StudyFacts, stale_postings, when_all_is_done

SHARDS, SPREAD = 1, 64
"""Of local.settings.sample.json, with which the tests run the service."""
NAMESPACE = keys.DEFAULT_NAMESPACE

_OF_INSTANCES = "iu!"

type Changes = dict[InstanceIdentifier, list[LoggedChange]]


@dataclass(frozen=True, slots=True)
class Stored:
    """The storage behind a service."""

    tables: AzureTableStore
    container: ContainerClient

    @classmethod
    def at(cls, connection_string: str) -> Self:
        """Connects with the first request."""
        connection = StorageConnection.from_connection_string(connection_string)
        return cls(
            AzureTableStore(connection.table_endpoint, connection.credential, spread=SPREAD),
            ContainerClient.from_connection_string(connection_string, "dicom"),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(self.tables.close(), self.container.close())

    async def blobs(self) -> set[str]:
        """The names of all files, and of what lies beside them."""
        return {blob.name async for blob in self.container.list_blobs()}

    async def uncommitted(self) -> list[str]:
        """The names of blobs of which there are staged blocks and nothing else."""
        listed = self.container.list_blobs(include=["uncommittedblobs"])
        return [blob.name async for blob in listed if not blob.size]

    async def changes(self) -> Changes:
        """The change feed, by instance. Fails unless its sequences are dense and its times ascend."""
        pages = await ChangeLog(self.tables).pages(1, 10**9)
        found: Changes = {}
        sequence, timestamp = 1, -1
        for page in pages:
            assert page.first == sequence
            assert page.earliest > timestamp
            sequence, timestamp = page.end, page.timestamp
            for change in page.changes:
                found.setdefault(change.identifier, []).append(change)
        return found

    async def facts(self, studies: Iterable[str]) -> list[StudyFacts]:
        """The rows of studies, and all postings of the store with each of them."""
        postings = {}
        for kind in ("idx", "idxi"):
            rows = await self.tables.range(kind, keys.posting_partition(0, NAMESPACE), "", "\uffff")
            postings |= {row.row_key: row for row in rows}
        places = [keys.study_place(NAMESPACE, study, SHARDS) for study in studies]
        rows = await asyncio.gather(
            *(self.tables.range("dicom", place.partition_key, "", "\uffff") for place in places)
        )
        return [StudyFacts(place, entities, postings) for place, entities in zip(places, rows, strict=True)]

    async def faults(self, studies: Iterable[str]) -> list[str]:
        """What is wrong with the store, whose studies these are. Nothing, when all work is done and erased."""
        facts, blobs = await asyncio.gather(self.facts(studies), self.blobs())
        changes = await self.changes()
        faults = [fault for each in facts for fault in when_all_is_done(each, blobs)]
        faults += [
            f"stale posting {posting.split('!')[0]}" for posting in stale_postings(facts) - _never_born(facts, changes)
        ]
        named = {str(row.properties["blob"]) for each in facts for row in each.live.values()}
        beside = {name for blob in named for name in (blob_names.metadata_blob(blob), blob_names.frames_blob(blob))}
        faults += [
            f"orphan {name.rpartition('.')[2]} file"
            for name in blobs - named - beside
            if not name.startswith(("_partitions/", "_feed/"))
        ]
        for each in facts:
            faults += _differences(each, changes)
        return faults

    async def when_settled(self, archive: Archive, studies: Iterable[str], seconds: float = 180) -> list[str]:
        """Let the chores be done until nothing is wrong any more; what still is."""
        studies = list(studies)
        deadline = time.monotonic() + seconds
        while True:
            await archive.run("housekeeping")
            await asyncio.sleep(1)
            faults = await self.faults(studies)
            if not faults or time.monotonic() > deadline:
                return faults


def _never_born(facts: Iterable[StudyFacts], changes: Changes) -> set[str]:
    """Postings of instances under a sort key that no study has ever had: those of a first store of the study that was
    killed or lost a race after them and before its commit. Every search passes them over; the scrubber is to remove
    them. In a study of which something was deleted they could be others: there they are not excused.
    """
    sort_keys = {each.rows.sort_key for each in facts}
    deleted = {
        identifier.study_instance_uid
        for identifier, entries in changes.items()
        if any(entry.operation == "delete" for entry in entries)
    }
    return {
        key
        for each in facts
        for key, row in each.postings.items()
        if key.startswith(_OF_INSTANCES) and key.split("!")[2] not in sort_keys
        if row.properties["study"] not in deleted
    }


def _differences(facts: StudyFacts, changes: Changes) -> Iterable[str]:
    """Between the change feed of a study, replayed, and its instances."""
    study = facts.place.study_instance_uid
    replayed: dict[tuple[str, str], int] = {}
    for identifier, entries in changes.items():
        if identifier.study_instance_uid != study:
            continue
        instance = (identifier.series_instance_uid, identifier.sop_instance_uid)
        version = 0
        for entry in entries:
            if entry.version <= version:
                yield "versions of an instance do not ascend in the feed"
            version = entry.version
            if entry.operation == "create":
                replayed[instance] = version
            elif replayed.pop(instance, None) is None:
                yield "the feed deletes what is not there"
    live = {instance: row.properties["v"] for instance, row in facts.live.items()}
    if replayed != live:
        yield f"the feed makes {len(replayed)} instances, {len(live)} are there, or their versions differ"
