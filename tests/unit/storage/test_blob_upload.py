import asyncio
from collections.abc import Mapping, Sequence

import pytest

from shared.errors import Unavailable
from shared.storage import blob_upload
from shared.storage.blob_upload import BLOCK_BYTES, BLOCKS_IN_FLIGHT, SINGLE_PUT_BYTES, StagedUpload
from shared.storage.ports import BlobExists, BlobNotFound, BlobProperties
from tests.fakes.blobs import MemoryBlobStore


class Slow(MemoryBlobStore):
    """Blocks wait until they are let through."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.under_way = 0
        self.most = 0
        self.cancelled = 0
        self.ids: list[str] = []

    async def stage_block(self, name: str, block: str, data: bytes) -> None:
        self.ids.append(block)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1
        await super().stage_block(name, block, data)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_writer_waits_while_enough_blocks_are_under_way() -> None:
    blobs = Slow()
    upload = blobs.upload("name")
    data = bytes(range(256)) * (BLOCK_BYTES // 256) * 10
    writing = asyncio.create_task(upload.write(data))
    await settle()
    assert not writing.done()
    assert blobs.under_way == BLOCKS_IN_FLIGHT
    blobs.gate.set()
    await writing
    await upload.commit({})
    assert blobs.most == BLOCKS_IN_FLIGHT
    assert blobs.content("name") == data
    assert len(set(blobs.ids)) == 10
    assert len({len(block) for block in blobs.ids}) == 1


async def test_blocks_of_two_uploads_of_one_name_have_different_ids() -> None:
    blobs = Slow()
    blobs.gate.set()
    for _ in range(2):
        upload = blobs.upload("name")
        await upload.write(bytes(SINGLE_PUT_BYTES + 1))
        await upload.stage()
        await upload.abort()
    assert len(set(blobs.ids)) == len(blobs.ids) == 6


async def test_an_abort_ends_the_blocks_under_way() -> None:
    blobs = Slow()
    upload = blobs.upload("name")
    await upload.write(bytes(3 * BLOCK_BYTES))
    await settle()
    assert blobs.under_way == 3
    await upload.abort()
    assert (blobs.under_way, blobs.cancelled) == (0, 3)
    assert blobs.names() == []


async def test_a_writer_that_is_cancelled_can_abort() -> None:
    blobs = Slow()
    upload = blobs.upload("name")
    writing = asyncio.create_task(upload.write(bytes(10 * BLOCK_BYTES)))
    await settle()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await upload.abort()
    assert (blobs.under_way, blobs.cancelled) == (0, BLOCKS_IN_FLIGHT)


async def test_a_block_that_fails_fails_the_upload() -> None:
    async def fail(kind: str, operation: str) -> None:
        if operation == "block":
            raise Unavailable("no")

    blobs = MemoryBlobStore(before=fail)
    upload = blobs.upload("name")
    with pytest.raises(Unavailable):
        await upload.write(bytes(20 * BLOCK_BYTES))
    await upload.abort()
    last = blobs.upload("name")
    await last.write(bytes(2 * BLOCK_BYTES + 1))
    with pytest.raises(Unavailable):
        await last.commit({})
    assert blobs.names() == []


async def test_after_stage_nothing_is_under_way_or_held() -> None:
    blobs = Slow()
    blobs.gate.set()
    upload = blobs.upload("name")
    await upload.write(bytes(SINGLE_PUT_BYTES))
    assert blobs.ids == []
    await upload.stage()
    assert len(blobs.ids) == 2
    assert blobs.under_way == 0
    await upload.stage()
    assert len(blobs.ids) == 2


class Writer:
    """A BlockWriter that only notes what it was given."""

    def __init__(self) -> None:
        self.metadata: list[Mapping[str, str]] = []

    async def write_blob(self, name: str, data: bytes, metadata: Mapping[str, str]) -> BlobProperties:
        self.metadata.append(metadata)
        raise BlobExists

    async def stage_block(self, name: str, block: str, data: bytes) -> None:
        raise NotImplementedError

    async def commit_blocks(
        self, name: str, blocks: Sequence[str], length: int, metadata: Mapping[str, str]
    ) -> BlobProperties:
        raise NotImplementedError


async def test_each_upload_carries_an_id_of_its_own() -> None:
    writer = Writer()
    for _ in range(2):
        with pytest.raises(BlobExists):
            await StagedUpload(writer, "name").commit({"mode": "put"})
    first, second = writer.metadata
    assert first["mode"] == "put"
    assert first["uploadid"] != second["uploadid"]


class Composing(MemoryBlobStore):
    """Notes which ranges it is asked to copy, and refuses from some time on."""

    def __init__(self, *, copies_ranges: bool = True, refuses_after: int = 1_000) -> None:
        super().__init__(copies_ranges=copies_ranges)
        self.copied: list[tuple[int, int]] = []
        self.refuses_after = refuses_after

    async def copy_block(self, name: str, block: str, source: str, span: tuple[int, int]) -> bool:
        if len(self.copied) >= self.refuses_after:
            return False
        self.copied.append(span)
        return await super().copy_block(name, block, source, span)


_SOURCE = bytes(range(251)) * (3 * BLOCK_BYTES // 251)


@pytest.mark.parametrize(
    ("copies", "refuses_after", "copied"),
    [
        (True, 1_000, [(7, BLOCK_BYTES), (7 + BLOCK_BYTES, BLOCK_BYTES)]),
        (True, 1, [(7, BLOCK_BYTES)]),
        (False, 1_000, []),
    ],
    ids=["the store copies", "it refuses half-way", "it copies nothing"],
)
async def test_a_range_of_another_blob_is_appended_whoever_copies_it(copies, refuses_after, copied, monkeypatch):
    monkeypatch.setattr(blob_upload, "COPIED_BYTES", BLOCK_BYTES)
    blobs = Composing(copies_ranges=copies, refuses_after=refuses_after)
    blobs.drop("source", _SOURCE)
    upload = blobs.upload("name")
    await upload.write(b"head")
    await upload.append_range("source", 7, 2 * BLOCK_BYTES + 100)
    await upload.write(b"tail")
    properties = await upload.commit({})
    assert blobs.content("name") == b"head" + _SOURCE[7 : 7 + 2 * BLOCK_BYTES + 100] + b"tail"
    assert properties.length == 2 * BLOCK_BYTES + 108
    assert blobs.copied == copied


@pytest.mark.parametrize(("offset", "length"), [(0, 0), (5, 1), (0, BLOCK_BYTES)])
async def test_a_short_range_is_not_worth_a_request_of_its_own(offset, length):
    blobs = Composing()
    blobs.drop("source", _SOURCE)
    upload = blobs.upload("name")
    await upload.append_range("source", offset, length)
    await upload.commit({})
    assert blobs.content("name") == _SOURCE[offset : offset + length]
    assert blobs.copied == []


async def test_a_range_of_a_blob_that_is_gone_ends_the_upload():
    upload = Composing(copies_ranges=False).upload("name")
    with pytest.raises(BlobNotFound):
        await upload.append_range("source", 0, 2 * BLOCK_BYTES)
    await upload.abort()
