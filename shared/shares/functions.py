"""The functions of shares."""

import azure.functions as func

from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.json_body import JsonBody
from shared.http.messages import Response
from shared.http.transaction import Context, Transaction, accepted_plain_json, nothing
from shared.shares import response
from shared.shares.request import new_share, parse_share, parse_share_id
from shared.shares.transaction import Shares


def blueprint(boundary: Boundary, shares: Shares) -> func.Blueprint:
    """The functions."""

    async def make(body: JsonBody, _accepted: str, context: Context) -> Response:
        wanted = new_share(await body.read())
        found = await shares.make(wanted, context.partition, context.caller.permissions)
        return response.made(found, context.urls)

    async def list_all(_parsed: None, _accepted: str, context: Context) -> Response:
        return response.listed(await shares.all(context.partition))

    async def revoke(share_id: str, _accepted: None, context: Context) -> Response:
        await shares.revoke(share_id, context.partition)
        return Response(204)

    async def clinical(share_id: str, _accepted: None, context: Context) -> Response:
        return response.clinical(await shares.clinical(share_id, context.confinement))

    functions = func.Blueprint()
    json = accepted_plain_json
    mount(functions, boundary, "create_share", Transaction(parse_share, json, make))
    mount(functions, boundary, "list_shares", Transaction(nothing, json, list_all))
    mount(functions, boundary, "revoke_share", Transaction(parse_share_id, nothing, revoke))
    mount(functions, boundary, "retrieve_share_ehr", Transaction(parse_share_id, nothing, clinical))
    return functions
