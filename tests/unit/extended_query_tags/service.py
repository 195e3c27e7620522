"""The functions of extended query tags over an archive in memory that is stored to, searched and re-indexed."""

import json
from itertools import count

import orjson

from shared.extended_query_tags.functions import blueprint
from shared.extended_query_tags.removal import TagRemoval
from shared.extended_query_tags.transaction import ExtendedQueryTags
from shared.index.indexing_errors import IndexingErrors
from shared.search import functions as search_functions
from tests.builders.functions import handler_of
from tests.builders.http import ALL, boundary
from tests.unit.upkeep.release import Partitions, Release

JSON = ("Content-Type", "application/json")
PATH = "/v2/extendedquerytags"


class TagService(Release):
    """An archive of schema 1 with the functions of tags and of searches."""

    def __init__(self, beside=None, **settings) -> None:
        super().__init__(beside=beside, added=())
        self.tags = ExtendedQueryTags(
            self.schemas, self.operations, IndexingErrors(self.tables), Partitions(), lambda: self.time, **settings
        )
        self._functions = blueprint(boundary(), self.tags)
        self._searches = search_functions.blueprint(
            boundary(),
            self.tables,
            self.lookup,
            self.blobs,
            self.shards,
            schemas=self.schemas,
            study_lists=self.has_lists,
        )
        self.removal = TagRemoval(self.tables, self.schemas, Partitions(), lambda: self.time, shards=self.shards)
        self._names = count(1)

    async def _ask(self, name, method, target, document=None, headers=ALL):
        body = b"" if document is None else document if isinstance(document, bytes) else orjson.dumps(document)
        fields = (*headers, JSON) if body else headers
        return await handler_of(self._functions, name).request(method, target, fields, body)

    async def add(self, *entries, document=None, version="v2"):
        target = f"/{version}/extendedquerytags"
        return await self._ask(
            "add_extended_query_tags", "POST", target, list(entries) if document is None else document
        )

    async def all(self, query="", headers=ALL):
        return await self._ask("list_extended_query_tags", "GET", PATH + query, headers=headers)

    async def errors(self, path, query="", headers=ALL):
        target = f"{PATH}/{path}/errors{query}"
        return await self._ask("list_extended_query_tag_errors", "GET", target, headers=headers)

    async def retrieve(self, path, headers=ALL):
        return await self._ask("retrieve_extended_query_tag", "GET", f"{PATH}/{path}", headers=headers)

    async def patch(self, path, document):
        return await self._ask("update_extended_query_tag", "PATCH", f"{PATH}/{path}", document)

    async def remove(self, path):
        return await self._ask("delete_extended_query_tag", "DELETE", f"{PATH}/{path}")

    async def ready(self, *entries):
        """Add tags, and run their re-index to its end."""
        response = await self.add(*entries)
        assert response.status == 202, response.body
        await self.runner.run()

    async def search(self, query, path="studies", resource="search_studies"):
        return await handler_of(self._searches, resource).get(f"/v2/{path}?{query}", ALL)


def read(response):
    return json.loads(response.body)


def tag(path, level="Study", **more):
    return {"path": path, "level": level, **more}
