"""The function of bulk update."""

from typing import Final

import azure.functions as func

from shared.bulk_update.request import bulk_update
from shared.bulk_update.transaction import BulkUpdate
from shared.dicomweb.versions import ApiVersion
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.json_body import JsonBody, json_body
from shared.http.messages import Request, Response
from shared.http.transaction import Context, Transaction, accepted_plain_json
from shared.operations.start import operation_started
from shared.study_updates.refusal import InvalidAttributes, refused

_LARGEST_BODY: Final = 256 * 1024
"""Bytes; 36 attributes of the longest values that validation lets through are below it."""


def blueprint(boundary: Boundary, updates: BulkUpdate) -> func.Blueprint:
    """The function of bulk update."""

    async def start(body: JsonBody, _accepted: str, context: Context) -> Response:
        updates.check_enabled()
        request = bulk_update(await body.read())
        if isinstance(request, InvalidAttributes):
            return refused(request)
        return operation_started(await updates.start(request, context.partition, context.urls), context.urls)

    functions = func.Blueprint()
    mount(functions, boundary, "bulk_update_studies", Transaction(_parse, accepted_plain_json, start))
    return functions


def _parse(request: Request, _version: ApiVersion) -> JsonBody:
    """The body. Raises UnsupportedMedia (UPD-3)."""
    return json_body(request, most=_LARGEST_BODY)
