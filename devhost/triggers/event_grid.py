"""Event Grid triggers: `/runtime/webhooks/EventGrid?functionName=X`, as the Functions extension answers it."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from devhost.event_grid.topics import Event
from devhost.functions import Function
from devhost.worker.invoker import FunctionFailed, Invoker


class EventGridTrigger:
    """Runs one function per event, all events of a request at once."""

    def __init__(self, functions: Iterable[Function], invoker: Invoker) -> None:
        self._functions = {function.name.lower(): function for function in functions}
        self._invoker = invoker

    def function(self, name: str) -> Function | None:
        """The function with that name, in any case."""
        return self._functions.get(name.lower())

    async def run(self, function: Function, event: Event) -> None:
        """Run `function` for one event. Raises FunctionFailed."""
        await self._invoker.run(
            function, {function.trigger["name"]: ("json", json.dumps(event))}, reason="EventGrid trigger fired"
        )

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer a delivery, or the question of a new subscription."""
        name = request.query.get("functionName", "")
        function = self.function(name)
        if function is None:
            return web.Response(status=404, text=f"cannot find function: '{name}'")
        if request.method == "OPTIONS":
            origin = request.headers.get("WebHook-Request-Origin", "")
            return web.Response(headers={"WebHook-Allowed-Origin": origin})
        try:
            content: Any = json.loads(await request.read())
        except ValueError:
            return web.Response(status=400)
        events = content if isinstance(content, list) else [content]
        match request.headers.get("aeg-event-type", ""):
            case "SubscriptionValidation":
                return web.json_response({"validationResponse": events[0]["data"]["validationCode"]})
            case "Unsubscribe":
                return web.Response(status=202)
            case "Notification":
                results = await asyncio.gather(*(self.run(function, event) for event in events), return_exceptions=True)
                failures = [str(result) for result in results if isinstance(result, FunctionFailed)]
                others = [result for result in results if isinstance(result, BaseException)]
                if failures:
                    return web.Response(status=500, text=failures[0])
                if others:
                    raise others[0]
                return web.Response(status=202)
            case _:
                return web.Response(status=400)
