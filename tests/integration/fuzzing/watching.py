"""A service of one worker, and what must not happen to it."""

from dataclasses import dataclass

import psutil

from devhost.testing import RunningService

MOST_GROWTH = 700 * 1024 * 1024
"""Bytes that a worker may take more than at first: the memory that transcoding may use, and caches."""


@dataclass
class Watch:
    """One worker from a moment on."""

    service: RunningService
    pid: int
    memory: int
    most: int = 0

    @classmethod
    async def begin(cls, service: RunningService) -> "Watch":
        """The worker as it is now."""
        [pid] = await service.worker_pids()
        return cls(service, pid, psutil.Process(pid).memory_info().rss)

    async def look(self) -> None:
        """The same worker is up, with bounded memory."""
        assert await self.service.worker_pids() == [self.pid], "the worker was ended"
        memory = psutil.Process(self.pid).memory_info().rss
        self.most = max(self.most, memory)
        assert memory - self.memory < MOST_GROWTH, f"{memory} bytes, at first {self.memory}"

    @property
    def listening(self) -> int:
        """The port of the worker's own HTTP server, which the host alone is to use."""
        [port] = {one.laddr.port for one in psutil.Process(self.pid).net_connections("tcp") if one.status == "LISTEN"}
        return port
