"""An archive in memory: instances in one line, committed through the real index, and searched."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import orjson

from shared.dicom.dictionary import tag_of, vr_of
from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.dicomweb.partitions import Partition
from shared.dicomweb.query_parameters import parse_query
from shared.dicomweb.urls import Urls
from shared.dicomweb.versions import ApiVersion
from shared.http.messages import Response
from shared.index.documents import move_to_blobs
from shared.index.model import CommitOutcome, NewInstance
from shared.index_schema import blob_names
from shared.index_schema.schema import Schemas
from shared.index_search.limits import DEFAULT_LIMITS, SearchLimits
from shared.memory_budget import Lease, MemoryBudget
from shared.search.request import SearchQuery, parse_search
from shared.search.response import render
from shared.search.transaction import SearchPage, SearchPorts, search
from tests.builders.http import DEFAULT_PARTITION, context
from tests.builders.service import Process
from tests.fakes.blobs import MemoryBlobStore
from tests.fakes.tables import MemoryTableStore

SMALL_LIMITS = SearchLimits(
    few=2, sorted_rows=30, smallest_page=2, largest_page=4, distinct_values=3, wasted_reads=5, verified_skips=3
)
"""Limits under which a few studies are many, so that all ways of searching are gone."""

URLS = Urls("https://dicom.example", "v2", None)
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"


def element(keyword: str, value: Any) -> tuple[str, dict[str, Any]]:
    """An element of the DICOM JSON model from a keyword and a value: text, a number, a list of them, or items."""
    tag = tag_of(keyword)
    assert tag is not None, keyword
    vr = vr_of(tag) or "UN"
    values = value if isinstance(value, list) else [] if value in ("", None) else [value]
    if vr == "PN":
        names = ("Alphabetic", "Ideographic", "Phonetic")
        values = [{k: v for k, v in zip(names, text.split("="), strict=False) if v} for text in values]
    if vr == "SQ":
        values = [dict(element(*pair) for pair in item.items()) for item in values]
    return f"{tag:08X}", {"vr": vr, "Value": values} if values else {"vr": vr}


@contextmanager
def results_memory() -> Iterator[Lease]:
    """Memory for the results of a search, given back at the end: while it is held, the collector stays away."""
    lease = Lease(MemoryBudget(1 << 30, "busy"))
    try:
        yield lease
    finally:
        lease.shrink()


class Archive(Process):
    """Stores, deletes and searches. Time stands still but for each store, which takes a second."""

    def __init__(
        self,
        *,
        shards: int = 4,
        partition: Partition = DEFAULT_PARTITION,
        schemas: Schemas | None = None,
        beside: "Archive | None" = None,
        **tables: Any,
    ) -> None:
        """`beside`: another process on the same stores."""
        self.requests: Counter[str] = Counter()
        """Requests to the tables, by kind."""
        self.seconds = 0.0
        """What the clock of searches says."""
        self.limits = DEFAULT_LIMITS
        self.lists = False
        """Whether the store has study lists."""
        self._now = beside._now + 1000 if beside else 1_700_000_000.0
        self._uploads = count(1)
        super().__init__(
            beside.tables if beside else MemoryTableStore(before=self._count, **tables),
            beside.blobs if beside else MemoryBlobStore(),
            lambda: self._now,
            schemas=schemas,
            shards=shards,
        )
        self.partition = partition

    async def _count(self, kind: str, _: str) -> None:
        self.requests[kind] += 1

    async def store(
        self,
        study: str = "1.1",
        series: str = "1.1.1",
        instance: str = "1.1.1.1",
        *,
        inline: bool = True,
        **values: Any,
    ) -> CommitOutcome:
        """Store an instance with these attributes (by keyword) beside its identity."""
        return (await self.store_all([self.new(study, series, instance, **values)], inline=inline))[0]

    def new(self, study: str, series: str, instance: str, *, replace: bool = False, **values: Any) -> NewInstance:
        """An instance that is to be stored."""
        identity = {
            "StudyInstanceUID": study,
            "SeriesInstanceUID": series,
            "SOPInstanceUID": instance,
            "SOPClassUID": MR_IMAGE,
        }
        dataset = dict(sorted(element(*item) for item in (identity | values).items()))
        identifier = InstanceIdentifier(study, series, instance)
        upload = blob_names.new_upload_id(int(self._now * 1000) + next(self._uploads))
        return NewInstance(
            identifier,
            dataset["00080016"]["Value"][0],
            EXPLICIT_LITTLE_ENDIAN,
            blob_names.blob_name(self.partition.namespace, identifier, upload),
            1000,
            replace,
            *self.schemas.known.extract(dataset),
            orjson.dumps(dataset),
            schema=self.schemas.known.number,
        )

    async def store_all(self, instances: list[NewInstance], *, inline: bool = True) -> list[CommitOutcome]:
        """Commit several instances at once."""
        self._now += 1
        entries = [await move_to_blobs(entry, self.blobs, metadata_inline=inline) for entry in instances]
        return await self.index.commit(self.partition, entries)

    async def delete(self, study: str, series: str | None = None, instance: str | None = None) -> int:
        """Delete a study, a series or an instance."""
        self._now += 1
        return await self.index.delete(self.partition, ResourceIdentifier(study, series, instance))

    def ports(self) -> SearchPorts:
        """What a search reads."""
        return SearchPorts(
            self.tables, self.lookup, self.blobs, self.shards, self.has_lists, lambda: self.seconds, self.limits
        )

    async def has_lists(self) -> bool:
        """As StoreSettingsRow tells it."""
        return self.lists

    def query(
        self, text: str, resource: str = "search_studies", version: ApiVersion = ApiVersion.V2, **route: str
    ) -> SearchQuery:
        """A search as it is parsed."""
        return parse_search(resource, route, parse_query(text), version, self.schemas.known)

    async def page(
        self, query: str = "", resource: str = "search_studies", version: ApiVersion = ApiVersion.V2, **route: str
    ) -> SearchPage:
        """The results of a search."""
        with results_memory() as lease:
            return await search(self.ports(), self.partition, self.query(query, resource, version, **route), lease)

    async def response(
        self,
        query: str = "",
        resource: str = "search_studies",
        version: ApiVersion = ApiVersion.V2,
        *,
        as_stored: bool = False,
        **route: str,
    ) -> Response:
        """The response of a search."""
        parsed = self.query(query, resource, version, **route)
        asked = context("dicom.example:8080", version)
        with results_memory() as lease:
            page = await search(self.ports(), self.partition, parsed, lease, character_set_as_stored=as_stored)
            return render(page.results, parsed, asked, more=page.more, character_set_as_stored=as_stored)

    async def found(
        self, query: str = "", resource: str = "search_studies", version: ApiVersion = ApiVersion.V2, **route: str
    ) -> list[dict[str, Any]]:
        """The data sets of a search's response."""
        response = await self.response(query, resource, version, **route)
        assert isinstance(response.body, bytes)
        return orjson.loads(response.body) if response.status == 200 else []

    async def studies(self, query: str = "", **options: Any) -> list[str]:
        """The StudyInstanceUIDs that a search for studies finds."""
        return [result.study.study_instance_uid for result in (await self.page(query, **options)).results]

    async def series(self, query: str = "", resource: str = "search_series", **route: str) -> list[str]:
        """The SeriesInstanceUIDs that a search for series finds."""
        results = (await self.page(query, resource, **route)).results
        return [result.series.series_instance_uid for result in results if result.series]

    async def instances(self, query: str = "", resource: str = "search_instances", **route: str) -> list[str]:
        """The SOPInstanceUIDs that a search for instances finds."""
        return [result.identifier.sop_instance_uid for result in (await self.page(query, resource, **route)).results]


async def archive_of(*studies: dict[str, Any], **options: Any) -> Archive:
    """An archive of one-instance studies 1.1, 1.2, …, the last one the newest."""
    archive = Archive(**options)
    for number, values in enumerate(studies, start=1):
        await archive.store(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", **values)
    return archive
