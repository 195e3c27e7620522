"""The functions of extended query tags."""

import azure.functions as func

from shared.dicomweb.query_parameters import Window
from shared.extended_query_tags.request import (
    new_tags,
    parse_body,
    parse_change,
    parse_errors,
    parse_path,
    parse_window,
    query_status,
)
from shared.extended_query_tags.response import error_list, tag_entry, tag_list
from shared.extended_query_tags.transaction import ExtendedQueryTags
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.json_body import JsonBody
from shared.http.messages import Response
from shared.http.transaction import Context, Transaction, accepted_plain_json, nothing
from shared.operations.start import operation_started


def blueprint(boundary: Boundary, tags: ExtendedQueryTags) -> func.Blueprint:
    """The functions of extended query tags."""

    async def add(body: JsonBody, _accepted: str, context: Context) -> Response:
        operation = await tags.add(new_tags(await body.read()), context.urls)
        return operation_started(operation, context.urls)

    async def list_all(window: Window, _accepted: str, context: Context) -> Response:
        views = await tags.all()
        return tag_list(views[window.offset : window.offset + window.limit], context.urls)

    async def retrieve(path: str, _accepted: str, context: Context) -> Response:
        return tag_entry(await tags.get(path), context.urls)

    async def update(change: tuple[str, JsonBody], _accepted: str, context: Context) -> Response:
        path, body = change
        return tag_entry(await tags.update(path, enabled=query_status(await body.read())), context.urls)

    async def delete(path: str, _accepted: None, _context: Context) -> Response:
        await tags.delete(path)
        return Response(204)

    async def errors(asked: tuple[str, Window], _accepted: str, _context: Context) -> Response:
        path, window = asked
        return error_list(await tags.errors(path, window.limit, window.offset))

    functions = func.Blueprint()
    json = accepted_plain_json
    mount(functions, boundary, "add_extended_query_tags", Transaction(parse_body, json, add))
    mount(functions, boundary, "list_extended_query_tags", Transaction(parse_window, json, list_all))
    mount(functions, boundary, "retrieve_extended_query_tag", Transaction(parse_path, json, retrieve))
    mount(functions, boundary, "update_extended_query_tag", Transaction(parse_change, json, update))
    mount(functions, boundary, "list_extended_query_tag_errors", Transaction(parse_errors, json, errors))
    mount(functions, boundary, "delete_extended_query_tag", Transaction(parse_path, nothing, delete))
    return functions
