"""The functions of patient merge and study move."""

from collections.abc import Awaitable, Callable
from typing import Any

import azure.functions as func
import orjson

from shared.dicom.dictionary import vr_of
from shared.dicom.media_types import JSON_UTF_8
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.messages import Response
from shared.http.transaction import Context, Transaction, accepted_plain_json
from shared.operations.model import OperationType
from shared.operations.request import operation_id as operation_id_of
from shared.operations.start import operation_started
from shared.patient_merge.request import (
    MergeRequest,
    MoveRequest,
    SeriesMoveRequest,
    merge_request,
    move_request,
    parse,
)
from shared.patient_merge.transaction import PatientMerge, Plan
from shared.study_updates.refusal import InvalidAttributes, refused
from shared.study_updates.request_fields import PatientRequest


def blueprint(boundary: Boundary, merges: PatientMerge) -> func.Blueprint:
    """The functions of patient merge and study move."""

    async def merge(asked: PatientRequest, _accepted: str, context: Context) -> Response:
        merges.check_enabled()
        request = merge_request(await asked.body.read())
        if isinstance(request, InvalidAttributes):
            return refused(request)
        plan = await merges.merge_plan(request, context.partition)
        return await started(OperationType.MERGE, request, plan, asked, context)

    async def move(asked: PatientRequest, _accepted: str, context: Context) -> Response:
        merges.check_enabled()
        request = move_request(await asked.body.read())
        if isinstance(request, InvalidAttributes):
            return refused(request)
        if isinstance(request, SeriesMoveRequest):
            plan = await merges.series_plan(request, context.partition)
        else:
            plan = await merges.move_plan(request, context.partition)
        return await started(OperationType.MOVE, request, plan, asked, context)

    async def started(
        kind: OperationType,
        request: MergeRequest | MoveRequest | SeriesMoveRequest,
        plan: Plan,
        asked: PatientRequest,
        context: Context,
    ) -> Response:
        if asked.dry_run:
            return _planned(plan)
        operation = await merges.start(kind, plan, request.reason, context.partition, context.urls)
        return operation_started(operation, context.urls)

    def reverting(kind: OperationType) -> Callable[[str, str, Context], Awaitable[Response]]:
        async def revert(operation_id: str, _accepted: str, context: Context) -> Response:
            merges.check_enabled()
            operation = await merges.revert(kind, operation_id, context.partition, context.urls)
            return operation_started(operation, context.urls)

        return revert

    functions = func.Blueprint()
    answers: dict[str, Callable[[PatientRequest, str, Context], Awaitable[Response]]] = {
        "merge_patients": merge,
        "move_study": move,
    }
    for name, answer in answers.items():
        mount(functions, boundary, name, Transaction(parse, accepted_plain_json, answer))
    for name, kind in (("revert_merge", OperationType.MERGE), ("revert_move", OperationType.MOVE)):
        mount(
            functions,
            boundary,
            name,
            Transaction(lambda request, _version: operation_id_of(request), accepted_plain_json, reverting(kind)),
        )
    return functions


def _planned(plan: Plan) -> Response:
    """200, with the studies and the attributes that they would get (`dryRun`)."""
    changes: dict[str, Any] = {}
    for tag, values in plan.values.items():
        vr = vr_of(int(tag, 16))
        changes[tag] = {"vr": vr, "Value": list(values)} if values else {"vr": vr}
    told: dict[str, Any] = {"studyInstanceUids": list(plan.studies), "changeDataset": changes}
    if plan.into:
        told |= {"seriesInstanceUids": list(plan.series), "targetStudyInstanceUid": plan.into}
    if plan.workitems:
        told["workitems"] = list(plan.workitems)
    body = orjson.dumps(told)
    return Response(200, (("Content-Type", JSON_UTF_8), ("Cache-Control", "no-store")), body)
