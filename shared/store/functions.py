"""The functions of the Store transaction: STOW-RS, and PUT that replaces (PS3.18 §10.5)."""

import asyncio
from datetime import UTC, datetime
from typing import Final

import azure.functions as func

from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.messages import Response
from shared.http.transaction import Context, Transaction, accepted_data_sets
from shared.ingest.ingest import Ingest
from shared.ingest.store_options import StoreOptions
from shared.store.request import StoreRequest, parse_store, unsupported_body
from shared.store.response import store_response
from shared.store.transaction import store_instances

_AT_ONCE: Final = 200
"""Outcomes whose answer is made on the event loop: a few milliseconds (STOW-46)."""
_RESOURCES: Final = ("store_studies", "store_study")


def blueprint(boundary: Boundary, ingest: Ingest) -> func.Blueprint:
    """The functions of Store."""

    async def store(request: StoreRequest, media_type: str, context: Context) -> Response:
        if request.content is None:
            raise unsupported_body(None)
        expires = datetime.fromtimestamp(ingest.now(), UTC) + request.lifetime if request.lifetime else None
        options = StoreOptions(context.version, context.uids.get("study"), request.replace, expires)
        outcomes = await store_instances(
            request.content, request.body, options, partition=context.partition, ingest=ingest
        )
        if len(outcomes) > _AT_ONCE:
            return await asyncio.to_thread(store_response, outcomes, context, media_type)
        return store_response(outcomes, context, media_type)

    functions = func.Blueprint()
    for name in _RESOURCES:
        mount(functions, boundary, name, Transaction(parse_store, accepted_data_sets, store))
    return functions
