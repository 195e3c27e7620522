"""The web extension that the worker runtime looks for (azurefunctions-extensions-base).

The runtime takes the module in which the first subclass of its WebApp was defined, and from it `WebApp` and
`WebServer`; it knows requests and responses by the types that are recorded here. Importing this module is choosing it:
only one web extension may be imported in a process.
"""

from collections.abc import Mapping
from typing import ClassVar

from azurefunctions.extensions.base import RequestSynchronizer as BaseSynchronizer
from azurefunctions.extensions.base import RequestTrackerMeta, ResponseLabels, ResponseTrackerMeta
from azurefunctions.extensions.base import WebApp as BaseApp
from azurefunctions.extensions.base import WebServer as BaseServer

from shared import telemetry
from shared.web_extension.connection import Serve
from shared.web_extension.limits import Limits
from shared.web_extension.messages import ServerRequest, ServerResponse
from shared.web_extension.server import HttpServer


class RequestSynchronizer(BaseSynchronizer):  # type: ignore[misc]  # the base is not typed
    """Called when the invocation of a request takes it."""

    def sync_route_params(self, request: ServerRequest, path_params: Mapping[str, str] | None) -> None:
        """Give `request` the values of the host's route template."""
        request.path_params = dict(path_params or {})
        request.claimed = True


class Request(metaclass=RequestTrackerMeta):  # type: ignore[metaclass]  # the base is not typed
    """Records the type of requests."""

    request_type = ServerRequest
    synchronizer = RequestSynchronizer()


class Response(metaclass=ResponseTrackerMeta):  # type: ignore[metaclass]  # the base is not typed
    """Records the type of responses."""

    label = ResponseLabels.STANDARD
    response_type = ServerResponse


class WebApp(BaseApp):  # type: ignore[misc]  # the base is not typed
    """Holds the one function of the runtime that every request goes to."""

    def __init__(self) -> None:
        self._serve: Serve | None = None

    def route(self, func: Serve) -> Serve:
        """Send every request to `func`, whatever its path and method."""
        self._serve = func
        return func

    def get_app(self) -> Serve | None:
        """The app that `route` was given."""
        return self._serve


class WebServer(BaseServer):  # type: ignore[misc]  # the base is not typed
    """Started by the runtime when the app has been loaded."""

    limits: ClassVar[Limits] = Limits()
    """Set by the app while it is loaded: the runtime makes the server and knows no limits."""

    async def serve(self) -> None:
        """Serve for the life of the process. Ends the process when it cannot: the host starts another."""
        try:
            await HttpServer(self.web_app, self.limits).run(self.hostname, self.port)
        except OSError as error:
            telemetry.failure("server-not-started", error)
            raise SystemExit(1) from error
