"""The function of export."""

import asyncio

import azure.functions as func

from shared.export.destinations import DestinationRules
from shared.export.request import new_export, parse_export
from shared.export.transaction import Exports
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.json_body import JsonBody
from shared.http.messages import Response
from shared.http.transaction import Context, Transaction, accepted_plain_json
from shared.operations.start import operation_started


def blueprint(boundary: Boundary, exports: Exports, rules: DestinationRules) -> func.Blueprint:
    """The function of export."""

    async def export(body: JsonBody, _accepted: str, context: Context) -> Response:
        document = await body.read()
        # Of a few hundred thousand identifiers: in a thread, beside other requests.
        request = await asyncio.to_thread(new_export, document, rules)
        operation = await exports.start(request, context.partition)
        return operation_started(operation, context.urls)

    functions = func.Blueprint()
    mount(functions, boundary, "export_instances", Transaction(parse_export, accepted_plain_json, export))
    return functions
