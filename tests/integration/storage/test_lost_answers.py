"""What becomes of a request whose answer is lost, late or broken (storage §5, invariant 9)."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from shared.errors import DependencyRefused, Unavailable
from shared.storage.azure_tables import AzureTableStore
from shared.storage.connection import SharedKey
from shared.storage.http_connection import NoAnswer, NotSent
from shared.storage.ports import Ambiguous, Entity, PreconditionFailed, RowWrite
from shared.storage.retry import Backoff
from shared.storage.transport import StorageRequest, StorageTransport

PK = "SECRET^NAME"
INSERT = RowWrite("insert", PK, "SECRET^ROW", {"text": "SECRET^VALUE"})
UPSERT = RowWrite("upsert", PK, "SECRET^ROW", {"text": "SECRET^VALUE"})
DELETE = RowWrite("delete", PK, "SECRET^ROW2", {}, 'W/"1"')


def answer(status: int, body: str = "", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Text", f"Content-Length: {len(body.encode())}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def refusal(status: int, code: str, *headers: str) -> bytes:
    return answer(status, f'{{"odata.error":{{"code":"{code}","message":{{"value":"0:SECRET"}}}}}}', *headers)


def batch(inner: str) -> bytes:
    return answer(202, f"--batchresponse_1\r\n\r\n--changesetresponse_1\r\n\r\n{inner}\r\n--changesetresponse_1--\r\n")


DROP = b""
"""Read the request, then close the connection."""
CUT = answer(200, "x" * 100)[:-50]
"""Begin an answer, then close the connection."""
WRITTEN = answer(204)
ROW = answer(200, '{"odata.etag":"W/\\"1\\"","PartitionKey":"p","RowKey":"r","a":"b"}')
BUSY = refusal(503, "ServerBusy")


class Script:
    """A service that gives prepared answers in turn, the last one for ever, and notes what it was asked."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str]] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        await reader.readexactly(int(line.partition(b":")[2]))
                method, path, _ = head.decode().split(" ", 2)
                self.asked.append((method, path))
                reply = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                writer.write(reply)
                await writer.drain()
                if reply in (DROP, CUT):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def scripted(*answers: bytes) -> AsyncIterator[tuple[AzureTableStore, Script]]:
    script = Script(*answers)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    store = AzureTableStore(
        f"http://127.0.0.1:{port}/account", SharedKey("account", "a2V5"), backoff=Backoff(3, 0.001, 0.001)
    )
    try:
        yield store, script
    finally:
        await store.close()
        server.close()
        await server.wait_closed()


async def failure[T](awaitable: Awaitable[T]) -> Exception:
    """What is raised; its text and whatever a log would print of it hold nothing of the rows."""
    with pytest.raises(Exception) as caught:
        await awaitable
    printed = "".join(traceback.format_exception(caught.value))
    assert "SECRET" not in printed
    assert "a2V5" not in printed
    return caught.value


@pytest.mark.parametrize(
    "reply",
    [
        DROP,
        CUT,
        refusal(500, "InternalError"),
        refusal(500, "OperationTimedOut"),
        answer(502),
        answer(503, "<html>gateway</html>"),
        answer(504),
    ],
)
@pytest.mark.parametrize("operations", [[INSERT], [UPSERT], [DELETE], [UPSERT, DELETE]])
async def test_a_write_without_a_clear_answer_is_ambiguous_and_sent_once(
    reply: bytes, operations: list[RowWrite]
) -> None:
    async with scripted(reply) as (store, script):
        assert type(await failure(store.commit("dicom", operations))) is Ambiguous
        assert len(script.asked) == 1 == store.requests


@pytest.mark.parametrize("operation", [INSERT, UPSERT, DELETE])
async def test_a_write_on_a_kept_connection_that_breaks_is_sent_once(operation: RowWrite) -> None:
    async with scripted(WRITTEN, DROP) as (store, script):
        await store.commit("dicom", [operation])
        assert type(await failure(store.commit("dicom", [operation]))) is Ambiguous
        assert len(script.asked) == 2
        assert script.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        batch("HTTP/1.1 500 Internal Server Error\r\n\r\n{}"),
        batch("nothing that is known"),
        answer(202, ""),
    ],
)
async def test_a_transaction_whose_answer_says_neither_is_ambiguous(reply: bytes) -> None:
    async with scripted(reply) as (store, script):
        assert type(await failure(store.commit("dicom", [UPSERT, DELETE]))) is Ambiguous
        assert len(script.asked) == 1


@pytest.mark.parametrize("busy", [BUSY, refusal(429, "TooManyRequests"), refusal(503, "ServerBusy", "Retry-After: 0")])
async def test_a_write_that_was_turned_away_is_sent_again(busy: bytes) -> None:
    async with scripted(busy, busy, WRITTEN) as (store, script):
        await store.commit("dicom", [INSERT])
        assert [method for method, _ in script.asked] == ["POST"] * 3


async def test_a_write_that_is_turned_away_for_ever_was_not_applied() -> None:
    async with scripted(BUSY) as (store, script):
        assert type(await failure(store.commit("dicom", [INSERT]))) is Unavailable
        assert len(script.asked) == 3


async def test_a_service_that_cannot_be_reached_is_unavailable() -> None:
    async with scripted(WRITTEN) as (store, _):
        pass
    for request in (store.commit("dicom", [INSERT]), store.get("dicom", PK, "r"), store.ping()):
        assert type(await failure(request)) is Unavailable
    await store.close()


@pytest.mark.parametrize("reply", [DROP, CUT, BUSY, answer(500), answer(502), answer(504), answer(408)])
async def test_a_read_is_repeated(reply: bytes) -> None:
    async with scripted(reply, reply, ROW) as (store, script):
        assert await store.get("dicom", PK, "SECRET^ROW") == Entity("p", "r", {"a": "b"}, 'W/"1"')
        assert len(script.asked) == 3 == store.requests


@pytest.mark.parametrize("reply", [DROP, CUT, BUSY, answer(500)])
async def test_a_read_that_fails_for_ever_is_unavailable(reply: bytes) -> None:
    async with scripted(reply) as (store, script):
        reads: list[Callable[[], Awaitable[object]]] = [
            lambda: store.get("dicom", PK, "SECRET^ROW"),
            lambda: store.page("dicom", PK, "SECRET^A", "SECRET^B"),
            lambda: store.range("dicom", PK, "SECRET^A", "SECRET^B"),
            store.ping,
        ]
        for read in reads:
            assert type(await failure(read())) is Unavailable
        assert len(script.asked) == 3 * len(reads)


@pytest.mark.parametrize(
    ("reply", "raised"),
    [
        (refusal(404, "ResourceNotFound"), PreconditionFailed),
        (refusal(409, "EntityAlreadyExists"), PreconditionFailed),
        (refusal(412, "UpdateConditionNotSatisfied"), PreconditionFailed),
        (answer(412), PreconditionFailed),
        (refusal(404, "TableNotFound"), Unavailable),
        (refusal(409, "TableBeingDeleted"), Unavailable),
        (refusal(403, "AuthorizationFailure"), DependencyRefused),
        (answer(401), DependencyRefused),
        (refusal(400, "InvalidInput"), Unavailable),
        (refusal(413, "RequestBodyTooLarge"), Unavailable),
    ],
)
async def test_a_refused_write_says_why_and_is_sent_once(reply: bytes, raised: type[Exception]) -> None:
    for operations, sent in (([INSERT], reply), ([UPSERT, DELETE], reply), ([UPSERT, DELETE], batch(reply.decode()))):
        async with scripted(sent) as (store, script):
            assert type(await failure(store.commit("dicom", operations))) is raised
            assert len(script.asked) == 1


@pytest.mark.parametrize("reply", [refusal(404, "TableNotFound"), refusal(409, "TableBeingDeleted")])
async def test_a_read_without_its_table_is_unavailable(reply: bytes) -> None:
    async with scripted(reply) as (store, _):
        assert type(await failure(store.get("dicom", PK, "r"))) is Unavailable
        assert type(await failure(store.range("dicom", PK, "a", "b"))) is Unavailable


def page(rows: str, *headers: str) -> bytes:
    return answer(200, f'{{"value":[{rows}]}}', *headers)


MORE = ("x-ms-continuation-NextPartitionKey: 1!8!cA--", "x-ms-continuation-NextRowKey: 1!8!c+/=")
A_ROW = '{"odata.etag":"W/\\"1\\"","PartitionKey":"p","RowKey":"r"}'


async def test_an_empty_page_with_a_continuation_is_not_the_end() -> None:
    async with scripted(page("", *MORE), page("", *MORE), page(A_ROW, *MORE)) as (store, script):
        got = await store.page("dicom", PK, "a", "z")
        assert [entity.row_key for entity in got.entities] == ["r"]
        assert got.next_row_key == "r "
        assert "NextPartitionKey=1%218%21cA--&NextRowKey=1%218%21c%2B%2F%3D" in script.asked[1][1]
        assert "NextPartitionKey" not in script.asked[0][1]
    async with scripted(page("", *MORE), page("")) as (store, script):
        assert (await store.page("dicom", PK, "a", "z")).next_row_key is None


async def test_a_range_follows_continuations_to_the_end() -> None:
    only_partition = MORE[0]
    async with scripted(page("", *MORE), page(A_ROW, only_partition), page(A_ROW)) as (store, script):
        assert [entity.row_key for entity in await store.range("dicom", PK, "a", "z")] == ["r", "r"]
        assert len(script.asked) == 3


async def test_an_answer_that_never_comes_is_a_lost_one() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client gives up
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/account"
    transport = StorageTransport(endpoint, read_seconds=0.05, write_seconds=0.05)
    for method in ("GET", "PUT"):
        with pytest.raises(NoAnswer):
            await transport.send(StorageRequest(method, "/account/Tables", {}))
    await transport.close()
    server.close()
    await server.wait_closed()
    with pytest.raises(NotSent):
        await transport.send(StorageRequest("PUT", "/account/Tables", {}))
    await transport.close()
