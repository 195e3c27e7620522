"""Requests read from bytes, however these arrive and whatever they are."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.web_extension.messages import ClientGone, RequestBody, ServerRequest
from shared.web_extension.reader import RequestReader

HOST = b"Host: dicom.example\r\n"
ID = b"x-ms-invocation-id: 0a-1b\r\n"
LIMIT = 4096


def reader(limit: int = LIMIT) -> RequestReader:
    return RequestReader(limit, "192.0.2.7", lambda: RequestBody(lambda: None))


def read(*pieces: bytes, limit: int = LIMIT) -> tuple[list[ServerRequest], RequestReader]:
    at, found = reader(limit), []
    for piece in pieces:
        at.feed(piece)
        found += at.take()
    return found, at


def invocation(request: ServerRequest) -> str | None:
    return request.headers.get("x-ms-invocation-id")


async def content(request: ServerRequest) -> bytes:
    return b"".join([piece async for piece in request.body])


def refused(*pieces: bytes, limit: int = LIMIT) -> tuple[int, str | None]:
    """Status and invocation of the one request that is refused."""
    [request], at = read(*pieces, limit=limit)
    assert request.refusal is not None
    assert not at.may_continue
    assert not request.keep_alive
    return request.refusal.status, invocation(request)


def test_a_request_is_as_it_was_sent():
    [request], at = read(
        b"GET /v2/studies/1%20/metadata?a=%2F&b HTTP/1.1\r\n" + HOST + b"Accept: a\r\nACCEPT:\t\xe4 \r\n\r\n"
    )

    assert (request.method, request.target, request.version) == ("GET", b"/v2/studies/1%20/metadata?a=%2F&b", "1.1")
    assert request.fields == [("host", "dicom.example"), ("accept", "a"), ("accept", "ä")]
    assert (request.peer, request.keep_alive, request.body.complete) == ("192.0.2.7", True, True)
    assert (at.may_continue, at.in_head) == (True, False)


@pytest.mark.spec("URL-15")
@pytest.mark.parametrize(
    ("line", "method", "target"),
    [
        (b"GET /v2/studies/1%0A2", "GET", b"/v2/studies/1%0A2"),
        (b"PROPFIND /v2/studies", "PROPFIND", b"/v2/studies"),
        (b"CONNECT /v2/studies", "CONNECT", b"/v2/studies"),
        (b"CONNECT dicom.example:443", "CONNECT", b"dicom.example:443"),
        (b"OPTIONS *", "OPTIONS", b"*"),
        (b"GET http://other.example/v2/studies?a", "GET", b"/v2/studies?a"),
        (b"GET http://other.example", "GET", b"/"),
        (b"M-SEARCH /docs", "M-SEARCH", b"/docs"),
    ],
)
def test_every_path_and_method_is_a_request(line, method, target):
    [request], _ = read(line + b" HTTP/1.1\r\n" + HOST + ID + b"\r\n")

    assert (request.method, request.target, request.refusal, invocation(request)) == (method, target, None, "0a-1b")


@pytest.mark.spec("URL-15")
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"FOO / HTTP/1.1\r\n" + HOST + ID + b"\r\n", 400),
        (b"\x16\x03\x01 / HTTP/1.1\r\n" + HOST + ID + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n folded\r\n" + ID + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A : b\r\n" + ID + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: \x00\r\n" + ID + b"\r\n", 400),
        (b"GET /\xe4 HTTP/1.1\r\n" + HOST + ID + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + ID + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + HOST + ID + b"\r\n", 400),
        (b"GET / HTTP/2.0\r\n" + HOST + ID + b"\r\n", 505),
        (b"GET /\nHost: a\n" + ID + b"\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + ID + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + ID + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n" + ID + b"\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, gzip\r\n" + ID + b"\r\n", 400),
        (b"GET /" + b"a" * LIMIT + b" HTTP/1.1\r\n" + HOST + ID + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 300 + ID + b"\r\n", 431),
    ],
)  # fmt: skip  # a table
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_what_is_no_request_is_refused_and_its_invocation_found(data, status, size):
    pieces = [data[at : at + size] for at in range(0, len(data), size)]

    assert refused(*pieces) == (status, "0a-1b")


def test_what_follows_a_refused_request_is_not_read():
    found, at = read(b"FOO / HTTP/1.1\r\n" + HOST + b"\r\n", b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")

    assert [request.refusal.status for request in found] == [400]
    assert not at.in_head


def test_an_endless_head_is_refused_before_it_is_kept():
    at = reader()
    at.feed(b"GET / HTTP/1.1\r\n" + HOST + b"A: ")
    for _ in range(100):
        at.feed(b"x" * 1000)
        if found := at.take():
            break

    assert [request.refusal.status for request in found] == [431]
    assert len(at._head) < 3 * LIMIT


def test_a_head_that_does_not_become_whole_is_given_up():
    at = reader()
    at.feed(b"GET / HTTP/1.1\r\n" + HOST + ID)
    assert at.in_head

    at.give_up()
    [request] = at.take()

    assert (request.refusal.status, invocation(request), at.in_head) == (408, "0a-1b", False)


@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_a_body_arrives_whole_and_the_next_request_after_it(framing, size):
    head = b"POST / HTTP/1.1\r\n" + HOST
    body = b"Content-Length: 10\r\n\r\n0123456789"
    if framing == "chunks":
        body = b"Transfer-Encoding: chunked\r\n\r\n4;a=b\r\n0123\r\n6\r\n456789\r\n0\r\nHost: trailer\r\n\r\n"
    data = (head + body) * 2

    found, at = read(*(data[start : start + size] for start in range(0, len(data), size)))

    assert [await content(request) for request in found] == [b"0123456789"] * 2
    assert [len(request.fields) for request in found] == [2, 2]
    assert at.may_continue


async def test_a_body_that_breaks_fails_whoever_reads_it():
    [request], at = read(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxx\r\n")

    with pytest.raises(ClientGone):
        await content(request)
    assert (request.keep_alive, at.may_continue) == (False, False)


async def test_a_body_of_framing_alone_is_refused():
    at = reader(limit=100)
    at.feed(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
    [request] = at.take()
    for _ in range(100):
        at.feed(b"1;" + b"x" * 100 + b"\r\na\r\n")

    with pytest.raises(ClientGone):
        await content(request)


def test_a_field_that_names_the_last_request_of_a_connection_is_heeded():
    [request], at = read(b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n")

    assert (request.keep_alive, request.refusal, at.may_continue) == (False, None, False)


@pytest.mark.parametrize(
    "head", [b"CONNECT a:1 HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"]
)
def test_another_protocol_is_not_begun_and_nothing_is_read_as_a_request_after_it(head):
    [request], at = read(head + HOST + b"\r\n", b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")

    assert (request.keep_alive, request.refusal, at.may_continue) == (False, None, False)


def test_http_1_0_ends_the_connection_unless_it_says_otherwise():
    [old], _ = read(b"GET / HTTP/1.0\r\n\r\n")
    [kept], _ = read(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")

    assert (old.keep_alive, kept.keep_alive) == (False, True)


def test_requests_that_do_not_wait_for_answers_are_bounded():
    found, at = read((b"GET / HTTP/1.1\r\n" + HOST + b"\r\n") * 100)

    assert len(found) == 17
    assert [request.refusal is not None for request in found] == [False] * 16 + [True]
    assert not at.may_continue


# ------------------------------------------------------------------------------------------------------------- fuzzing

PARTS = [
    b"GET ", b"POST ", b"FOO ", b"/", b"/a?b", b"*", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b" HTTP/9.9\r\n", HOST, ID,
    b"\r\n", b"\n", b"\r", b"Content-Length: 3\r\n", b"Content-Length: 99999999999999999999\r\n", b"\xff" * 3,
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: x\r\n", b"Connection: close\r\n", b": ", b" ", b"\x00",
    b"Connection: upgrade\r\nUpgrade: x\r\n", b"Expect: 100-continue\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b"abc",
    b"fffffffffffffffff\r\n", b"A: " + b"x" * 3000 + b"\r\n",
]  # fmt: skip  # a list of cases
SOUND = [
    b"GET /v2/studies HTTP/1.1\r\n" + HOST + ID + b"\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + ID + b"Content-Length: 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\n" + HOST + ID + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
]
STREAMS = st.lists(st.one_of(st.sampled_from(PARTS), st.sampled_from(SOUND), st.binary(max_size=20)), max_size=12)


@settings(deadline=None, max_examples=300)
@given(STREAMS, st.lists(st.integers(1, 60), min_size=1, max_size=8))
def test_anything_that_arrives_becomes_requests_or_a_refusal_in_bounded_memory(parts, sizes):
    data, at, found, start, turn = b"".join(parts), reader(), [], 0, 0
    while start < len(data):
        size = sizes[turn % len(sizes)]
        at.feed(data[start : start + size])
        found += at.take()
        start, turn = start + size, turn + 1
        assert len(at._head) <= 2 * LIMIT + 60
    refusals = [request.refusal is not None for request in found]
    assert refusals.count(True) <= 1
    assert not any(refusals[:-1])
    for request in found:
        if request.refusal is None:
            assert request.method
            assert request.target
            assert request.version in {"1.0", "1.1"}


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from(SOUND), min_size=1, max_size=6), st.lists(st.integers(1, 90), min_size=1, max_size=8))
async def test_where_the_bytes_are_cut_makes_no_difference(requests, sizes):
    data, pieces, start, turn = b"".join(requests), [], 0, 0
    while start < len(data):
        size = sizes[turn % len(sizes)]
        pieces.append(data[start : start + size])
        start, turn = start + size, turn + 1

    found, at = read(*pieces)

    assert [await content(request) for request in found] == [b"" if sent is SOUND[0] else b"abc" for sent in requests]
    assert all(request.refusal is None and invocation(request) == "0a-1b" for request in found)
    assert at.may_continue


def test_a_long_path_is_looked_at_once():
    """Whether a target is a whole URL is told by its beginning: looked for everywhere, it would take days."""
    path = b"/" + b"a" * 1_000_000
    [request], _ = read(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n", limit=1 << 21)
    assert request.target == path
    [request], _ = read(b"GET /a?b=http://c/d HTTP/1.1\r\n" + HOST + b"\r\n")
    assert request.target == b"/a?b=http://c/d"
