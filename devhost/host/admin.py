"""The host's own paths: `/admin`, `/runtime/webhooks`, and the local Event Grid under `/runtime/devhost`."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from devhost.arguments import is_loopback
from devhost.event_grid.topics import LONGEST_REQUEST, Refused
from devhost.functions import Function
from devhost.host.listeners import Listeners
from devhost.host.routes import decoded_path
from devhost.worker.invoker import FunctionFailed
from devhost.worker.pool import WorkerPool

log = logging.getLogger("devhost")

VERSION: Final = "4.0.devhost"


def topic_path(topic: str) -> str:
    """The path of a topic's publishing endpoint."""
    return f"/runtime/devhost/topics/{quote(topic)}/api/events"


def from_this_machine(request: web.BaseRequest) -> bool:
    """Whether the client is on this machine: its address is a loopback address, or the one that it has reached."""
    here = request.transport.get_extra_info("sockname") if request.transport else None
    return is_loopback(request.remote or "") or (here is not None and here[0] == request.remote)


class Admin:
    """Answers the host's own paths."""

    def __init__(self, functions: Mapping[str, Function], pool: WorkerPool, running: Callable[[], bool]) -> None:
        self._functions = {name.lower(): function for name, function in functions.items()}
        self._pool = pool
        self._running = running
        self._started = time.monotonic()
        self._by_hand: set[asyncio.Task[None]] = set()
        self.listeners: Listeners | None = None

    async def __call__(self, request: web.BaseRequest, target: str) -> web.StreamResponse | None:
        """The answer, or None when the path belongs to a function."""
        if not target[:9].lower().startswith(("/admin", "/runtime")):
            return None
        if not from_this_machine(request):
            return web.Response(status=404)
        parts = decoded_path(target).strip("/").split("/")
        match [part.lower() for part in parts], request.method:
            case ["admin", "host", "ping"], _:
                return web.Response()
            case ["admin", "host", "status"], "GET":
                return self._status()
            case ["admin", "functions"], "GET":
                return web.json_response([_shown(function) for function in self._functions.values()])
            case ["admin", "functions", name], "GET":
                function = self._functions.get(name)
                return web.json_response(_shown(function)) if function else web.Response(status=404)
            case ["admin", "functions", name, "status"], "GET":
                return web.json_response({}) if name in self._functions else web.Response(status=404)
            case ["admin", "functions", name], "POST":
                return await self._start_by_hand(request, self._functions.get(name))
            case ["runtime", *rest], _ if self.listeners is not None:
                return await self._runtime(request, rest, self.listeners)
            case _:
                return web.Response(status=404)

    def _status(self) -> web.Response:
        return web.json_response(
            {
                "id": "devhost",
                "state": "Running" if self._running() else "Initialized",
                "version": VERSION,
                "versionDetails": "devhost",
                "processUptime": int((time.monotonic() - self._started) * 1000),
                "workers": [{"number": worker.number, "pid": worker.pid} for worker in self._pool.workers],
            }
        )

    async def _start_by_hand(self, request: web.BaseRequest, function: Function | None) -> web.Response:
        if function is None or self.listeners is None:
            return web.Response(status=404)
        if function.kind == "httptrigger":
            return web.Response(status=400, text="an HTTP function is started at its own route")
        try:
            content: Any = json.loads(await request.read() or b"{}")
        except ValueError:
            return web.Response(status=400)
        given = content.get("input", "") if isinstance(content, dict) else ""
        text = given if isinstance(given, str) else json.dumps(given)
        task = asyncio.create_task(_quietly(self.listeners, function, text))
        self._by_hand.add(task)
        task.add_done_callback(self._by_hand.discard)
        return web.Response(status=202)

    async def _runtime(self, request: web.BaseRequest, parts: list[str], listeners: Listeners) -> web.Response:
        match parts:
            case ["webhooks", "eventgrid"]:
                return await listeners.event_grid_trigger.handle(request)
            case ["webhooks", "blobs"]:
                return await _blobs(request, listeners)
            case ["devhost", "topics", topic, "api", "events"] if request.method == "POST":
                return await _publish(request, topic, listeners)
            case ["devhost", "validate"]:
                code = request.query.get("code", "")
                known = [delivery for delivery in listeners.deliveries if delivery.confirm(code)]
                return web.Response(status=200 if known else 404)
            case ["devhost", "events"] if request.method == "GET":
                return web.json_response(
                    {delivery.subscription.name: delivery.outstanding for delivery in listeners.deliveries}
                )
            case _:
                return web.Response(status=404)


async def _quietly(listeners: Listeners, function: Function, text: str) -> None:
    try:
        await listeners.start_by_hand(function, text)
    except FunctionFailed:
        return  # the log has it


async def _blobs(request: web.BaseRequest, listeners: Listeners) -> web.Response:
    name = request.query.get("functionName", "").rpartition(".")[2]
    trigger = listeners.blobs.get(name.lower())
    if trigger is None:
        return web.Response(status=404, text=f"cannot find function: '{name}'")
    try:
        content: Any = json.loads(await request.read())
    except ValueError:
        return web.Response(status=400)
    events = content if isinstance(content, list) else [content]
    if request.headers.get("aeg-event-type") == "SubscriptionValidation":
        return web.json_response({"validationResponse": events[0]["data"]["validationCode"]})
    for event in events:
        trigger.receive(event)
    return web.Response(status=202)


async def _publish(request: web.BaseRequest, topic: str, listeners: Listeners) -> web.Response:
    if (request.content_length or 0) > LONGEST_REQUEST:
        return web.json_response({"error": {"code": "PayloadTooLarge"}}, status=413)
    body = await request.content.read(LONGEST_REQUEST + 1) if request.content_length is None else await request.read()
    try:
        listeners.event_grid.receive(topic, request.headers, body)
    except Refused as refused:
        return web.json_response({"error": {"message": str(refused)}}, status=refused.status)
    return web.Response()


def _shown(function: Function) -> dict[str, object]:
    return {
        "name": function.name,
        "language": "python",
        "isDisabled": False,
        "config": {"bindings": [json.loads(text) for text in function.description.bindings]},
    }
