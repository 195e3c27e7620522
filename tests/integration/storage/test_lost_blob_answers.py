"""What becomes of a blob request whose answer is lost, and what failures tell (storage §4)."""

import asyncio
import re
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from shared.errors import DependencyRefused, Unavailable
from shared.storage.azure_blobs import AzureBlobStore
from shared.storage.azure_blobs_sdk import SdkBlobStore
from shared.storage.blob_upload import SINGLE_PUT_BYTES
from shared.storage.connection import SharedKey, StorageConnection
from shared.storage.ports import BlobExists

NAME = "abc/0/SECRET^1.2.3/x.dcm"
SIZES = [1000, SINGLE_PUT_BYTES + 1]

type Adapter = type[AzureBlobStore | SdkBlobStore]
type Store = AzureBlobStore | SdkBlobStore

both = pytest.mark.parametrize("adapter", [AzureBlobStore, SdkBlobStore])


class Relay:
    """Stands between a client and the emulator. The answers of the first requests that match are lost, or cut short."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self.lose: list[Callable[[str], bool]] = []
        self.cut = False
        self.lost = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream = await asyncio.open_connection(*self._target)
        try:
            while True:
                head, body = await _message(reader)
                upstream.write(head + body)
                await upstream.drain()
                line = head.split(b"\r\n", 1)[0].decode()
                answer_head, answer = await _message(upstream_reader, has_body=not line.startswith("HEAD"))
                if self.lose and self.lose[0](line):
                    self.lose.pop(0)
                    self.lost += 1
                    if self.cut:
                        writer.write(answer_head + answer[: len(answer) // 2])
                        await writer.drain()
                    return
                writer.write(answer_head + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            upstream.close()
            writer.close()


async def _message(reader: asyncio.StreamReader, *, has_body: bool = True) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    if not has_body:
        return head, b""
    if length:
        return head, await reader.readexactly(int(length[1]))
    if re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
        return head, await reader.readuntil(b"0\r\n\r\n")
    return head, b""


@asynccontextmanager
async def relayed(
    adapter: Adapter, connection: StorageConnection, container: str
) -> AsyncIterator[tuple[Store, Relay]]:
    relay = Relay(connection.blob_endpoint)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0, limit=2**24)
    endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/devstoreaccount1"
    store = adapter(endpoint, container, connection.credential)
    await store.ensure_container()
    try:
        yield store, relay
    finally:
        await store.close()
        server.close()


@asynccontextmanager
async def opened(adapter: Adapter, endpoint: str, container: str, credential: SharedKey) -> AsyncIterator[Store]:
    """A store that is closed also when the test fails: what it leaves open would fail another test, much later."""
    store = adapter(endpoint, container, credential)
    try:
        yield store
    finally:
        await store.close()


def putting(line: str) -> bool:
    return line.startswith("PUT") and "comp=block&" not in line and "restype" not in line


def staging(line: str) -> bool:
    return line.startswith("PUT") and "comp=block&" in line


def getting(line: str) -> bool:
    return line.startswith("GET")


async def failure[T](awaitable: Awaitable[T]) -> Exception:
    """What is raised; what a log would print of it holds neither the name nor the key."""
    with pytest.raises(Exception) as caught:
        await awaitable
    printed = "".join(traceback.format_exception(caught.value))
    assert "SECRET" not in printed
    assert "AAAA" not in printed
    return caught.value


async def store_blob(store: Store, data: bytes) -> None:
    upload = store.upload(NAME)
    await upload.write(data)
    await upload.commit({"mode": "create"})


@both
@pytest.mark.parametrize("size", SIZES)
async def test_an_upload_whose_answer_was_lost_finds_itself_and_succeeds(
    adapter: Adapter, size: int, connection: StorageConnection, prefix: str
) -> None:
    async with relayed(adapter, connection, prefix) as (store, relay):
        relay.lose = [putting]
        await store_blob(store, b"x" * size)
        assert relay.lost == 1
        found = await store.properties(NAME)
        assert (found.length, found.metadata) == (size, {"mode": "create"})


@both
@pytest.mark.parametrize("size", SIZES)
async def test_an_upload_whose_answer_was_lost_does_not_take_another_blob_for_its_own(
    adapter: Adapter, size: int, connection: StorageConnection, prefix: str
) -> None:
    async with relayed(adapter, connection, prefix) as (store, relay):
        await store_blob(store, b"y" * size)
        relay.lose = [putting]
        with pytest.raises(BlobExists):
            await store_blob(store, b"x" * size)
        assert await store.read(NAME, 0, 1) == b"y"


@both
async def test_blocks_whose_answers_were_lost_are_sent_again(
    adapter: Adapter, connection: StorageConnection, prefix: str
) -> None:
    data = bytes(range(256)) * (SINGLE_PUT_BYTES // 256) + b"end"
    async with relayed(adapter, connection, prefix) as (store, relay):
        relay.lose = [staging, staging]
        await store_blob(store, data)
        assert relay.lost == 2
        assert await store.read(NAME) == data


@both
@pytest.mark.parametrize("cut", [False, True])
async def test_a_read_whose_answer_was_lost_is_repeated(
    adapter: Adapter, cut: bool, connection: StorageConnection, prefix: str
) -> None:
    data = bytes(range(256)) * 4000
    async with relayed(adapter, connection, prefix) as (store, relay):
        await store_blob(store, data)
        relay.cut = cut
        relay.lose = [getting]
        assert await store.read(NAME) == data
        relay.lose = [getting]
        assert await store.read(NAME, 10, 500_000) == data[10:500_010]
        relay.lose = [getting]
        reader = await store.open(NAME)
        assert b"".join([chunk async for chunk in reader.chunks()]) == data
        assert relay.lost == 3


@both
async def test_without_its_container_nothing_is_said_to_be_missing(
    adapter: Adapter, connection: StorageConnection, prefix: str
) -> None:
    async with opened(adapter, connection.blob_endpoint, prefix, connection.credential) as store:
        requests: list[Callable[[], Awaitable[object]]] = [
            lambda: store.read(NAME),
            lambda: store.read(NAME, 1, 2),
            lambda: store.open(NAME),
            lambda: store.properties(NAME),
            lambda: store.delete(NAME),
            lambda: store.put(NAME, b"x", {}),
            lambda: store_blob(store, bytes(SINGLE_PUT_BYTES + 1)),
            store.ping,
        ]
        for request in requests:
            assert type(await failure(request())) is Unavailable
        assert type(await failure(anext(store.list()))) is Unavailable


@both
async def test_a_refusal_is_told_as_one(adapter: Adapter, connection: StorageConnection, prefix: str) -> None:
    stranger = SharedKey("devstoreaccount1", "AAAA")
    async with opened(adapter, connection.blob_endpoint, prefix, stranger) as store:
        requests: list[Callable[[], Awaitable[object]]] = [
            lambda: store.read(NAME),
            lambda: store.open(NAME),
            lambda: store.properties(NAME),
            lambda: store.delete(NAME),
            lambda: store.put(NAME, b"x", {}),
            store.ensure_container,
            store.ping,
        ]
        for request in requests:
            assert type(await failure(request())) is DependencyRefused


@both
async def test_a_service_that_cannot_be_reached_is_unavailable(
    adapter: Adapter, connection: StorageConnection, prefix: str
) -> None:
    nowhere = "http://127.0.0.1:1/devstoreaccount1"
    async with opened(adapter, nowhere, prefix, connection.credential) as store:
        results = await asyncio.gather(
            *(failure(request) for request in (store.read(NAME), store.put(NAME, b"x", {}), store.properties(NAME)))
        )
        assert {type(result) for result in results} == {Unavailable}
