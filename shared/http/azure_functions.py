"""The adapter to Azure Functions' streaming HTTP model: declares the functions that the boundary answers in.

What holds there, and shapes this file: every HTTP function of an app must use this model, with the types of the one web
extension that the app has imported; a function must return a response object; the body of a streamed response is sent
after the function has returned, in another task.
"""

import importlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

import azure.functions as func

from shared.dicomweb.resource import Resource
from shared.dicomweb.resources import RESOURCES
from shared.http.boundary import Boundary
from shared.http.messages import Request, Response
from shared.http.transaction import Transaction
from shared.settings import Settings

_MODULES = {"own": "shared.http.own_extension", "fastapi": "shared.http.fastapi_extension"}

type HttpFunction = Callable[[Any, func.Context], Awaitable[Any]]
type Run = Callable[[Request], Awaitable[Response]]


class WebExtension(Protocol):
    """A web extension: the worker's HTTP server and its messages."""

    request_type: type
    response_type: type

    def configure(self, settings: Settings) -> None:
        """Make it the web extension of this process. Raises an error when another one is."""
        ...

    async def answer(self, request: Any, invocation_id: str, run: Run) -> Any:
        """Answer one request of the extension's with what `run` answers."""
        ...


class _Chosen:
    """The web extension of this process: the runtime knows one at most."""

    extension: WebExtension | None = None


def choose(settings: Settings) -> None:
    """Use the web extension that `settings` name for every function that is declared from now on."""
    extension = _extension(settings.web_extension)
    extension.configure(settings)
    _Chosen.extension = extension


def _chosen() -> WebExtension:
    if _Chosen.extension is None:
        _Chosen.extension = _extension("own")
    return _Chosen.extension


def _extension(name: str) -> WebExtension:
    return cast("WebExtension", importlib.import_module(_MODULES[name]).EXTENSION)


def _silence() -> None:
    """The log lines of runtime and SDKs for each request cost half the throughput and holds URIs."""
    for name in ("azure", "azure.functions"):
        logging.getLogger(name).setLevel(logging.WARNING)


_silence()


def mount(
    blueprint: func.Blueprint, boundary: Boundary, resource_name: str, transaction: Transaction[Any, Any]
) -> None:
    """Declare the function of a row of `shared.dicomweb.resources`. Raises KeyError if there is no such row."""
    resource = RESOURCES[resource_name]
    boundary.add(resource, transaction)
    route = blueprint.route(
        route=resource.path(data_partitions=boundary.data_partitions),
        methods=resource.methods or None,
        auth_level=func.AuthLevel.ANONYMOUS,
    )
    blueprint.function_name(resource.name)(route(http_function(boundary, resource, transaction)))


def http_function(boundary: Boundary, resource: Resource, transaction: Transaction[Any, Any]) -> HttpFunction:
    """The function that the runtime calls for each request to `resource`."""
    extension = _chosen()

    async def function(req: Any, context: func.Context) -> Any:
        async def run(request: Request) -> Response:
            return await boundary.run(resource, request, transaction)

        return await extension.answer(req, context.invocation_id, run)

    function.__name__ = resource.name
    function.__annotations__ = {
        "req": extension.request_type,
        "context": func.Context,
        "return": extension.response_type,
    }
    function.resource = resource  # type: ignore[attr-defined]  # lets a test see that the boundary is in between
    return function
