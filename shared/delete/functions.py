"""The functions of Delete (dicomweb §9). What was deleted is erased by a chore of `housekeeping`."""

import azure.functions as func

from shared.delete.transaction import delete_instances
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.messages import Response
from shared.http.transaction import Context, Transaction, nothing
from shared.index.instances import InstanceIndex


def blueprint(boundary: Boundary, index: InstanceIndex) -> func.Blueprint:
    """The functions of Delete."""

    async def delete(_parsed: None, _accepted: None, context: Context) -> Response:
        await delete_instances(index, context.partition, context.scope)
        return Response(204)

    functions = func.Blueprint()
    for name in ("delete_study", "delete_series", "delete_instance"):
        mount(functions, boundary, name, Transaction(nothing, nothing, delete))
    return functions
