"""The whole host: settings, workers, HTTP front, listeners; started and ended in order."""

import asyncio
import errno
import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import ClientError, ClientSession, web

from devhost.azurite.storage_account import warm_up
from devhost.event_grid.subscriptions import EVENTS_TOPIC, WEBHOOKS_FILE, read_webhooks
from devhost.event_grid.topics import RetryPolicy
from devhost.functions import Function, read_functions
from devhost.host.admin import Admin, topic_path
from devhost.host.http_front import Front
from devhost.host.http_server import HttpServer
from devhost.host.listeners import Listeners
from devhost.host.refusals import not_running
from devhost.host.routes import InvalidTemplate, Route, Router
from devhost.settings import DEFAULT_BODY_LIMIT, Unusable, read_host_json, resolved
from devhost.worker.invoker import Invoker
from devhost.worker.pool import WorkerCommand, WorkerPool

log = logging.getLogger("devhost")

HEALTH: Final = "/health/check"
_READY_SECONDS: Final = 120.0
_DRAIN_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class HostArguments:
    """The way in which an app is run."""

    app: Path
    settings: Mapping[str, str]
    """The app settings, environment included; `UseDevelopmentStorage=true` already made explicit."""
    address: str = "127.0.0.1"
    port: int = 0
    """0: any free one."""
    workers: int = 1
    log_level: str = "WARNING"
    webhooks: Path | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    watch_blobs: bool = True
    buffer_bodies: bool = False
    """Read a request body with a length whole before its function starts, as the Functions host does."""
    background: bool = True
    """False: the app gets no local topic and timers do not fire; what follows a transaction is started by hand."""


def routes_of(functions: list[Function], settings: Mapping[str, str], prefix: str) -> Router:
    """The routes of the HTTP functions. Raises Unusable."""
    try:
        return Router(
            Route(
                function.name,
                resolved(str(function.trigger.get("route") or function.name), settings),
                function.trigger.get("methods") or (),
                prefix,
            )
            for function in functions
            if function.kind == "httptrigger"
        )
    except InvalidTemplate as error:
        raise Unusable(str(error)) from error


class DevHost:
    """An app being run."""

    def __init__(self, arguments: HostArguments) -> None:
        """Raises Unusable."""
        self._arguments = arguments
        self._options = read_host_json(arguments.app, arguments.settings)
        self._runner: web.ServerRunner | None = None
        self._front: Front | None = None
        self._pool: WorkerPool | None = None
        self._listeners: Listeners | None = None
        self._ready = False
        self.url = ""
        self.port = 0
        self.version = ""
        """The version of the app, from its health check; empty when that has none."""
        self.functions: list[Function] = []
        self.router = Router(())

    async def index(self) -> None:
        """Start the workers and read the functions that they found. Raises Unusable."""
        arguments = self._arguments
        key = arguments.settings.get("DICOM_EVENTS_TOPIC_KEY") or secrets.token_urlsafe(32)
        environment = {
            **arguments.settings,
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
            "AzureWebJobsScriptRoot": str(arguments.app),
            "WEBSITE_HOSTNAME": self.url.removeprefix("http://"),
        }
        if arguments.background and not arguments.settings.get("DICOM_EVENTS_TOPIC"):
            environment["DICOM_EVENTS_TOPIC"] = self.url + topic_path(EVENTS_TOPIC)
            environment["DICOM_EVENTS_TOPIC_KEY"] = key
        command = WorkerCommand(arguments.app, environment, arguments.log_level)
        self._pool = WorkerPool(command, arguments.workers, self._options.function_timeout)
        loaded, _ = await asyncio.gather(self._pool.start(), asyncio.to_thread(warm_up))
        self.functions = read_functions(
            loaded.functions, streaming=bool(loaded.http), bundle=self._options.extension_bundle
        )
        self.router = routes_of(self.functions, arguments.settings, self._options.route_prefix)
        self._listeners = Listeners(
            self.functions,
            arguments.settings,
            self._options,
            Invoker(self._pool),
            topic_key=key,
            base_url=self.url,
            policy=arguments.retry,
            watch_blobs=arguments.watch_blobs,
            run_timers=arguments.background,
        )

    async def start(self) -> None:
        """Run the app; it serves when this returns. Raises Unusable."""
        arguments = self._arguments
        site = await self._listen()
        try:
            await self.index()
            assert self._pool is not None
            assert self._listeners is not None
            by_name = {function.name: function for function in self.functions}
            limit = int(arguments.settings.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT") or DEFAULT_BODY_LIMIT)
            admin = Admin(by_name, self._pool, lambda: self._ready)
            admin.listeners = self._listeners
            self._front = Front(self.router, by_name, self._pool, limit, admin, buffer_bodies=arguments.buffer_bodies)
            site.open(self._front)
            own = arguments.app / WEBHOOKS_FILE
            webhooks = arguments.webhooks or (own if own.exists() else None)
            await self._listeners.start(read_webhooks(webhooks) if webhooks else [])
            await self._await_health()
            self._ready = True
        except BaseException:
            await self.stop()
            raise
        for route in self.router.routes:
            log.info(
                "Mapped %s [%s] to '%s'", route.template.text, ",".join(sorted(route.methods)) or "all", route.function
            )

    async def _listen(self) -> "_Site":
        """Take the port before the workers start: the app is told its own address."""
        arguments = self._arguments
        site = _Site()
        self._runner = web.ServerRunner(site.server(), shutdown_timeout=_DRAIN_SECONDS)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, arguments.address, arguments.port, backlog=1024).start()
        except OSError as error:
            await self._runner.cleanup()
            raise Unusable(_not_listening(arguments.address, arguments.port, error)) from error
        host, port = self._runner.addresses[0][:2]
        self.port = port
        self.url = f"http://{'127.0.0.1' if host in {'0.0.0.0', '::'} else host}:{port}"
        return site

    async def _await_health(self) -> None:
        match = self.router.match("GET", HEALTH)
        if match is None or any(character in _template_of(self.router, match.function) for character in "{}"):
            return
        answer = "nothing"
        async with ClientSession() as session:
            try:
                async with asyncio.timeout(_READY_SECONDS):
                    while True:
                        try:
                            async with session.get(self.url + HEALTH) as response:
                                if response.status == 200:
                                    self.version = _version_in(await response.text())
                                    return
                                answer = f"{response.status} {(await response.text())[:300]}"
                        except ClientError as error:
                            answer = repr(error)
                        await asyncio.sleep(0.1)
            except TimeoutError as error:
                raise Unusable(f"{HEALTH} does not answer 200; the last answer was {answer}") from error

    async def stop(self) -> None:
        """End everything: listeners first, then requests under way, then the workers."""
        if self._listeners is not None:
            await self._listeners.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._front is not None:
            await self._front.close()
        if self._pool is not None:
            await self._pool.stop()

    def summary(self) -> str:
        """The functions of the app, as JSON lines."""
        return "\n".join(
            json.dumps({"function": function.name, "trigger": dict(function.trigger)}) for function in self.functions
        )


class _Site:
    """The listening socket of a host whose front is not built yet: until then it answers 503."""

    def __init__(self) -> None:
        self._front: Front | None = None

    def open(self, front: Front) -> None:
        self._front = front

    def server(self) -> web.Server:
        return HttpServer(self._handle)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._front is None:
            return not_running()
        return await self._front.handle(request)


def _version_in(health: str) -> str:
    try:
        content = json.loads(health)
    except ValueError:
        return ""
    facts = content if isinstance(content, dict) else {}
    return " ".join(str(facts[name]) for name in ("version", "commit") if name in facts)


def _not_listening(address: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken: is another `make run` up? PORT= chooses another"
    return f"{address}:{port} cannot be listened on: {error.strerror}"


def _template_of(router: Router, function: str) -> str:
    return next(route.template.text for route in router.routes if route.function == function)
