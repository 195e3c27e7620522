"""A container in memory."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

from shared.errors import Unavailable
from shared.storage.blob_upload import UPLOAD_ID, ComposedStagedUpload, check_metadata, new_upload_id
from shared.storage.ports import BlobExists, BlobNotFound, BlobPage, BlobProperties

type Hook = Callable[[str, str], Awaitable[None]]
"""Called with 'blob' and the operation: 'put', 'block', 'commit', 'read', 'open', 'properties', 'delete',
'list' or 'copy'."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Blob:
    data: bytes
    etag: str
    created: datetime
    metadata: Mapping[str, str]

    def properties(self, name: str) -> BlobProperties:
        metadata = {key: value for key, value in self.metadata.items() if key != UPLOAD_ID}
        return BlobProperties(name, len(self.data), self.etag, self.created, metadata)


@dataclass(frozen=True, slots=True)
class _Reader:
    length: int
    etag: str
    data: bytes
    piece: int

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.data), self.piece):
            yield self.data[start : start + self.piece]


class MemoryBlobStore:
    """A BlobStore in memory.

    `before` runs ahead of each request and `after` behind it; what they raise reaches the caller, as in
    MemoryTableStore. `chunk_bytes` is the size of a reader's pieces. `others` are the containers of the account into
    which blobs can be copied.
    """

    def __init__(
        self,
        *,
        before: Hook | None = None,
        after: Hook | None = None,
        now: Callable[[], datetime] = _now,
        chunk_bytes: int = 1024**2,
        others: "Mapping[str, MemoryBlobStore] | None" = None,
        copies_ranges: bool = True,
    ) -> None:
        self.copies_ranges = copies_ranges
        self.before = before
        self.after = after
        self.requests = 0
        self._now = now
        self._chunk_bytes = chunk_bytes
        self._others = others or {}
        self._etags = count(1)
        self._blobs: dict[str, _Blob] = {}
        self._staged: dict[tuple[str, str], bytes] = {}

    # ---- what tests look at and do, without a request

    def names(self) -> list[str]:
        """The names of all blobs, sorted."""
        return sorted(self._blobs)

    def content(self, name: str) -> bytes:
        """The bytes of a blob."""
        return self._blobs[name].data

    def drop(self, name: str, data: bytes, metadata: Mapping[str, str] | None = None) -> None:
        """Put a blob there as somebody outside the service would."""
        self._blobs[name] = _Blob(data, f'"0x{next(self._etags):X}"', self._now(), metadata or {})

    # ---- BlobStore

    def upload(self, name: str) -> ComposedStagedUpload:
        return ComposedStagedUpload(self, name)

    async def put(self, name: str, data: bytes, metadata: Mapping[str, str]) -> BlobProperties:
        check_metadata(metadata)
        return await self.write_blob(name, data, {**metadata, UPLOAD_ID: new_upload_id()})

    async def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        await self._begin("read")
        data = _cut(self._find(name).data, offset, length)
        await self._end("read")
        return data

    async def read_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        await self._begin("read")
        blob = self._find(name)
        pieces = [_cut(blob.data, offset, length) for offset, length in ranges]
        await self._end("read")
        return pieces

    async def open(self, name: str, offset: int = 0, length: int | None = None) -> _Reader:
        await self._begin("open")
        blob = self._find(name)
        data = _cut(blob.data, offset, length)
        await self._end("open")
        return _Reader(len(data), blob.etag, data, self._chunk_bytes)

    async def properties(self, name: str) -> BlobProperties:
        await self._begin("properties")
        properties = self._find(name).properties(name)
        await self._end("properties")
        return properties

    async def delete(self, name: str, *, etag: str = "") -> bool:
        await self._begin("delete")
        found = name in self._blobs and etag in ("", self._blobs[name].etag)
        if found:
            del self._blobs[name]
        await self._end("delete")
        return found

    async def list(self, prefix: str = "") -> AsyncIterator[BlobProperties]:
        await self._begin("list")
        for name in self.names():
            if name.startswith(prefix) and name in self._blobs:
                yield self._blobs[name].properties(name)
        await self._end("list")

    async def page(self, marker: str = "", *, top: int = 1000) -> BlobPage:
        await self._begin("list")
        staged = {name for name, _ in self._staged}
        names = [name for name in sorted({*self._blobs, *staged}) if name >= marker]
        full = [name for name in names[:top] if name in self._blobs and self._blobs[name].data]
        page = BlobPage(
            [self._blobs[name].properties(name) for name in full],
            "".join(names[top : top + 1]),
            [name for name in names[:top] if name not in full],
        )
        await self._end("list")
        return page

    async def remove_staged(self, name: str) -> bool:
        await self._begin("delete")
        empty = name not in self._blobs or not self._blobs[name].data
        if empty:
            self._blobs.pop(name, None)
            self._staged = {key: data for key, data in self._staged.items() if key[0] != name}
        await self._end("delete")
        return empty

    async def copy_to(self, container: str, name: str, *, etag: str, metadata: Mapping[str, str]) -> None:
        check_metadata(metadata)
        await self._begin("copy")
        if self._find(name).etag != etag:
            raise BlobNotFound("No such version of the blob")
        self._others[container].drop(name, self._find(name).data, metadata)
        await self._end("copy")

    async def ensure_container(self) -> None:
        """Always there."""

    async def ping(self) -> None:
        """Always there."""

    async def close(self) -> None:
        """Nothing to release."""

    # ---- BlockWriter

    async def write_blob(self, name: str, data: bytes, metadata: Mapping[str, str]) -> BlobProperties:
        await self._begin("put")
        properties = self._create(name, data, metadata)
        await self._end("put")
        return properties

    async def stage_block(self, name: str, block: str, data: bytes) -> None:
        await self._begin("block")
        self._staged[name, block] = data
        await self._end("block")

    async def copy_block(self, name: str, block: str, source: str, span: tuple[int, int]) -> bool:
        await self._begin("copy")
        self._staged[name, block] = _cut(self._find(source).data, *span)
        await self._end("copy")
        return True

    async def commit_blocks(
        self, name: str, blocks: Sequence[str], length: int, metadata: Mapping[str, str]
    ) -> BlobProperties:
        await self._begin("commit")
        if name in self._blobs:
            raise BlobExists("A blob of that name exists")
        if any((name, block) not in self._staged for block in blocks):
            raise Unavailable("The blob was not written")
        properties = self._create(name, b"".join(self._staged[name, block] for block in blocks), metadata)
        assert properties.length == length
        await self._end("commit")
        return properties

    # ---- inside

    def _create(self, name: str, data: bytes, metadata: Mapping[str, str]) -> BlobProperties:
        if name in self._blobs:
            raise BlobExists("A blob of that name exists")
        self.drop(name, data, dict(metadata))
        for staged in [key for key in self._staged if key[0] == name]:
            del self._staged[staged]
        return self._blobs[name].properties(name)

    def _find(self, name: str) -> _Blob:
        try:
            return self._blobs[name]
        except KeyError:
            raise BlobNotFound("No blob of that name") from None

    async def _begin(self, operation: str) -> None:
        self.requests += 1
        if self.before:
            await self.before("blob", operation)

    async def _end(self, operation: str) -> None:
        if self.after:
            await self.after("blob", operation)


def _cut(data: bytes, offset: int, length: int | None) -> bytes:
    if offset < 0 or (length is not None and length < 0):
        raise ValueError("A range starts at 0 or later and is not negative")
    return data[offset:] if length is None else data[offset : offset + length]
