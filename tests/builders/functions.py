"""The functions of a package, called as the host calls them but without one."""

import types
from collections.abc import Iterable

import azure.functions as func

from shared.dicomweb.routes import match
from shared.http.messages import Response
from shared.web_extension.messages import RequestBody, ServerRequest


class Function:
    """One HTTP function."""

    def __init__(self, name: str, call: object) -> None:
        self.name = name
        self._call = call

    async def get(self, target: str, headers: Iterable[tuple[str, str]] = ()) -> Response:
        """Send a GET request."""
        return await self.request("GET", target, headers)

    async def request(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> Response:
        """Send a request in the way of the streaming model."""
        path = target.partition("?")[0]
        found = match(method, path, data_partitions=True) or match(method, path, data_partitions=False)
        sent = ServerRequest(RequestBody(lambda: None), "192.0.2.7")
        if body:
            sent.body.feed(body)
        sent.body.end()
        sent.method, sent.target = method, target.encode()
        fields = [(name.lower(), value) for name, value in headers]
        sent.fields = fields if dict(fields).get("host") else [("host", "dicom.example"), *fields]
        sent.path_params = dict(found.route) if found else {"path": path.lstrip("/")}

        answer = await self._call(sent, types.SimpleNamespace(invocation_id="i"))
        told = tuple(answer.fields)
        if not isinstance(answer.body, bytes):
            return Response(answer.status, told, b"".join([chunk async for chunk in answer.body]))
        return Response(answer.status, told, answer.body)


def handler_of(blueprint: func.Blueprint, name: str) -> Function:
    """The function of that name."""
    app = func.FunctionApp()
    app.register_functions(blueprint)
    (function,) = [each for each in app.get_functions() if each.get_function_name() == name]
    return Function(name, function.get_user_function())
