"""The adapter of Microsoft's web extension: an ASGI request in, a response out that a server then calls."""

import asyncio
import logging
import sys
import types

import pytest
from starlette.requests import Request as HostRequest

from shared.dicomweb.resources import RESOURCES
from shared.errors import InvalidRequest
from shared.http import fastapi_extension
from shared.http.fastapi_extension import EXTENSION, forget_later
from shared.http.messages import Request, Response
from shared.http.transaction import Context
from tests.builders.http import Stream, boundary, say_hello, streaming, transaction

HEADERS = [(b"host", b"dicom.example"), (b"authorization", b"Bearer all")]


class Server:
    """The other side of ASGI: what the client sends, and what it has received."""

    def __init__(self, *, body: tuple[bytes, ...] = (b"",), gone_after: int | None = None, **scope: object) -> None:
        self.sent: list[dict] = []
        self.gone = asyncio.Event()
        self._body = list(body)
        self._gone_after = gone_after
        self.scope = {
            "type": "http",
            "asgi": {"spec_version": "2.3"},
            "method": "GET",
            "scheme": "https",
            "path": "/v2/studies",
            "raw_path": b"/v2/studies",
            "query_string": b"",
            "headers": HEADERS,
            "client": ("192.0.2.7", 4711),
            "path_params": {"version": "v2"},
            **scope,
        }

    async def receive(self) -> dict:
        if self._body:
            piece = self._body.pop(0)
            return {
                "type": "http.request",
                "body": piece,
                "more_body": bool(self._body) or self._gone_after is not None,
            }
        if self._gone_after is None:
            await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict) -> None:
        self.sent.append(message)
        await asyncio.sleep(0)

    async def call(self, name: str, handler=say_hello, at=None) -> None:
        answering = at or boundary()

        async def run(request: Request) -> Response:
            return await answering.run(RESOURCES[name], request, transaction(handler))

        response = await EXTENSION.answer(HostRequest(self.scope, self.receive), "invocation", run)
        await response(self.scope, self.receive, self.send)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def complete(self) -> bool:
        return self.sent[-1]["type"] == "http.response.body" and not self.sent[-1].get("more_body")


async def test_a_response_arrives_as_it_is():
    server = Server()

    await server.call("search_studies")

    start = server.sent[0]
    assert (start["status"], server.body, server.complete) == (200, b"hello", True)
    assert (b"content-type", b"text/plain") in start["headers"]
    assert (b"content-length", b"5") in start["headers"]
    assert all(name == name.lower() for name, _ in start["headers"])


async def test_a_request_keeps_its_path_query_and_headers_as_sent():
    server = Server(
        path="/v2/studies/1 /metadata",
        raw_path=b"/v2/studies/1%20/metadata?not=here",
        query_string=b"PatientName=a%2Fb&includefield=1&includefield=2",
        headers=[*HEADERS, (b"accept", b"a/b"), (b"Accept", "ä".encode("latin-1"))],
        path_params={"version": "v2", "study": "1 "},
    )

    request = EXTENSION.received(HostRequest(server.scope, server.receive))

    assert (request.method, request.scheme, request.host, request.client) == (
        "GET",
        "http",
        "dicom.example",
        "192.0.2.7",
    )
    assert (request.path, request.query) == (
        "/v2/studies/1%20/metadata",
        "PatientName=a%2Fb&includefield=1&includefield=2",
    )
    assert request.headers.all("accept") == ["a/b", "ä"]
    assert request.route == {"version": "v2", "study": "1 "}


async def test_a_body_arrives_in_its_pieces():
    async def sizes(request: Request, context: Context) -> Response:
        return Response(200, (), repr([chunk async for chunk in request.body]).encode())

    server = Server(method="POST", body=(b"one", b"", b"two"))

    await server.call("store_studies", sizes)

    assert server.body == b"[b'one', b'two']"


async def test_a_client_that_goes_away_while_sending_makes_the_request_invalid():
    async def read_all(request: Request, context: Context) -> Response:
        with pytest.raises(InvalidRequest):
            [chunk async for chunk in request.body]
        raise InvalidRequest("cancelled")

    server = Server(method="POST", body=(b"half",), gone_after=1)

    await server.call("store_studies", read_all)

    assert server.sent[0]["status"] == 400


async def test_a_streamed_answer_is_complete_and_closed():
    server, stream = Server(path_params={"version": "v2", "study": "1.2"}), Stream(b"one", b"two")

    await server.call("retrieve_study", streaming(stream, ("Content-Type", "application/dicom")))

    assert (server.body, server.complete, stream.closed) == (b"onetwo", True, 1)


@pytest.mark.spec("WADO-28")
async def test_a_stream_that_fails_leaves_the_response_unfinished_so_that_the_server_cuts_the_connection():
    server, stream = Server(path_params={"version": "v2", "study": "1.2"}), Stream(b"one", ValueError("x"), b"two")

    await server.call("retrieve_study", streaming(stream))

    assert (server.body, server.complete, stream.closed) == (b"one", False, 1)


async def test_a_stream_is_closed_when_the_client_goes_away_between_chunks():
    class Endless(Stream):
        async def __anext__(self):
            await asyncio.sleep(0)
            return b"x"

    server, stream = Server(path_params={"version": "v2", "study": "1.2"}), Endless()

    call = asyncio.create_task(server.call("retrieve_study", streaming(stream)))
    await wait_until(lambda: len(server.sent) >= 5)
    server.gone.set()
    await call

    assert (server.complete, stream.closed) == (False, 1)


async def test_a_stream_is_closed_when_the_client_goes_away_while_storage_is_slow():
    class Slow(Stream):
        async def __anext__(self):
            if self.read:
                await asyncio.Event().wait()
            self.read += 1
            return b"x"

    server, stream = Server(path_params={"version": "v2", "study": "1.2"}), Slow()

    call = asyncio.create_task(server.call("retrieve_study", streaming(stream)))
    await wait_until(lambda: len(server.sent) >= 2)
    server.gone.set()
    await call

    assert stream.closed == 1


@pytest.mark.spec("URL-12")
async def test_head_of_a_stream_names_no_length():
    server = Server(method="HEAD", path_params={"version": "v2", "study": "1.2"})

    await server.call("retrieve_study", streaming(Stream(b"x")))

    assert server.body == b""
    assert b"content-length" not in dict(server.sent[0]["headers"])


async def test_a_header_value_cannot_begin_another_header():
    async def handler(request: Request, context: Context) -> Response:
        return Response(200, (("Warning", "299 - \r\nSet-Cookie: x=1\x00 é 漢"),), b"")

    server = Server()

    await server.call("search_studies", handler)

    assert dict(server.sent[0]["headers"])[b"warning"] == "299 -   Set-Cookie: x=1  é ?".encode("latin-1")


# ------------------------------------------------------------------------------------------------------ the runtime


class Entry:
    def __init__(self, response: object = None) -> None:
        self.http_response = response


@pytest.fixture
def entries(monkeypatch) -> dict[str, Entry]:
    """The runtime's entries, kept for no time after the return of a function."""
    module = types.ModuleType("azure_functions_runtime.http_v2")
    module.http_coordinator = types.SimpleNamespace(_context_references={})
    monkeypatch.setitem(sys.modules, "azure_functions_runtime.http_v2", module)
    monkeypatch.setattr(fastapi_extension, "_FORGET_SECONDS", 0.0)
    return module.http_coordinator._context_references


async def wait_until(condition) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never happened")


async def test_the_runtime_forgets_an_invocation_that_has_been_answered(entries):
    entries["invocation"] = Entry()

    await Server().call("search_studies")

    await wait_until(lambda: not entries)


async def test_an_answer_that_is_not_yet_picked_up_is_not_forgotten(entries):
    entry = entries["invocation"] = Entry(response="waiting")

    forget_later("invocation")
    for _ in range(20):
        await asyncio.sleep(0)
    assert entries == {"invocation": entry}

    entry.http_response = None
    await wait_until(lambda: not entries)


async def test_an_invocation_is_not_forgotten_while_its_function_runs(entries):
    entries["invocation"] = Entry()
    seen: list[int] = []

    async def slow(request: Request, context: Context) -> Response:
        for _ in range(20):
            await asyncio.sleep(0)
        seen.append(len(entries))
        return Response(200)

    await Server().call("search_studies", slow)

    assert seen == [1]


def test_access_lines_are_silenced():
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, "GET /v2/studies?PatientName=Doe", (), None)

    assert not logging.getLogger("uvicorn.access").filter(record)
