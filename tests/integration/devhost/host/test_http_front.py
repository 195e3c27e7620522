"""The HTTP front of the devhost: what reaches a function, what comes back, and what happens when an end goes away."""

import asyncio
import contextlib
import hashlib
import json
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession

from devhost.testing import RunningService, running_service
from tests.integration.devhost.waiting import until

APPS = Path(__file__).parents[1] / "apps"
MIB = 1 << 20


class HttpApp:
    """The running app, a client for it and the lines that it has written."""

    def __init__(self, service: RunningService, client: ClientSession, notes: Path) -> None:
        self.service = service
        self.client = client
        self._notes = notes

    def url(self, path: str) -> str:
        return self.service.url + path

    async def noted(self, line: str) -> None:
        """Wait for a line that the app writes."""
        await until(lambda: self._notes.exists() and line in self._notes.read_text().splitlines())

    def forget_notes(self) -> None:
        self._notes.unlink(missing_ok=True)

    async def raw(self, request: bytes) -> bytes:
        """What the host answers to bytes of the test's own; the request must close the connection."""
        host, _, port = self.service.url.removeprefix("http://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        return answer


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HttpApp]:
    notes = tmp_path_factory.mktemp("http") / "notes"
    settings = {"NOTES": str(notes), "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(80 * MIB)}
    async with running_service(APPS / "http", settings) as service, ClientSession() as client:
        yield HttpApp(service, client, notes)


def _header(answer: dict[str, object], name: str) -> list[str]:
    return [value for key, value in answer["headers"] if key == name]


async def test_a_function_sees_the_request_as_the_client_sent_it(app: HttpApp) -> None:
    async with app.client.put(
        app.url("/echo/a/b%2Fc"),
        params={"x": "1"},
        data=b"body",
        headers=[("X-Twice", "1"), ("X-Twice", "2"), ("Content-Encoding", "gzip"), ("Content-Type", "a/b")],
        skip_auto_headers=["Accept", "User-Agent", "Accept-Encoding"],
    ) as response:
        answer = await response.json()
        assert response.status == 200
        assert response.headers.getall("Set-Cookie") == ["a=1", "b=2"]
        assert response.headers["X-Test"] == "1"
    assert answer["method"] == "PUT"
    assert (answer["raw_path"], answer["query"]) == ("/echo/a/b%2Fc", "x=1")
    assert answer["values"] == {"first": "a", "second": "b%2Fc"}
    assert answer["function"] == "echo"
    assert (answer["length"], answer["digest"]) == (4, hashlib.sha256(b"body").hexdigest())
    assert _header(answer, "x-twice") == ["1", "2"]
    assert _header(answer, "content-encoding") == ["gzip"]
    assert _header(answer, "host") == [app.service.url.removeprefix("http://")]
    assert not any(_header(answer, name) for name in ("accept", "user-agent", "accept-encoding", "transfer-encoding"))


async def test_the_invocation_id_of_a_client_is_replaced(app: HttpApp) -> None:
    async with app.client.get(app.url("/echo/a"), headers={"X-MS-Invocation-Id": "mine"}) as response:
        answer = await response.json()
    assert _header(answer, "x-ms-invocation-id") == [answer["invocation"]]
    assert answer["invocation"] != "mine"


async def test_headers_of_the_connection_stay_on_the_connection(app: HttpApp) -> None:
    request = (
        b"GET /echo/a HTTP/1.1\r\nHost: h\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\nX-Kept: 1\r\n\r\n"
    )
    answer = json.loads((await app.raw(request)).partition(b"\r\n\r\n")[2])
    assert _header(answer, "x-kept") == ["1"]
    assert not _header(answer, "x-hop")
    assert not _header(answer, "te")


def assert_shape(text: str, request_id: str = "") -> None:
    """An error of the host looks as those of the app do: what, where, what to do, and an id."""
    _, where, remedy, last = text.splitlines()
    assert (where.partition(": ")[0], remedy.partition(": ")[0]) == ("Where", "What to do")
    assert re.fullmatch(f"Request id: {request_id or '[0-9a-f]{32}'}", last)


async def test_a_method_that_no_function_lists_is_not_found(app: HttpApp) -> None:
    async with app.client.delete(app.url("/ping")) as response:
        assert response.status == 404
        assert_shape(await response.text(), response.headers["X-Request-Id"])


async def test_the_fallback_answers_what_no_other_function_matches(app: HttpApp) -> None:
    async with app.client.get(app.url("/nothing/here")) as response:
        assert (response.status, await response.text()) == (404, "fallback")


async def test_dot_segments_are_gone_before_routing(app: HttpApp) -> None:
    answer = await app.raw(b"GET /echo/../ping HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"\r\n\r\npong")


async def test_head_has_the_headers_of_get_and_no_body(app: HttpApp) -> None:
    answer = await app.raw(b"HEAD /download/3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"content-length: %d" % (3 * MIB) in head.lower()
    assert body == b""


@pytest.mark.parametrize("code", [204, 304])
async def test_a_response_without_content_has_none(app: HttpApp, code: int) -> None:
    answer = await app.raw(b"GET /status/%d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" % code)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % code)
    assert b"transfer-encoding" not in head.lower()
    assert body == b""


async def test_continue_is_answered_before_the_body_is_sent(app: HttpApp) -> None:
    host, _, port = app.service.url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /upload HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
    )
    async with asyncio.timeout(10):
        assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        await reader.readline()
        writer.write(b"body")
        answer = await reader.read()
    writer.close()
    assert answer.split()[1] == b"200"
    assert b'"length":4' in answer


def _resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "with a length"])
async def test_a_large_upload_streams_through(app: HttpApp, chunked: bool) -> None:
    size, block = 64 * MIB, bytes(range(256)) * 1024
    digest = hashlib.sha256(block * (size // len(block))).hexdigest()
    before = [_resident(pid) for pid in app.service.processes]
    growth = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal growth
        for i in range(size // len(block)):
            yield block
            if i % 16 == 0:
                now = [_resident(pid) for pid in app.service.processes]
                growth = max(growth, *(n - b for n, b in zip(now, before, strict=True)))

    headers = {} if chunked else {"Content-Length": str(size)}
    async with app.client.post(app.url("/upload"), data=body(), headers=headers) as response:
        assert await response.json() == {"length": size, "digest": digest}
    assert growth < 24 * MIB


@pytest.mark.parametrize("query", ["?chunked=1", ""], ids=["chunked", "with a length"])
async def test_a_large_download_streams_through(app: HttpApp, query: str) -> None:
    before = [_resident(pid) for pid in app.service.processes]
    length = growth = 0
    digest = hashlib.sha256()
    async with app.client.get(app.url(f"/download/64{query}")) as response:
        async for chunk in response.content.iter_any():
            if length // (8 * MIB) != (length + len(chunk)) // (8 * MIB):
                now = [_resident(pid) for pid in app.service.processes]
                growth = max(growth, *(n - b for n, b in zip(now, before, strict=True)))
            length += len(chunk)
            digest.update(chunk)
    assert length == 64 * MIB
    assert digest.hexdigest() == hashlib.sha256(bytes(range(256)) * 256 * 1024).hexdigest()
    assert growth < 24 * MIB


async def test_a_slow_client_slows_the_function_down(app: HttpApp) -> None:
    app.forget_notes()
    host, _, port = app.service.url.removeprefix("http://").rpartition(":")
    before = [_resident(pid) for pid in app.service.processes]
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        client.connect((host, int(port)))
        client.sendall(b"GET /download/64 HTTP/1.1\r\nHost: h\r\n\r\n")
        await asyncio.sleep(0.5)
        now = [_resident(pid) for pid in app.service.processes]
    assert max(n - b for n, b in zip(now, before, strict=True)) < 24 * MIB
    await app.noted("download ended after a part")


async def test_pieces_of_a_response_arrive_when_they_are_made(app: HttpApp) -> None:
    async with app.client.get(app.url("/drip/40")) as response:
        first = await response.content.readline()
        assert first == b"0\n"
        response.close()


@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "with a length"])
async def test_a_body_over_the_limit_is_refused_as_the_real_host_does(app: HttpApp, chunked: bool) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(81):
            yield bytes(MIB)

    headers = {} if chunked else {"Content-Length": str(81 * MIB)}
    status = 0
    try:
        async with app.client.post(app.url("/upload"), data=body(), headers=headers) as response:
            status = response.status
    except ClientError:
        pass  # the host may close the connection while the client still sends
    assert status in {500, 0}
    async with app.client.get(app.url("/ping")) as response:
        assert response.status == 200


async def test_an_answer_may_come_before_the_body_has(app: HttpApp) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(16):
            yield bytes(MIB)

    async with app.client.post(app.url("/refuse"), data=body()) as response:
        assert (response.status, await response.text()) == (415, "no")


async def test_a_client_that_leaves_a_download_ends_it(app: HttpApp) -> None:
    app.forget_notes()
    async with app.client.get(app.url("/download/64")) as response:
        await response.content.readexactly(MIB)
        response.close()
    await app.noted("download ended after a part")


async def test_a_client_that_leaves_an_upload_ends_it(app: HttpApp) -> None:
    app.forget_notes()
    host, _, port = app.service.url.removeprefix("http://").rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + bytes(1000))
    await writer.drain()
    await asyncio.sleep(0.2)
    writer.close()
    await app.noted("upload broke off: ClientDisconnect")


async def test_clients_that_leave_at_once_leave_no_invocation_behind(app: HttpApp) -> None:
    host, _, port = app.service.url.removeprefix("http://").rpartition(":")
    for _ in range(20):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /wait/0 HTTP/1.1\r\nHost: h\r\n\r\n")
        await writer.drain()
        writer.transport.abort()
    async with app.client.get(app.url("/admin/host/status")) as response:
        assert response.status == 200
    for _ in range(300):
        async with app.client.get(app.url("/busy-invocations")) as response:
            count = int(await response.text())
        if count == 1:
            break
        await asyncio.sleep(0.01)
    assert count == 1, "only the one that counts"


async def test_a_function_that_fails_is_a_server_error(app: HttpApp) -> None:
    async with app.client.get(app.url("/boom")) as response:
        assert response.status == 500
    await until(lambda: "Executed 'Functions.boom' (Failed" in app.service.log_text)


async def test_a_failure_midway_cuts_the_connection(app: HttpApp) -> None:
    async with app.client.get(app.url("/boom-midway")) as response:
        assert response.status == 200
        with pytest.raises(ClientError):
            await response.read()


async def test_query_strings_are_never_logged(app: HttpApp) -> None:
    for path in ("/boom?PatientName=Secret", "/none?PatientName=Secret", "/boom-midway?PatientName=Secret"):
        async with app.client.get(app.url(path)) as response:
            response.close()
    assert "Secret" not in app.service.log_text


async def test_the_existing_environment_wins_over_the_settings_file_and_reaches_the_functions(app: HttpApp) -> None:
    async with app.client.get(app.url("/settings")) as response:
        settings = await response.json()
    assert settings["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"] == str(80 * MIB)
    assert settings["DICOM_EVENTS_TOPIC"] == app.url("/runtime/devhost/topics/dicom-events/api/events")
    assert settings["DICOM_EVENTS_TOPIC_KEY"]


async def test_the_admin_paths_tell_the_state_and_the_functions(app: HttpApp) -> None:
    async with app.client.get(app.url("/admin/host/ping")) as response:
        assert response.status == 200
    async with app.client.get(app.url("/admin/host/status")) as response:
        assert (await response.json())["state"] == "Running"
    async with app.client.get(app.url("/admin/functions")) as response:
        names = [function["name"] for function in await response.json()]
    assert {"ping", "zz_fallback"} <= set(names)
    async with app.client.get(app.url("/admin/functions/PING")) as response:
        assert (await response.json())["config"]["bindings"][0]["type"] == "httpTrigger"
    async with app.client.get(app.url("/admin/functions/none")) as response:
        assert response.status == 404
    async with app.client.post(app.url("/admin/functions/ping"), json={"input": ""}) as response:
        assert response.status == 400


async def _raw(app: HttpApp, request: bytes) -> bytes:
    """The answer to bytes as they are."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(app.service.url.rpartition(":")[2]))
    try:
        async with asyncio.timeout(30):
            writer.write(request)
            await writer.drain()
            return await reader.read()
    finally:
        writer.close()


def _since(app: HttpApp, before: str) -> str:
    return app.service.log_text.removeprefix(before)


@pytest.mark.parametrize("length", [8_193, 70_000, 200_000])
async def test_a_url_that_is_too_long_is_refused_without_a_word_of_it(app: HttpApp, length: int) -> None:
    before = app.service.log_text
    target = b"/ping?PatientName=".ljust(length, b"Q")

    answer = await _raw(app, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")

    assert answer.split()[1] == b"414"
    assert_shape(answer.partition(b"\r\n\r\n")[2].decode())
    assert b"QQ" not in answer
    assert "QQ" not in _since(app, before)
    assert "Traceback" not in _since(app, before)


async def test_a_url_without_an_end_is_not_read_to_the_end(app: HttpApp) -> None:
    before = app.service.log_text

    with contextlib.suppress(ConnectionError):  # the answer is lost when the client still sends
        await _raw(app, b"GET /ping?PatientName=" + b"Q" * (8 << 20))

    await until(lambda: "is too long" in _since(app, before))
    assert "QQ" not in _since(app, before)


async def test_a_url_of_the_greatest_length_is_served(app: HttpApp) -> None:
    target = b"/ping?PatientName=".ljust(8_192, b"Q")

    answer = await _raw(app, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert answer.split()[1] == b"200"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /ping?Secret HTTP/1.1\r\nHost: x\r\nPatient: \x00Secret\r\n\r\n", 400),
        (b"GET /ping?Secret HTTP/1.1\r\nHost: x\r\nSecret Secret: x\r\n\r\n", 400),
        (b"GET /ping?Secret HTTP/1.1\r\nHost: x\r\nSecret\r\n\r\n", 400),
        (b"GET /ping?Secret HTTP/1.1\r\nHost: x\r\nContent-Length: Secret\r\n\r\n", 400),
        (b"GET /ping?Secret HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        (b"SECRET-Secret /ping?Secret HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /ping?Secret\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET http://[Secret/ping HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT Secret:443 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"\x16\x03\x01Secret\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nHost: x\r\nPatient: " + b"Secret" * 9_000 + b"\r\n\r\n", 431),
        (b"GET /ping HTTP/1.1\r\nHost: x\r\n" + b"Secret" * 9_000 + b": x\r\n\r\n", 431),
    ],
)
async def test_what_is_not_http_is_refused_without_a_word_of_it(
    app: HttpApp, request_bytes: bytes, status: int
) -> None:
    before = app.service.log_text

    answer = await _raw(app, request_bytes)

    assert answer.split()[1] == b"%d" % status
    assert_shape(answer.partition(b"\r\n\r\n")[2].decode())
    assert b"Secret" not in answer
    assert "Secret" not in _since(app, before)
    assert "Traceback" not in _since(app, before)


async def test_a_bad_chunk_is_refused_without_a_word_of_it(app: HttpApp) -> None:
    before = app.service.log_text
    request = b"POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nSecret\r\n"

    await _raw(app, request)

    assert "Secret" not in _since(app, before)
    assert "aiohttp" not in _since(app, before)


async def test_no_invocation_outlives_its_answer(app: HttpApp) -> None:
    (worker,) = await app.service.worker_pids()

    async with app.client.get(app.url("/docs")) as response:  # the HTTP library in the worker has a page of its own
        assert response.status == 200

    await until(lambda: "Executed 'Functions.zz_fallback' (Failed" in app.service.log_text)
    assert "answered without the function" in app.service.log_text
    async with app.client.get(app.url("/busy-invocations")) as response:
        assert await response.text() == "1"
    assert await app.service.worker_pids() == [worker]


async def test_a_line_that_azure_would_lose_is_marked(app: HttpApp) -> None:
    async with app.client.get(app.url("/log/here")) as response:
        assert response.status == 200

    await until(lambda: "outside here" in app.service.log_text)
    assert "inside here" in app.service.kept_log_text
    assert "outside here" not in app.service.kept_log_text


async def test_a_body_with_a_length_may_be_read_whole_before_the_function_starts(tmp_path: Path) -> None:
    async with running_service(APPS / "http", {}, options=["--buffer-bodies"]) as service, ClientSession() as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
        try:
            writer.write(b"POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nab")
            async with asyncio.timeout(30):
                assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
                async with client.get(f"{service.url}/busy-invocations") as response:
                    assert await response.text() == "1", "the upload is no invocation yet"
                writer.write(b"cd")
                assert (await reader.readuntil(b"\r\n")).split()[1] == b"415"
        finally:
            writer.close()
        async with client.post(f"{service.url}/upload", data=b"abcd") as response:
            assert await response.json() == {"length": 4, "digest": hashlib.sha256(b"abcd").hexdigest()}
