"""The function that starts a rebuild of the index."""

import azure.functions as func

from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.messages import Response
from shared.http.transaction import Context, Transaction, accepted_plain_json, nothing
from shared.index_rebuild.transaction import IndexRebuilds
from shared.operations.start import operation_started


def blueprint(boundary: Boundary, rebuilds: IndexRebuilds) -> func.Blueprint:
    """The function that starts a rebuild of the index."""

    async def rebuild(_parsed: None, _accepted: str, context: Context) -> Response:
        rebuilds.check_permitted(context.caller)
        return operation_started(await rebuilds.start(context.urls), context.urls)

    functions = func.Blueprint()
    mount(functions, boundary, "rebuild_index", Transaction(nothing, accepted_plain_json, rebuild))
    return functions
