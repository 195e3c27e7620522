"""The functions of the worklist (PS3.18 §11)."""

import asyncio
from collections.abc import Callable

import azure.functions as func

from shared.dicom.attributes import Attributes
from shared.dicom.identifiers import is_ae_title
from shared.dicom.media_types import DICOM_JSON
from shared.dicomweb import json_model
from shared.dicomweb.versions import ApiVersion
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.messages import Request, Response
from shared.http.transaction import Context, Transaction, accepted_dicom_json, nothing
from shared.workitems.requirements import InvalidWorkitem
from shared.workitems.store import WorkitemExists, WorkitemGone, Workitems
from shared.worklist import named_uids
from shared.worklist.bodies import DataSetBody, optional_body, typed_body
from shared.worklist.change_state.transaction import change_state
from shared.worklist.create.transaction import create
from shared.worklist.request_cancellation.transaction import IsReachable, request_cancellation
from shared.worklist.results import GONE, NOT_FOUND, quoted
from shared.worklist.search.request import WorklistQuery, parse_search
from shared.worklist.search.response import render
from shared.worklist.search.transaction import WorklistSearch
from shared.worklist.update.transaction import update

_EXISTS = "The workitem instance already exists. Try creating using a different UID."


def blueprint(
    boundary: Boundary, workitems: Workitems, search: WorklistSearch, is_reachable: IsReachable
) -> func.Blueprint:
    """The functions of the worklist. `is_reachable`: whether the performer of a workitem hears of its events."""

    async def create_workitem(sent: tuple[str, DataSetBody], _accepted: str, context: Context) -> Response:
        named, body = sent
        attributes = await body.read()
        try:
            uid = await create(workitems, context.partition.namespace, named, attributes)
        except InvalidWorkitem as error:
            return quoted(400, str(error))
        except WorkitemExists:
            return quoted(409, _EXISTS)
        url = context.urls.workitem(uid)
        return Response(201, (("Location", url), ("Content-Location", url)))

    async def retrieve_workitem(_parsed: None, _accepted: str, context: Context) -> Response:
        try:
            stored = await workitems.get(context.partition.namespace, context.uids["workitem"])
        except WorkitemGone:
            return quoted(410, GONE)
        if stored is None:
            return quoted(404, NOT_FOUND)
        document = await asyncio.to_thread(json_model.dumps, stored.workitem.attributes)
        return Response(200, (("Content-Type", DICOM_JSON),), document)

    async def update_workitem(sent: tuple[str, DataSetBody], _accepted: None, context: Context) -> Response:
        transaction_uid, body = sent
        attributes = await body.read()
        uid = context.uids["workitem"]
        await update(workitems, uid, transaction_uid, attributes, context)
        return Response(200, (("Content-Location", context.urls.workitem(uid)),))

    async def change_workitem_state(sent: tuple[str, DataSetBody], _accepted: None, context: Context) -> Response:
        requester, body = sent
        attributes = await body.read()
        warning = await change_state(workitems, context.uids["workitem"], attributes, context, requester)
        return Response(200, (context.warning(warning),) if warning else ())

    async def cancel_workitem(sent: tuple[str, DataSetBody], _accepted: None, context: Context) -> Response:
        requester, body = sent
        attributes: Attributes | None = await body.read_optional()
        namespace, uid = context.partition.namespace, context.uids["workitem"]
        status, text = await request_cancellation(
            workitems, is_reachable, namespace, uid, attributes, requester=requester
        )
        return quoted(status, text, *([context.warning(text)] if status == 409 else []))

    async def search_workitems(query: WorklistQuery, _accepted: str, context: Context) -> Response:
        page = await search.page(context.partition.namespace, query)
        return await asyncio.to_thread(render, page, query)

    functions = func.Blueprint()
    creation = Transaction(_with_uid(named_uids.WORKITEM), accepted_dicom_json, create_workitem)
    state = Transaction(_with_requester(typed_body), nothing, change_workitem_state)
    cancellation = Transaction(_with_requester(optional_body), nothing, cancel_workitem)
    mount(functions, boundary, "create_workitem", creation)
    mount(functions, boundary, "search_workitems", Transaction(parse_search, accepted_dicom_json, search_workitems))
    mount(functions, boundary, "retrieve_workitem", Transaction(nothing, accepted_dicom_json, retrieve_workitem))
    mount(
        functions,
        boundary,
        "update_workitem",
        Transaction(_with_uid(named_uids.TRANSACTION), nothing, update_workitem),
    )
    mount(functions, boundary, "change_workitem_state", state)
    mount(functions, boundary, "change_workitem_state_by", state)
    mount(functions, boundary, "request_workitem_cancellation", cancellation)
    mount(functions, boundary, "request_workitem_cancellation_by", cancellation)
    return functions


def _with_uid(names: frozenset[str]) -> Callable[[Request, ApiVersion], tuple[str, DataSetBody]]:
    """Reads the UID of the query string, and the body."""

    def parse(request: Request, version: ApiVersion) -> tuple[str, DataSetBody]:
        body = typed_body(request, version)
        return named_uids.named_uid(request.query, names), body

    return parse


def _with_requester(
    read: Callable[[Request, ApiVersion], DataSetBody],
) -> Callable[[Request, ApiVersion], tuple[str, DataSetBody]]:
    """Reads the AE title at the end of the path, '' without one or where it is none, and the body."""

    def parse(request: Request, version: ApiVersion) -> tuple[str, DataSetBody]:
        requester = request.route.get("requester", "").strip(" ")
        return requester if is_ae_title(requester) else "", read(request, version)

    return parse
