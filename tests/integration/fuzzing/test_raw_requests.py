"""Bytes on a socket that are nearly HTTP, to the host and to the worker's own server behind it."""

import asyncio
import random
import re
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession

from tests.builders.files import file
from tests.builders.mutation import mutated, noise, rounds
from tests.integration.fuzzing.watching import Watch

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(3600)]

_FILE = file().data
_HEAD = b"Host: 127.0.0.1\r\nAccept: */*\r\n"
_HEADS = b"Host: 127.0.0.1\r\nx-ms-invocation-id: 5edc69d5-f09d-4fe9-a935-0a2600ec83d6\r\n"
_CHUNKS = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (_FILE[:100], _FILE[100:])) + b"0\r\n\r\n"
_DICOM = b"Content-Type: application/dicom\r\n"
REQUESTS = [
    b"GET /v2/studies?PatientName=A*&limit=5 HTTP/1.1\r\n" + _HEAD + b"\r\n",
    b"HEAD /v2/studies/1.2/series/1.3/instances/1.4/frames/1,2 HTTP/1.1\r\n" + _HEAD + b"Range: bytes=0-9\r\n\r\n",
    b"GET /v2/studies/1.2.3/metadata HTTP/1.1\r\n" + _HEADS + b'If-None-Match: "1-2"\r\nConnection: keep-alive\r\n\r\n',
    b"OPTIONS /v2/studies HTTP/1.1\r\n" + _HEAD + b"Origin: http://a\r\nAccess-Control-Request-Method: GET\r\n\r\n",
    b"POST /v2/studies HTTP/1.1\r\n" + _HEAD + _DICOM + b"Content-Length: %d\r\n\r\n" % len(_FILE) + _FILE,
    b"POST /v2/studies HTTP/1.1\r\n" + _HEADS + _DICOM + b"Transfer-Encoding: chunked\r\n\r\n" + _CHUNKS,
    b"POST /v2/studies HTTP/1.1\r\n" + _HEAD + _DICOM + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"DELETE /v2/studies/1.2.3 HTTP/1.0\r\n\r\n",
    b"GET /v2/api.json HTTP/1.1\r\n" + _HEAD + b"Accept-Encoding: gzip;q=0.5, br\r\nUpgrade: h2c\r\n\r\n",
]
WORDS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"%00",
    b"%0A",
    b"%0d%0a",
    b"%zz",
    b"/../",
    b"//",
    b"\xff\xfe",
    b"\xc0\xaf",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Content-Length: 5, 5\r\n",
    b"Host: evil\r\n",
    b"X-Forwarded-For: 6.6.6.6\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"Range: bytes=9-1,-0,5-\r\n",
    b"Accept: a/b;q=nan, */*;q=1e9\r\n",
    b"ffffffffffffffff\r\n",
    b"0\r\n\r\n",
    b"HTTP/1.1",
    b"HTTP/9.9",
    b"CONNECT a:1 ",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"A" * 70_000,
    b"a: b\r\n" * 500,
    b"?" + b"a=b&" * 5000,
    b"http://a/",
]
METHODS = [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"PROPFIND", b"TRACE", b"CONNECT", b"get"]
SEGMENTS = [
    b"v1",
    b"v2",
    b"V2",
    b"studies",
    b"series",
    b"instances",
    b"1.2.3",
    b"frames",
    b"1",
    b"0",
    b"-1",
    b"99999999999999999999",
    b"metadata",
    b"bulkdata",
    b"7FE00010",
    b"rendered",
    b"thumbnail",
    b"changefeed",
    b"latest",
    b"partitions",
    b"wado",
    b"*",
    b"operations",
    b"admin",
    b"host",
    b"status",
    b"runtime",
    b"api.yaml",
    b"health",
    b"check",
    b"..",
    b".",
    b"",
    b"%2e%2e",
    b"%0A",
    b"%00",
    b"%c0%af",
    b"%ff",
    b"a%2Fb",
    b"\xc3\xa9",
    b"{study}",
    b"x" * 300,
]
FIELDS = [
    b"Accept",
    b"Accept-Encoding",
    b"Range",
    b"If-Range",
    b"If-None-Match",
    b"If-Match",
    b"Content-Type",
    b"Origin",
    b"Authorization",
    b"X-Forwarded-Host",
    b"Content-Encoding",
    b"x-ms-client-principal",
    b"traceparent",
    b"Cookie",
]
VALUES = [
    b"",
    b"*/*",
    b"a",
    b'"',
    b'multipart/related; type="',
    b"application/dicom; transfer-syntax=*",
    b"bytes=0-",
    b"bytes=-1,5-2",
    b"gzip, gzip, gzip",
    b"\xff\x80",
    b";;;,,,",
    b"a/b;q=nan",
    b"Bearer a.b.c",
    b"Basic x",
    b'W/"1"',
    b"%00",
    b"x" * 9000,
    b"0123456789abcdef" * 40,
    b"application/dicom+json; charset=utf-7",
    b"00-0-0-zz",
]
_FAILED = re.compile(rb"HTTP/1\.[01] 5(?!01|05)[0-9][0-9] [^\r\n]*")
"""501 and 505 speak of what the client asked for: a coding of the body, a version of HTTP."""
_ANSWERED = 2.0
"""Seconds after which a client gives up: requests that are not whole get no answer sooner."""


def plausible(chance: random.Random) -> bytes:
    """A request that is right as HTTP goes, with odd words in all its places."""
    target = b"/" + b"/".join(chance.choices(SEGMENTS, k=chance.randrange(1, 9)))
    if chance.random() < 0.5:
        target += b"?" + b"&".join(b"%s=%s" % (chance.choice(SEGMENTS), chance.choice(SEGMENTS)) for _ in range(3))
    fields = [b"%s: %s\r\n" % (chance.choice(FIELDS), chance.choice(VALUES)) for _ in range(chance.randrange(5))]
    body = chance.choice((b"", b"", b"abc", b"{}", _FILE))
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    head = b"%s %s HTTP/1.1\r\n" % (chance.choice(METHODS), target) + _HEAD + b"Connection: close\r\n"
    return head + b"".join(fields) + length + b"\r\n" + body


async def answers(port: int, sent: bytes) -> bytes:
    """What comes back for these bytes until the server has said all, or the client gives up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(_ANSWERED):
            writer.write(sent)
            await writer.drain()
            while piece := await reader.read(65536):
                received += piece
    writer.transport.abort()
    return received


@pytest.mark.parametrize("direct", [False, True], ids=["host", "worker"])
async def test_no_bytes_make_the_service_fail_or_end_its_worker(fresh_service, direct):
    service = await fresh_service()
    watch = await Watch.begin(service)
    port = watch.listening if direct else int(urlsplit(service.url).port)
    chance = noise()
    statuses: dict[bytes, int] = {}

    async def client(inputs: list[bytes]) -> None:
        for sent in inputs:
            received = await answers(port, sent)
            assert not _FAILED.search(received), (_FAILED.findall(received), sent[:2000], len(sent))
            statuses[received[9:12]] = statuses.get(received[9:12], 0) + 1

    for _ in range(rounds(2000) // 200):
        whole = [plausible(chance) for _ in range(120)]
        inputs = [*whole, *(mutated(chance.choice(REQUESTS + whole), chance, REQUESTS, WORDS) for _ in range(80))]
        await asyncio.gather(*(client(inputs[start::20]) for start in range(20)))
        await watch.look()
        async with ClientSession() as session, session.get(f"{service.url}/v2/studies?limit=1") as response:
            assert response.status in {200, 204}
    print(f"{statuses}; at most {watch.most / 2**20:.0f} MiB, at first {watch.memory / 2**20:.0f}")
    assert "Traceback" not in service.log_text
