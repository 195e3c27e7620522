"""The functions of a room, called as the host calls them but without one."""

import types
from collections.abc import Iterable

import azure.functions as func
from starlette.requests import Request as HostRequest

from shared.dicomweb.routes import match
from shared.http.messages import Response


class Function:
    """One HTTP function of a room."""

    def __init__(self, name: str, call: object) -> None:
        self.name = name
        self._call = call

    async def get(self, target: str, headers: Iterable[tuple[str, str]] = ()) -> Response:
        """Send a GET request."""
        return await self.request("GET", target, headers)

    async def request(self, method: str, target: str, headers: Iterable[tuple[str, str]] = ()) -> Response:
        """Send a request without a body, in the way of the streaming model."""
        path, _, query = target.partition("?")
        found = match(method, path, data_partitions=True) or match(method, path, data_partitions=False)
        scope = {
            "type": "http",
            "asgi": {"spec_version": "2.3"},
            "method": method,
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [
                (b"host", b"dicom.example"),
                *((name.lower().encode(), value.encode()) for name, value in headers),
            ],
            "client": ("192.0.2.7", 4711),
            "path_params": dict(found.route) if found else {"path": path.lstrip("/")},
        }

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        answer = await self._call(HostRequest(scope, receive), types.SimpleNamespace(invocation_id="i"))
        fields = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.raw_headers)
        if not hasattr(answer, "body"):
            return Response(answer.status_code, fields, b"".join([chunk async for chunk in answer.body_iterator]))
        return Response(answer.status_code, fields, answer.body)


def handler_of(room: func.Blueprint, name: str) -> Function:
    """The function of that name."""
    app = func.FunctionApp()
    app.register_functions(room)
    (function,) = [each for each in app.get_functions() if each.get_function_name() == name]
    return Function(name, function.get_user_function())
