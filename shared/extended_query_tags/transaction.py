"""azure-apis §3 Administration of extended query tags: rows of the schema of the index, and its re-index."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from shared.dicomweb.partitions import PartitionDirectory
from shared.dicomweb.urls import Urls
from shared.errors import Conflict, InvalidRequest, NotFound
from shared.extended_query_tags.request import NewTag
from shared.extended_query_tags.validation import indexed_attributes
from shared.index.indexing_errors import IndexingError, IndexingErrors
from shared.index_schema.indexed_attributes import IndexedAttribute
from shared.index_schema.schema import AttributeStatus, IndexSchema
from shared.operations.model import Operation, OperationActive, OperationType
from shared.operations.start import busy, check_enabled
from shared.operations.store import Operations
from shared.registry.schema_registry import SchemaRegistry
from shared.upkeep.reindex import create_reindex

_REMEDY = "Add the tags when it has ended; tags that belong together can be added in one request."
MOST_TAGS = 128
"""The greatest number of tags that can be set: what rows of studies have place for (EQT-20)."""


@dataclass(frozen=True, slots=True)
class TagView:
    """An extended query tag as clients see it."""

    attribute: IndexedAttribute
    status: AttributeStatus
    operation_id: str | None = None
    """Of the re-index that will make it ready."""
    errors: int = 0
    """The number of values that its re-index could not take, of instances that are still there."""


@dataclass(frozen=True, slots=True)
class ErrorView:
    """An error of an extended query tag as clients see it (EQT-45)."""

    error: IndexingError
    partition: str
    """The name of its data partition."""


class ExtendedQueryTags:
    """One per process. Everything raises Unavailable."""

    def __init__(
        self,
        schemas: SchemaRegistry,
        operations: Operations,
        errors: IndexingErrors,
        partitions: PartitionDirectory,
        now: Callable[[], float],
        *,
        most_tags: int = MOST_TAGS,
        operations_enabled: bool = True,
    ) -> None:
        """`now`: seconds since 1970; `most_tags`: how many there may be; `operations_enabled`: whether any may be added
        (EQT-1).
        """
        self._schemas = schemas
        self._operations = operations
        self._errors = errors
        self._partitions = partitions
        self._now = now
        self._most_tags = most_tags
        self._operations_enabled = operations_enabled

    async def add(self, entries: Sequence[NewTag], urls: Urls) -> Operation:
        """Add tags, all or none, and start the re-index that makes them ready (EQT-6 to EQT-24).

        Raises InvalidRequest; Conflict while a re-index is under way, and for tags that exist.
        """
        check_enabled(enabled=self._operations_enabled)
        active = await self._reindex()
        if active is not None:
            raise busy(OperationActive(OperationType.REINDEX, active.id), urls, _REMEDY)
        wanted = indexed_attributes(entries)
        schema = await self._schemas.refresh()
        if not _is_left_over(schema, wanted):
            added = await self._schemas.add_attributes(lambda known: _addable(known, wanted, self._most_tags))
        else:
            added = ()
        schema = await self._schemas.refresh()
        try:
            return await create_reindex(self._operations, schema)
        except OperationActive as error:  # somebody else was faster: the timer, or a request for other tags
            other = await self._operations.get(error.operation_id)
            if other is not None and int(other.input["schema"]) >= max(
                schema.custom[each.path].since for each in wanted
            ):
                return other
            for each in added:
                await self._schemas.change_attribute(each.key, deleted=self._now())
            raise busy(error, urls, _REMEDY) from error

    async def all(self) -> list[TagView]:
        """All of them, the oldest first (EQT-50)."""
        schema = await self._schemas.refresh()
        return await self._views(schema, list(schema.custom.values()))

    async def get(self, path: str) -> TagView:
        """One of them. Raises NotFound (EQT-51)."""
        schema = await self._schemas.refresh()
        return (await self._views(schema, [_tag(schema, path)]))[0]

    async def update(self, path: str, *, enabled: bool) -> TagView:
        """Let searches use a tag, or not (EQT-52). Raises NotFound."""
        attribute = _tag(await self._schemas.refresh(), path)
        schema = await self._schemas.change_attribute(attribute.key, enabled=enabled)
        return (await self._views(schema, [schema.attributes[attribute.key]]))[0]

    async def delete(self, path: str) -> None:
        """Delete a tag, whatever its status is (EQT-55). Raises NotFound."""
        attribute = _tag(await self._schemas.refresh(), path)
        await self._schemas.change_attribute(attribute.key, deleted=self._now())

    async def errors(self, path: str, limit: int, offset: int) -> list[ErrorView]:
        """At most `limit` errors of a tag behind the first `offset`, in the order in which they were found (EQT-45).

        Raises NotFound, TooLarge.
        """
        attribute = _tag(await self._schemas.refresh(), path)
        found = await self._errors.window(attribute.key, limit, offset)
        partitions = {each.namespace: each.name for each in await self._partitions.partitions()} if found else {}
        return [ErrorView(error, partitions.get(error.namespace, "")) for error in found]

    async def _views(self, schema: IndexSchema, attributes: Sequence[IndexedAttribute]) -> list[TagView]:
        adding = any(schema.status(each) == "adding" for each in attributes)
        operation = await self._reindex() if adding else None
        counts = await self._errors.counts([each.key for each in attributes if each.erroneous])
        views = [TagView(each, schema.status(each), errors=counts.get(each.key, 0)) for each in attributes]
        if operation is None:
            return views
        number = int(operation.input["schema"])
        return [
            replace(view, operation_id=operation.id)
            if view.status == "adding" and view.attribute.since <= number
            else view
            for view in views
        ]

    async def _reindex(self) -> Operation | None:
        """The re-index that is under way."""
        for operation_id, kind in await self._operations.active():
            if kind is OperationType.REINDEX:
                return await self._operations.get(operation_id)
        return None


def _tag(schema: IndexSchema, path: str) -> IndexedAttribute:
    attribute = schema.custom.get(path)
    if attribute is None:
        raise NotFound(
            f"The specified extended query tag with tag path {path} cannot be found.",
            remedy="GET /v2/extendedquerytags lists those that there are.",
        )
    return attribute


def _is_left_over(schema: IndexSchema, wanted: Sequence[IndexedAttribute]) -> bool:
    """Whether the same tags are being added, and no operation is (EQT-23): the request before died in between."""
    present = [schema.custom.get(each.path) for each in wanted]
    return all(
        known is not None
        and schema.status(known) == "adding"
        and (known.vr, known.level, known.creator) == (new.vr, new.level, new.creator)
        for known, new in zip(present, wanted, strict=True)
    )


def _addable(schema: IndexSchema, wanted: Sequence[IndexedAttribute], most: int) -> Sequence[IndexedAttribute]:
    paths = {each.path for each in wanted}
    if len(schema.custom.keys() | paths) > most:
        raise InvalidRequest(
            f"Extended query tags exceeds max allowed count '{most}'.",
            where="request body",
            remedy="Delete those that nobody searches by.",
        )
    if schema.custom.keys() & paths:
        raise Conflict("One or more extended query tags already exist.", where="request body")
    return wanted
