"""What every BlobStore does: both adapters on the emulator and the fake, by the same tests."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import Unavailable
from shared.storage.azure_blobs import AzureBlobStore
from shared.storage.azure_blobs_sdk import SdkBlobStore
from shared.storage.blob_upload import BLOCK_BYTES, SINGLE_PUT_BYTES
from shared.storage.connection import StorageConnection
from shared.storage.ports import BlobExists, BlobNotFound, BlobStore
from tests.fakes.blobs import MemoryBlobStore

NAME = "a1f/0/1.2.840/1.2.840.1/1.2.840.1.1/01JD0000000000000000000000.dcm"
METADATA = {"mode": "create", "source": "stow"}
DATA = secrets.token_bytes(300_000)
MISSING = pytest.param("no/such", id="missing")


@pytest.fixture(params=["memory", "obstore", "sdk"])
async def blobs(request: pytest.FixtureRequest, connection: StorageConnection, prefix: str) -> AsyncIterator[BlobStore]:
    if request.param == "memory":
        yield MemoryBlobStore()
        return
    adapter = AzureBlobStore if request.param == "obstore" else SdkBlobStore
    store = adapter(connection.blob_endpoint, prefix, connection.credential)
    await store.ensure_container()
    await store.ensure_container()
    yield store
    await store.close()


@pytest.fixture(params=["memory", "obstore", "sdk"])
async def account(
    request: pytest.FixtureRequest, connection: StorageConnection, prefix: str
) -> AsyncIterator[tuple[BlobStore, BlobStore, str]]:
    """A container, another one of the same account, and that one's name."""
    container = f"{prefix}-errors"
    if request.param == "memory":
        other = MemoryBlobStore()
        yield MemoryBlobStore(others={container: other}), other, container
        return
    adapter = AzureBlobStore if request.param == "obstore" else SdkBlobStore
    stores = [adapter(connection.blob_endpoint, name, connection.credential) for name in (prefix, container)]
    for store in stores:
        await store.ensure_container()
    yield stores[0], stores[1], container
    for store in stores:
        await store.close()


async def download(blobs: BlobStore, name: str, offset: int = 0, length: int | None = None) -> bytes:
    reader = await blobs.open(name, offset, length)
    data = b"".join([chunk async for chunk in reader.chunks()])
    assert len(data) == reader.length
    return data


@pytest.mark.parametrize("data", [b"", b"x", DATA], ids=["empty", "one byte", "many"])
async def test_a_blob_comes_back_as_it_was_put(blobs: BlobStore, data: bytes) -> None:
    written = await blobs.put(NAME, data, METADATA)
    assert (written.name, written.length, written.metadata) == (NAME, len(data), METADATA)
    assert await blobs.read(NAME) == data
    assert await download(blobs, NAME) == data
    read = await blobs.properties(NAME)
    assert (read.name, read.length, read.etag, read.metadata) == (NAME, len(data), written.etag, METADATA)
    assert (await blobs.open(NAME)).etag == written.etag
    for created in (read.created, written.created):
        assert abs(datetime.now(UTC) - created) < timedelta(minutes=5)


async def test_a_blob_is_never_overwritten(blobs: BlobStore) -> None:
    first = await blobs.put(NAME, b"first", METADATA)
    with pytest.raises(BlobExists):
        await blobs.put(NAME, b"other", METADATA)
    with pytest.raises(BlobExists):
        await blobs.put(NAME, b"first", METADATA)
    for size in (10, SINGLE_PUT_BYTES + 1):
        upload = blobs.upload(NAME)
        await upload.write(bytes(size))
        with pytest.raises(BlobExists):
            await upload.commit(METADATA)
    assert await blobs.read(NAME) == b"first"
    assert (await blobs.properties(NAME)).etag == first.etag


async def test_of_many_writers_of_one_name_one_succeeds(blobs: BlobStore) -> None:
    results = await asyncio.gather(
        *(blobs.put(NAME, bytes([number]) * 1000, METADATA) for number in range(6)), return_exceptions=True
    )
    won = [number for number, result in enumerate(results) if not isinstance(result, BaseException)]
    assert len(won) == 1
    assert sum(isinstance(result, BlobExists) for result in results) == 5
    assert await blobs.read(NAME) == bytes(won) * 1000


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 1), (0, 300_000), (1000, 5), (299_999, 1), (299_999, 2), (0, 300_001), (250_000, None), (0, 0), (300_000, 0)],
)
async def test_a_range_is_what_lies_in_it(blobs: BlobStore, offset: int, length: int | None) -> None:
    await blobs.put(NAME, DATA, {})
    expected = DATA[offset:] if length is None else DATA[offset : offset + length]
    assert await blobs.read(NAME, offset, length) == expected
    assert await download(blobs, NAME, offset, length) == expected


@pytest.mark.parametrize(("offset", "length"), [(300_000, 1), (300_000, None), (10**9, 1), (10**9, None)])
async def test_behind_the_end_is_nothing(blobs: BlobStore, offset: int, length: int | None) -> None:
    await blobs.put(NAME, DATA, {})
    await blobs.put("empty", b"", {})
    assert await blobs.read(NAME, offset, length) == b""
    assert await download(blobs, NAME, offset, length) == b""
    assert await blobs.read("empty", 0, 5) == b""
    assert await download(blobs, "empty", 0, 5) == b""


async def test_ranges_come_in_the_order_asked_for(blobs: BlobStore) -> None:
    await blobs.put(NAME, DATA, {})
    ranges = [(299_000, 1000), (0, 10), (5, 10), (100_000, 50_000), (10, 0), (299_990, 100), (400_000, 5), (0, 10)]
    assert await blobs.read_ranges(NAME, ranges) == [DATA[offset : offset + length] for offset, length in ranges]
    assert await blobs.read_ranges(NAME, []) == []


async def test_a_blob_that_is_not_there_is_not_found(blobs: BlobStore) -> None:
    await blobs.put(NAME, DATA, {})
    for name in (NAME + "x", NAME[:-1], "a1f"):
        for request in (
            blobs.read(name),
            blobs.read(name, 5, 5),
            blobs.read(name, 0, 0),
            blobs.read_ranges(name, [(0, 5), (200_000, 5)]),
            blobs.open(name),
            blobs.open(name, 5),
            blobs.properties(name),
        ):
            with pytest.raises(BlobNotFound):
                await request
        assert await blobs.delete(name) is False


async def test_a_range_is_not_negative(blobs: BlobStore) -> None:
    await blobs.put(NAME, DATA, {})
    for offset, length in ((-1, 5), (0, -1)):
        with pytest.raises(ValueError):
            await blobs.read(NAME, offset, length)
        with pytest.raises(ValueError):
            await blobs.open(NAME, offset, length)


async def test_a_deleted_blob_is_gone_and_its_name_free(blobs: BlobStore) -> None:
    await blobs.put(NAME, b"first", {})
    assert await blobs.delete(NAME) is True
    assert await blobs.delete(NAME) is False
    with pytest.raises(BlobNotFound):
        await blobs.read(NAME)
    await blobs.put(NAME, b"second", {})
    assert await blobs.read(NAME) == b"second"


async def test_a_listing_has_every_blob_of_the_prefix_by_name(blobs: BlobStore) -> None:
    names = ["a/b/1", "a/b/10", "a/b/2", "a/c", "ab", "b"]
    for name in reversed(names):
        await blobs.put(name, name.encode(), {"source": name.replace("/", "-")})
    listed = [blob async for blob in blobs.list()]
    assert [blob.name for blob in listed] == names
    assert [blob.length for blob in listed] == [len(name) for name in names]
    assert [blob.metadata for blob in listed] == [{"source": name.replace("/", "-")} for name in names]
    assert listed == [await blobs.properties(name) for name in names]
    assert [blob.name async for blob in blobs.list("a/b/")] == names[:3]
    assert [blob.name async for blob in blobs.list("a/b/1")] == names[:2]
    assert [blob.name async for blob in blobs.list("none")] == []


@pytest.mark.parametrize("name", ["a b/é%+#&'x", "a%2Fb", "a//b", "/a", "a/", "$root", "a=b;c,d"])
async def test_a_blob_may_have_any_name(blobs: BlobStore, name: str) -> None:
    await blobs.put("a", b"another", {})
    await blobs.put(name, b"data", METADATA)
    assert await blobs.read(name) == b"data"
    assert await blobs.read(name, 1, 2) == b"at"
    assert await download(blobs, name) == b"data"
    assert name in [blob.name async for blob in blobs.list()]
    with pytest.raises(BlobExists):
        await blobs.put(name, b"other", METADATA)


@pytest.mark.parametrize(
    "size",
    [0, 1, SINGLE_PUT_BYTES, SINGLE_PUT_BYTES + 1, 3 * BLOCK_BYTES, 7 * BLOCK_BYTES - 5],
)
async def test_an_upload_is_visible_once_it_is_committed(blobs: BlobStore, size: int) -> None:
    data = secrets.token_bytes(size)
    upload = blobs.upload(NAME)
    for start in range(0, size, 1_500_000):
        await upload.write(data[start : start + 1_500_000])
    with pytest.raises(BlobNotFound):
        await blobs.properties(NAME)
    assert [blob async for blob in blobs.list()] == []
    written = await upload.commit(METADATA)
    await upload.abort()
    read = await blobs.properties(NAME)
    assert (written.length, written.etag, written.metadata) == (size, read.etag, METADATA)
    assert (read.length, read.metadata) == (size, METADATA)
    assert await download(blobs, NAME) == data
    with pytest.raises(ValueError):
        await upload.write(b"more")


async def test_what_was_staged_is_part_of_the_blob(blobs: BlobStore) -> None:
    upload = blobs.upload(NAME)
    await upload.stage()
    for piece in (b"first ", b"second ", b""):
        await upload.write(piece)
        await upload.stage()
    await upload.write(b"third")
    await upload.commit(METADATA)
    assert await blobs.read(NAME) == b"first second third"


@pytest.mark.parametrize("size", [10, SINGLE_PUT_BYTES + 1])
async def test_an_aborted_upload_leaves_nothing(blobs: BlobStore, size: int) -> None:
    upload = blobs.upload(NAME)
    await upload.write(bytes(size))
    await upload.abort()
    await upload.abort()
    with pytest.raises(ValueError):
        await upload.commit(METADATA)
    with pytest.raises(BlobNotFound):
        await blobs.properties(NAME)
    again = blobs.upload(NAME)
    await again.write(b"x" * (SINGLE_PUT_BYTES + 2))
    await again.commit({})
    assert (await blobs.properties(NAME)).length == SINGLE_PUT_BYTES + 2


async def test_of_two_uploads_in_blocks_under_one_name_one_succeeds_whole(blobs: BlobStore) -> None:
    contents = [bytes([number]) * (SINGLE_PUT_BYTES + 1) for number in (1, 2)]
    uploads = [blobs.upload(NAME) for _ in contents]
    for upload, content in zip(uploads, contents, strict=True):
        await upload.write(content)
    await uploads[1].commit({"mode": "put"})
    with pytest.raises(BlobExists):
        await uploads[0].commit({"mode": "create"})
    assert await download(blobs, NAME) == contents[1]


@pytest.mark.parametrize(
    "metadata", [{"Upper": "x"}, {"a-b": "x"}, {"a": ""}, {"a": "é"}, {"a": "x\ny"}, {"a": " x"}, {"uploadid": "x"}]
)
async def test_metadata_that_headers_would_change_are_refused(blobs: BlobStore, metadata: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        await blobs.put(NAME, b"x", metadata)
    upload = blobs.upload(NAME)
    with pytest.raises(ValueError):
        await upload.commit(metadata)
    assert [blob async for blob in blobs.list()] == []


async def test_only_the_version_that_is_named_is_removed(blobs: BlobStore) -> None:
    first = await blobs.put(NAME, b"first", METADATA)
    assert await blobs.delete(NAME, etag='"0x8D0000000000000"') is False
    assert await blobs.read(NAME) == b"first"
    assert await blobs.delete(NAME, etag=first.etag) is True
    assert await blobs.delete(NAME, etag=first.etag) is False
    second = await blobs.put(NAME, b"second", METADATA)
    assert await blobs.delete(NAME, etag=first.etag) is False
    assert await blobs.delete(NAME, etag=second.etag) is True


async def test_a_listing_goes_on_where_a_page_ended(blobs: BlobStore) -> None:
    names = [f"x/{number:02}" for number in range(7)]
    for name in names:
        await blobs.put(name, b"x", METADATA)
    found: list[str] = []
    marker, pages = "", 0
    while pages == 0 or marker:
        page = await blobs.page(marker, top=3)
        assert len(page.blobs) <= 3
        assert {blob.length for blob in page.blobs} <= {1}
        found += [blob.name for blob in page.blobs]
        marker, pages = page.next_marker, pages + 1
        assert pages < 10
    assert found == names


async def test_an_upload_that_was_never_committed_is_in_no_listing(blobs: BlobStore) -> None:
    upload = blobs.upload(NAME)
    await upload.write(bytes(BLOCK_BYTES + 1))
    await upload.stage()
    assert [blob async for blob in blobs.list()] == []
    assert (await blobs.page()).blobs == []
    with pytest.raises(BlobNotFound):
        await blobs.properties(NAME)
    await upload.abort()


async def test_a_page_names_what_has_no_bytes_and_that_can_be_removed(blobs: BlobStore) -> None:
    upload = blobs.upload(NAME)
    await upload.write(bytes(BLOCK_BYTES + 1))
    await upload.stage()
    await upload.abort()
    await blobs.put("x/empty", b"", {})
    await blobs.put("x/full", b"full", {})
    page = await blobs.page()
    assert [blob.name for blob in page.blobs] == ["x/full"]
    assert sorted(page.empty) == sorted([NAME, "x/empty"])

    assert await blobs.remove_staged(NAME) is True
    assert (await blobs.page()).empty == ["x/empty"]
    assert await blobs.remove_staged("x/empty") is True
    assert (await blobs.page()).empty == []
    assert await blobs.remove_staged("x/full") is False
    assert await blobs.read("x/full") == b"full"


async def test_an_upload_whose_blocks_are_removed_meanwhile_fails_and_can_be_repeated(blobs: BlobStore) -> None:
    data = bytes(BLOCK_BYTES + 1)
    upload = blobs.upload(NAME)
    await upload.write(data)
    await upload.stage()
    assert await blobs.remove_staged(NAME) is True
    with pytest.raises((Unavailable, BlobExists)):
        await upload.commit(METADATA)
    again = blobs.upload(NAME)
    await again.write(data)
    await again.commit(METADATA)
    assert (await blobs.properties(NAME)).length == len(data)


async def test_a_blob_is_copied_into_another_container_and_replaces_what_is_there(
    account: tuple[BlobStore, BlobStore, str],
) -> None:
    blobs, others, container = account
    name = "a b/ä#1%20?.dcm"
    written = await blobs.put(name, DATA, METADATA)
    await others.put(name, b"old", {})
    await blobs.copy_to(container, name, etag=written.etag, metadata={"status": "409"})
    assert await others.read(name) == DATA
    assert (await others.properties(name)).metadata == {"status": "409"}
    assert await blobs.read(name) == DATA
    for missing, etag in ((name, '"0x8D0000000000000"'), ("none", written.etag)):
        with pytest.raises(BlobNotFound):
            await blobs.copy_to(container, missing, etag=etag, metadata={})
