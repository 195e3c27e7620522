"""The worker process: azure-functions-runtime on a plain asyncio loop, driven over a socket.

Started by `pool.py` with two inherited file descriptors: the socket of the channel, and the reading end of a
pipe that the host holds open. When the pipe ends, the host has died and this process ends at once.
"""

import asyncio
import json
import logging
import os
import socket
import sys
import threading
from datetime import timedelta
from typing import Any, Final, Never

from devhost.functions import FunctionDescription
from devhost.log import LOST
from devhost.worker import rpc
from devhost.worker.channel import Channel, Invocation, Loaded, Outcome, Value

_LOOPBACK: Final = "127.0.0.1"
_ABANDONED_AFTER: Final = 1.0
"""Seconds after which an invocation whose client has gone stops waiting for its HTTP request."""

_NEVER_ARRIVED: Final = "the client went away before its request arrived"
_ANSWERED: Final = "the request was answered without the function, or before it ended; the invocation was ended"
_DESIGNED: Final = "Misconfigured: "
"""An app that refuses its settings by an error of this name has said all that there is to say."""
_RUNTIME_LOGGERS: Final = ("azure_functions_runtime", "devhost")
"""Their lines are the worker's own: the Functions host keeps them whenever they are written."""


def typed_data(value: Value) -> rpc.TypedData:
    """The message for a plain value of the channel."""
    kind, content = value
    if kind == "http":
        return rpc.TypedData(http=rpc.RpcHttp(params=content))
    if kind == "model_binding_data":
        fields = {**content, "content": json.dumps(content["content"]).encode()}
        return rpc.TypedData(model_binding_data=rpc.ModelBindingData(**fields))
    return rpc.TypedData(**{kind: content})


def _seconds(delay: object) -> float:
    return delay.total_seconds() if isinstance(delay, timedelta) else 0.0


def _described(metadata: rpc.RpcFunctionMetadata) -> FunctionDescription:
    values: Any = metadata
    retry: Any = values.retry_options
    description = FunctionDescription(values.function_id, values.name, list(values.raw_bindings))
    if retry is None:
        return description
    if retry.delay_interval is not None:
        delays = (_seconds(retry.delay_interval),) * 2
    else:
        delays = (_seconds(retry.minimum_interval), _seconds(retry.maximum_interval))
    return description._replace(
        retry_strategy=str(retry.retry_strategy), max_retry_count=int(retry.max_retry_count), retry_delays=delays
    )


class Worker:
    """The runtime and the invocations under way."""

    def __init__(self, app: str, running: set[str]) -> None:
        """`running` is kept up to date: the ids of the invocations that the host knows as running."""
        import azure_functions_runtime as runtime  # takes a third of a second, so not for importers of this module

        self._runtime: Any = runtime
        self._runtime.start_threadpool_executor()
        self._app = app
        self._running = running
        self._properties = {"host": _LOOPBACK, "protos": rpc}
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._channel: Channel | None = None
        self.ended = asyncio.Event()

    async def connect(self, sock: socket.socket) -> None:
        """Open the channel on `sock`."""
        loop = asyncio.get_running_loop()
        _, self._channel = await loop.create_connection(lambda: Channel(self._received, self.ended.set), sock=sock)

    def _envelope(self, **message: Any) -> rpc.Envelope:
        return rpc.Envelope(self._properties, **message)

    def _received(self, message: Any) -> None:
        kind, number, content = message
        if kind == "abandon":
            asyncio.get_running_loop().call_later(_ABANDONED_AFTER, self._abandon, content)
            return
        if kind == "end":
            asyncio.get_running_loop().call_later(_ABANDONED_AFTER, self._end, content, _ANSWERED)
            return
        task = asyncio.create_task(self._answer(kind, number, content))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if kind == "invoke":
            self._waiting[content.id] = task

    async def _answer(self, kind: str, number: int, content: Any) -> None:
        answer: object = await (self.invoke(content) if kind == "invoke" else self.load())
        if self._channel is not None:
            self._channel.send((number, answer))

    async def load(self) -> Loaded:
        """Import the app and index its functions; its HTTP server starts when it has functions that stream."""
        request = rpc.WorkerInitRequest(host_version="4.0", capabilities={}, function_app_directory=self._app)
        answer = await self._runtime.worker_init_request(self._envelope(worker_init_request=request))
        if answer.result.status != rpc.StatusResult.Success:
            failure = answer.result.exception
            designed = failure.message.startswith(_DESIGNED)
            return Loaded([], "", failure.message if designed else f"{failure.message}\n{failure.stack_trace}")
        listing = await self._runtime.functions_metadata_request(self._envelope())
        functions = [_described(metadata) for metadata in listing.function_metadata_results or []]
        for function in functions:
            load = rpc.FunctionLoadRequest(function_id=function.id)
            await self._runtime.function_load_request(self._envelope(function_load_request=load))
        return Loaded(functions, answer.capabilities.get("HttpUri", ""))

    async def invoke(self, invocation: Invocation) -> Outcome:
        """Run one function to its end. The body of a streamed response is sent after that."""
        self._runtime.invocation_id_cv.set(invocation.id)
        request = rpc.InvocationRequest(
            invocation_id=invocation.id,
            function_id=invocation.function_id,
            input_data=[
                rpc.ParameterBinding(name=name, data=typed_data(value)) for name, value in invocation.inputs.items()
            ],
            trigger_metadata={name: typed_data(value) for name, value in invocation.metadata.items()},
            trace_context=rpc.TraceContext(trace_parent="", trace_state="", attributes={}),
            retry_context=rpc.RetryContext(
                retry_count=invocation.retry_count, max_retry_count=invocation.max_retry_count
            ),
        )
        self._running.add(invocation.id)
        try:
            answer = await self._runtime.invocation_request(self._envelope(invocation_request=request))
        except asyncio.CancelledError as reason:
            return Outcome(str(reason) or "cancelled")
        finally:
            self._running.discard(invocation.id)
            self._waiting.pop(invocation.id, None)
        if answer.result.status == rpc.StatusResult.Success:
            return Outcome()
        failure = answer.result.exception
        return Outcome(failure.message or "failed", failure.stack_trace or "")

    def _abandon(self, invocation_id: str) -> None:
        """End an invocation that would wait for ever: its HTTP request never reached the server of this process."""
        reference = _references().get(invocation_id)
        if reference is None or not reference.http_request_available_event.is_set():
            self._end(invocation_id, _NEVER_ARRIVED)

    def _end(self, invocation_id: str, reason: str) -> None:
        """End an invocation, if it has not ended yet."""
        task = self._waiting.get(invocation_id)
        if task is not None:
            task.cancel(reason)
            _references().pop(invocation_id, None)


def _references() -> dict[str, Any]:
    """The runtime's own record of the HTTP requests of invocations."""
    coordinator = getattr(sys.modules.get("azure_functions_runtime.http_v2"), "http_coordinator", None)
    return getattr(coordinator, "_context_references", {})


def _log(number: str, level: str, running: set[str]) -> None:
    import azure_functions_runtime as runtime

    def tag(record: logging.LogRecord) -> bool:
        invocation = runtime.invocation_id_cv.get()
        own = record.name.startswith(_RUNTIME_LOGGERS)
        record.invocation = f" [{invocation}]" if invocation in running else "" if own else f" [{LOST}]"
        return True

    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(tag)
    handler.setFormatter(
        logging.Formatter(f"%(asctime)s %(levelname)s worker {number}%(invocation)s %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level)
    logging.getLogger("azure.functions").setLevel(root.level)
    # The HTTP server of the worker sets its own levels and handlers when it starts, but leaves filters alone.
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).addFilter(lambda record: record.levelno >= max(root.level, logging.WARNING))
    logging.getLogger("uvicorn.access").addFilter(lambda _: False)


def _die_with_host(descriptor: int) -> None:
    os.read(descriptor, 1)
    os._exit(0)


def _exit(code: int) -> Never:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads of the app must not keep the process


async def _run(sock: int, app: str, running: set[str]) -> None:
    worker = Worker(app, running)
    await worker.connect(socket.socket(fileno=sock))
    await worker.ended.wait()
    _exit(0)


def main(arguments: list[str]) -> None:
    """Run a worker: the channel's descriptor, the pipe's, the app's directory, its number and the log level."""
    sock, pipe, app, number, level = arguments
    threading.Thread(target=_die_with_host, args=(int(pipe),), daemon=True).start()
    sys.path.insert(0, app)
    os.chdir(app)
    running: set[str] = set()
    _log(number, level, running)
    try:
        asyncio.run(_run(int(sock), app, running))
    except BaseException:
        logging.getLogger("devhost").exception("The worker failed")
        _exit(1)
