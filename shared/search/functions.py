"""PS3.18 §10.6 Search transaction (QIDO-RS): the six search functions."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import azure.functions as func

from shared.dicomweb.query_parameters import QueryParameters, invalid_parameter, parse_query
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.messages import Request, Response
from shared.http.transaction import Context, Transaction, accepted_data_sets
from shared.index.documents import CONVERTED
from shared.index.indexing_errors import IndexingErrors
from shared.index.lookup import InstanceLookup
from shared.index_schema.schema import IndexSchema, Schemas
from shared.index_schema.study_lists import StudyOrder
from shared.memory_budget import Lease
from shared.search.attributes import SEARCH_LEVELS
from shared.search.label_key import NAME
from shared.search.request import SearchQuery, parse_search
from shared.search.response import render
from shared.search.transaction import SearchPorts, search
from shared.storage.ports import BlobStore, TableStore


def blueprint(
    boundary: Boundary,
    tables: TableStore,
    lookup: InstanceLookup,
    blobs: BlobStore,
    shards: int,
    *,
    study_lists: Callable[[], Awaitable[bool]],
    schemas: Schemas,
    character_set_as_stored: bool = False,
    study_order: StudyOrder = StudyOrder.STORED,
) -> func.Blueprint:
    """The search functions. `shards` is the number of shards of the index, `study_lists` whether there are study
    lists; the settings are those of D-7 and
    B-23.
    """
    functions = func.Blueprint()
    ports = SearchPorts(tables, lookup, blobs, shards, study_lists, time.monotonic)
    for resource in SEARCH_LEVELS:
        mount(
            functions, boundary, resource, _transaction(resource, ports, schemas, character_set_as_stored, study_order)
        )
    return functions


def _transaction(
    resource: str, ports: SearchPorts, schemas: Schemas, character_set_as_stored: bool, study_order: StudyOrder
) -> Transaction[QueryParameters, str]:
    async def answer(parameters: QueryParameters, media_type: str, context: Context) -> Response:
        query = await _query(resource, parameters, context, schemas, study_order)
        lease = Lease(CONVERTED)
        try:
            page = await search(ports, context.partition, query, lease, character_set_as_stored=character_set_as_stored)
            erroneous = await _erroneous(ports, query)
            return await asyncio.to_thread(
                render,
                page.results,
                query,
                context,
                more=page.more,
                erroneous=erroneous,
                character_set_as_stored=character_set_as_stored,
                media_type=media_type,
            )
        finally:
            lease.shrink()

    return Transaction(_parameters, accepted_data_sets, answer)


async def _query(
    resource: str, parameters: QueryParameters, context: Context, schemas: Schemas, study_order: StudyOrder
) -> SearchQuery:
    def parsed(schema: IndexSchema) -> SearchQuery:
        query = parse_search(resource, context.uids, parameters, context.version, schema, study_order=study_order)
        if query.labels is not None and context.confinement is not None:
            raise invalid_parameter(NAME, "A share has no labels.")
        return replace(query, within=context.confinement)

    schema = await schemas.current()
    try:
        return parsed(schema)
    except InvalidRequest:
        if not schema.unsettled:
            raise
    # An attribute may have got ready, or been enabled, since this process has last looked (QIDO-17).
    return parsed(await schemas.refresh())


async def _erroneous(ports: SearchPorts, query: SearchQuery) -> list[str]:
    """The matching keys of attributes with indexing errors, as the request spells them (QIDO-17)."""
    suspects = {each.key: each.name for each in query.filters if each.attribute.erroneous}
    counts = await IndexingErrors(ports.tables).counts(list(suspects))
    return [suspects[key] for key, count in counts.items() if count]


def _parameters(request: Request, _version: ApiVersion) -> QueryParameters:
    return parse_query(request.query)
