"""The functions of the Store transaction: STOW-RS, and PUT that replaces (PS3.18 §10.5)."""

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
        return store_response(outcomes, context, media_type)

    functions = func.Blueprint()
    for name in _RESOURCES:
        mount(functions, boundary, name, Transaction(parse_store, accepted_data_sets, store))
    return functions
