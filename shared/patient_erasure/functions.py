"""The functions of patient erasure."""

import azure.functions as func
import orjson

from shared.dicom.media_types import JSON_UTF_8
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.messages import Response
from shared.http.transaction import Context, Transaction, accepted_plain_json
from shared.operations.start import operation_started
from shared.patient_erasure.request import erasure_request, parse, parse_confirmation
from shared.patient_erasure.transaction import ErasureRequests, Plan
from shared.study_updates.request_fields import PatientRequest


def blueprint(boundary: Boundary, erasures: ErasureRequests) -> func.Blueprint:
    """The functions of patient erasure."""

    async def erase(asked: PatientRequest, _accepted: str, context: Context) -> Response:
        erasures.check_permitted(context.caller, context.partition)
        erasures.check_enabled()
        request = erasure_request(await asked.body.read())
        if asked.dry_run:
            return _planned(await erasures.plan(request, context.partition))
        operation = await erasures.request(request, context.partition, context.caller, context.urls)
        return operation_started(operation, context.urls)

    async def confirm(operation_id: str, _accepted: str, context: Context) -> Response:
        erasures.check_permitted(context.caller, context.partition)
        erasures.check_enabled()
        operation = await erasures.confirm(operation_id, context.partition, context.caller, context.urls)
        return operation_started(operation, context.urls)

    functions = func.Blueprint()
    mount(functions, boundary, "erase_patient", Transaction(parse, accepted_plain_json, erase))
    mount(functions, boundary, "confirm_erasure", Transaction(parse_confirmation, accepted_plain_json, confirm))
    return functions


def _planned(plan: Plan) -> Response:
    """200, with what would be erased (PHI-11)."""
    body = orjson.dumps(plan.document())
    return Response(200, (("Content-Type", JSON_UTF_8), ("Cache-Control", "no-store")), body)
