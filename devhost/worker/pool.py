"""The worker processes: started, chosen in turn, replaced when they die, ended with the host."""

import asyncio
import contextlib
import itertools
import logging
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from devhost.settings import Unusable
from devhost.worker.channel import Channel, Invocation, Loaded, Outcome

log = logging.getLogger("devhost")

_ROOT: Final = Path(__file__).resolve().parents[2]
_BOOTSTRAP: Final = (
    "import sys; sys.path.append(sys.argv[1]); from devhost.worker.process import main; main(sys.argv[2:])"
)
"""The app's own directory comes first on the path, this package last."""
_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 5.0
_LONGEST_PAUSE: Final = 30.0


class WorkerEnded(Exception):
    """The worker process ended while it ran the invocation."""


class NoWorker(Exception):
    """No worker process is up."""


@dataclass(frozen=True, slots=True)
class WorkerCommand:
    """The start parameters that all worker processes of an app share."""

    app: Path
    environment: Mapping[str, str]
    log_level: str = "WARNING"


class Worker:
    """One worker process and the line to it."""

    def __init__(self, command: WorkerCommand, number: int) -> None:
        self._command = command
        self.number = number
        self._process: asyncio.subprocess.Process | None = None
        self._channel = Channel(self._received, self._disconnected)
        self._pipe = -1
        self._numbers = itertools.count(1)
        self._answers: dict[int, tuple[asyncio.Future[Any], float]] = {}
        self._exchanges: dict[int, float] = {}
        self.ended = asyncio.Event()
        self.http = ""
        self.loaded = Loaded([], "")

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Start the process and let it index the app. Raises Unusable when it cannot."""
        ours, theirs = socket.socketpair()
        theirs_pipe, self._pipe = os.pipe()
        try:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _BOOTSTRAP, str(_ROOT),
                str(theirs.fileno()), str(theirs_pipe), str(self._command.app), str(self.number),
                self._command.log_level,
                pass_fds=(theirs.fileno(), theirs_pipe), env=dict(self._command.environment),
                stdin=asyncio.subprocess.DEVNULL, stdout=sys.stderr.fileno(), start_new_session=True,
            )  # fmt: skip  # read at once: one item a line says no more
        finally:
            theirs.close()
            os.close(theirs_pipe)
        await asyncio.get_running_loop().create_connection(lambda: self._channel, sock=ours)
        try:
            async with asyncio.timeout(_START_SECONDS):
                self.loaded = await self._ask("load", None)
                if self.loaded.error:
                    raise Unusable(self.loaded.error)
                await self._reach(self.loaded.http)
        except (TimeoutError, WorkerEnded) as error:
            self.kill()
            await self.stop()
            raise Unusable(f"worker {self.number} did not start: {error or 'it took too long'}") from error
        except BaseException:
            self.kill()
            await self.stop()
            raise
        self.http = self.loaded.http

    async def _reach(self, http: str) -> None:
        """Wait until the worker's own HTTP server accepts connections."""
        if not http:
            return
        host, _, port = http.removeprefix("http://").rpartition(":")
        while not self.ended.is_set():
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                await asyncio.sleep(0.01)
                continue
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return
        raise WorkerEnded("its HTTP server did not come up")

    def _received(self, message: Any) -> None:
        number, content = message
        answer = self._answers.pop(number, None)
        if answer is not None and not answer[0].done():
            answer[0].set_result(content)

    def _disconnected(self) -> None:
        self.ended.set()
        answers, self._answers = self._answers, {}
        for future, _ in answers.values():
            if not future.done():
                future.set_exception(WorkerEnded("the worker process ended"))
                future.exception()  # whoever still waits sees it; a client that has gone does not

    def _ask(self, kind: str, content: object) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.ended.is_set():
            future.set_exception(WorkerEnded("the worker process ended"))
            future.exception()
            return future
        number = next(self._numbers)
        self._answers[number] = (future, time.monotonic())
        self._channel.send((kind, number, content))
        return future

    def invoke(self, invocation: Invocation) -> asyncio.Future[Outcome]:
        """Start an invocation at once; the future ends with its outcome, or with WorkerEnded."""
        return self._ask("invoke", invocation)

    def abandon(self, invocation_id: str) -> None:
        """Say that the HTTP request of an invocation may never come."""
        self._channel.send(("abandon", 0, invocation_id))

    def end(self, invocation_id: str) -> None:
        """Say that an invocation has been answered: if it does not end by itself, it is ended."""
        self._channel.send(("end", 0, invocation_id))

    @contextlib.contextmanager
    def exchange(self) -> Iterator[None]:
        """An HTTP exchange with this worker: its invocation lasts as long, the body of the response included."""
        number = next(self._numbers)
        self._exchanges[number] = time.monotonic()
        try:
            yield
        finally:
            del self._exchanges[number]

    @property
    def busy_since(self) -> float | None:
        """When the oldest invocation under way began, on the monotonic clock; None without one."""
        started = [next(iter(times), None) for times in (self._invoked(), self._exchanges.values())]
        return min((moment for moment in started if moment is not None), default=None)

    def _invoked(self) -> Iterator[float]:
        return (started for _, started in self._answers.values())

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def stop(self) -> None:
        """Ask the process to end, and end it when it does not."""
        self._channel.close()
        if self._pipe >= 0 and self._process is not None:
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                self.kill()
                await self._process.wait()
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1


class WorkerPool:
    """A fixed number of places for worker processes."""

    def __init__(self, command: WorkerCommand, count: int, function_timeout: float | None) -> None:
        self._command = command
        self._function_timeout = function_timeout
        self._workers: list[Worker | None] = [None] * count
        self._up: list[Worker] = []
        self._turn = 0
        self._somebody_up = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> Loaded:
        """Start every worker; the answer is what the first one found in the app. Raises Unusable."""
        first = [Worker(self._command, number) for number in range(len(self._workers))]
        started = await asyncio.gather(*(worker.start() for worker in first), return_exceptions=True)
        failures = [error for error in started if isinstance(error, BaseException)]
        if failures:
            await asyncio.gather(*(worker.stop() for worker in first))
            raise failures[0]
        for number, worker in enumerate(first):
            self._enter(number, worker)
            self._tasks.append(asyncio.create_task(self._keep(number)))
        if self._function_timeout is not None:
            self._tasks.append(asyncio.create_task(self._watch(self._function_timeout)))
        return first[0].loaded

    def _enter(self, number: int, worker: Worker) -> None:
        self._workers[number] = worker
        self._up.append(worker)
        self._somebody_up.set()

    def _leave(self, number: int, worker: Worker) -> None:
        self._workers[number] = None
        self._up.remove(worker)
        if not self._up:
            self._somebody_up.clear()

    async def _keep(self, number: int) -> None:
        """Replace the worker of one place whenever it ends."""
        while True:
            worker = self._workers[number]
            if worker is None:
                return
            await worker.ended.wait()
            log.error("Worker process %d ended unexpectedly; starting another", worker.pid)
            self._leave(number, worker)
            await worker.stop()
            pause = 0.25
            while self._workers[number] is None:
                successor = Worker(self._command, number)
                try:
                    await successor.start()
                    self._enter(number, successor)
                except Unusable as error:
                    log.error("%s", error)  # noqa: TRY400 - the text holds the trace of the worker
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)

    async def _watch(self, limit: float) -> None:
        """As on Azure, a function that outlives functionTimeout costs its whole worker process."""
        while True:
            await asyncio.sleep(min(1.0, limit / 4))
            for worker in list(self._up):
                since = worker.busy_since
                if since is not None and time.monotonic() - since > limit:
                    log.error("A function ran longer than functionTimeout; ending worker process %d", worker.pid)
                    worker.kill()

    @property
    def workers(self) -> list[Worker]:
        """The workers that are up."""
        return list(self._up)

    def pick(self) -> Worker:
        """The next worker in turn. Raises NoWorker."""
        if not self._up:
            raise NoWorker("no worker process is up")
        self._turn += 1
        return self._up[self._turn % len(self._up)]

    async def available(self) -> Worker:
        """The next worker in turn, after waiting for one to be up. Raises NoWorker."""
        if not self._up:
            try:
                async with asyncio.timeout(_LONGEST_PAUSE):
                    await self._somebody_up.wait()
            except TimeoutError as error:
                raise NoWorker("no worker process came up in time") from error
        return self.pick()

    async def stop(self) -> None:
        """End every worker."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        workers, self._up = self._up, []
        await asyncio.gather(*(worker.stop() for worker in workers))
