"""A container of another account, in memory."""

from collections.abc import AsyncIterator, Awaitable, Callable

from shared.storage.ports import ContainerRefused
from tests.fakes.blobs import MemoryBlobStore

URL = "memory:"
"""What stands in front of the name of a file in the URLs of `Urls`."""

type Hook = Callable[[str], Awaitable[None]]
"""Called with 'create', 'append', 'copy' or 'write'."""


class Urls:
    """Lets a MemoryContainer read files."""

    async def url(self, name: str) -> str:
        return f"{URL}{name}"


class MemoryContainer:
    """A ForeignContainer that can copy files of `source`, unless `copies` is False; `refused`: nobody may write."""

    def __init__(self, source: MemoryBlobStore) -> None:
        self.source = source
        self.copies = True
        self.refused = ""
        self.before: Hook | None = None
        self.after: Hook | None = None
        self.blobs: dict[str, bytes] = {}
        self.calls: list[tuple[str, str]] = []
        """The requests, as operation and name."""

    def log(self, operation_id: str) -> list[bytes]:
        """The lines of an error log."""
        return self.blobs[f"{operation_id}/errors.log"].splitlines()

    def files(self) -> dict[str, bytes]:
        """The blobs that are no error log, by their names."""
        return {name: data for name, data in self.blobs.items() if not name.endswith("/errors.log")}

    async def create_log(self, name: str) -> None:
        await self._begin("create", name)
        self.blobs[name] = b""
        await self._end("create")

    async def append(self, name: str, data: bytes) -> None:
        await self._begin("append", name)
        self.blobs[name] += data
        await self._end("append")

    async def copy(self, name: str, source_url: str) -> bool:
        await self._begin("copy", name, refuses=False)
        stored = source_url.removeprefix(URL)
        if self.refused or not self.copies or stored not in self.source.names():
            return False
        self.blobs[name] = self.source.content(stored)
        await self._end("copy")
        return True

    async def write(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        await self._begin("write", name)
        self.blobs[name] = b"".join([chunk async for chunk in chunks])
        await self._end("write")

    async def close(self) -> None:
        """Nothing to close."""

    async def _begin(self, operation: str, name: str, *, refuses: bool = True) -> None:
        self.calls.append((operation, name))
        if self.before:
            await self.before(operation)
        if refuses and self.refused:
            raise ContainerRefused(self.refused)

    async def _end(self, operation: str) -> None:
        if self.after:
            await self.after(operation)
