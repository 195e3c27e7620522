"""`GET /partitions` (PART-1, PART-2, PART-9, PART-10).

Partitions are only listed: a store creates them, and nothing removes them.
"""

import azure.functions as func

from shared.dicom.media_types import JSON_UTF_8
from shared.dicomweb.partitions import PartitionDirectory
from shared.errors import InvalidRequest
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.messages import Response
from shared.http.routing import PARTITIONS_DISABLED
from shared.http.transaction import Context, Transaction, nothing
from shared.partitions.response import partition_list


def blueprint(boundary: Boundary, partitions: PartitionDirectory) -> func.Blueprint:
    """The function of `/partitions`."""

    async def list_partitions(_parsed: None, _accepted: None, context: Context) -> Response:
        if not boundary.data_partitions:
            raise InvalidRequest(PARTITIONS_DISABLED, where="path")
        body = partition_list([each for each in await partitions.partitions() if each.name in context.visible])
        return Response(200, (("Content-Type", JSON_UTF_8),), body)

    functions = func.Blueprint()
    mount(functions, boundary, "list_partitions", Transaction(nothing, nothing, list_partitions))
    return functions
