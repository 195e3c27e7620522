"""PS3.18 §10.6 Search transaction (QIDO-RS): the six search functions."""

import asyncio
import time

import azure.functions as func

from shared.dicomweb.media_types import accept_of, negotiate_data_sets
from shared.dicomweb.query_parameters import parse_query
from shared.dicomweb.versions import ApiVersion
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary, Checks, Context, Handler
from shared.http.messages import Request, Response
from shared.index.lookup import InstanceLookup
from shared.search.attributes import RESOURCES
from shared.search.request import parse_search
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
    character_set_as_stored: bool = False,
) -> func.Blueprint:
    """The search functions. `shards` is the number of shards of the index; the setting is that of D-7."""
    functions = func.Blueprint()
    ports = SearchPorts(tables, lookup, blobs, shards, time.monotonic)
    checks = Checks(early=_check_query, accept=_check_accept)
    for resource in RESOURCES:
        mount(functions, boundary, resource, _handler(resource, ports, character_set_as_stored), checks)
    return functions


def _handler(resource: str, ports: SearchPorts, character_set_as_stored: bool) -> Handler:
    async def handle(request: Request, context: Context) -> Response:
        query = parse_search(resource, request.route, request.query, context.version)
        page = await search(ports, context.partition, query, character_set_as_stored=character_set_as_stored)
        return await asyncio.to_thread(
            render,
            page.results,
            query,
            context.urls,
            host=request.host,
            more=page.more,
            character_set_as_stored=character_set_as_stored,
            media_type=negotiate_data_sets(accept_of(request.headers.all("accept"), request.query)),
        )

    return handle


def _check_query(request: Request, _: ApiVersion) -> None:
    parse_query(request.query)


def _check_accept(request: Request, _: ApiVersion) -> None:
    negotiate_data_sets(accept_of(request.headers.all("accept"), request.query))
