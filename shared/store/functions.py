"""The functions of the Store transaction: STOW-RS, and PUT that replaces (PS3.18 §10.5)."""

from datetime import UTC, datetime
from typing import Final

import azure.functions as func

from shared.dicomweb.media_types import accept_of, negotiate_data_sets
from shared.dicomweb.versions import ApiVersion
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary, Checks, Context
from shared.http.messages import Request, Response
from shared.ingest.ingest import Ingest
from shared.store.request import check_content_type, parse_store
from shared.store.response import store_response
from shared.store.transaction import store_instances

_RESOURCES: Final = ("store_studies", "store_study")


def check_accept(request: Request, _version: ApiVersion) -> None:
    """STOW-9. Raises NotAcceptable."""
    negotiate_data_sets(accept_of(request.headers.all("accept"), request.query))


CHECKS: Final = Checks(early=check_content_type, accept=check_accept)


def blueprint(boundary: Boundary, ingest: Ingest) -> func.Blueprint:
    """The functions of the room."""

    async def store(request: Request, context: Context) -> Response:
        wanted = parse_store(request, context.version, datetime.fromtimestamp(ingest.now(), UTC))
        outcomes = await store_instances(
            wanted, request.body, version=context.version, partition=context.partition, ingest=ingest
        )
        return store_response(
            outcomes,
            version=context.version,
            urls=context.urls,
            study=wanted.study,
            host=request.host,
            media_type=negotiate_data_sets(accept_of(request.headers.all("accept"), request.query)),
        )

    functions = func.Blueprint()
    for name in _RESOURCES:
        mount(functions, boundary, name, store, CHECKS)
    return functions
