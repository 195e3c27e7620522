"""How responses are framed, and what cannot stand in them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.web_extension.messages import RequestBody, ServerRequest, ServerResponse
from shared.web_extension.writer import ResponseFraming, WrongLength


def request(method: str = "GET", version: str = "1.1") -> ServerRequest:
    made = ServerRequest(RequestBody(lambda: None), "")
    made.method, made.version = method, version
    return made


async def stream():
    yield b""


def framed(
    fields: list[tuple[str, str]],
    body: object = b"",
    *,
    status: int = 200,
    method: str = "GET",
    version: str = "1.1",
    keep_alive: bool = True,
) -> ResponseFraming:
    return ResponseFraming(request(method, version), ServerResponse(status, fields, body), keep_alive=keep_alive)


def fields(framing: ResponseFraming) -> list[bytes]:
    line, *rest = framing.head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert line.startswith(b"HTTP/1.1 ")
    assert rest[-1].startswith(b"date: ")
    return rest[:-1]


def test_a_whole_body_has_the_length_that_it_has():
    assert fields(framed([("Content-Length", "99"), ("ETag", '"x"')], b"abc")) == [b'etag: "x"', b"content-length: 3"]


def test_a_stream_without_a_length_is_chunked():
    framing = framed([], stream())

    assert fields(framing) == [b"transfer-encoding: chunked"]
    assert (framing.piece(b"a" * 26), framing.end()) == ((b"1a\r\n", b"a" * 26, b"\r\n"), b"0\r\n\r\n")


def test_a_stream_to_an_old_client_ends_with_the_connection():
    framing = framed([], stream(), version="1.0")

    assert fields(framing) == [b"connection: close"]
    assert (framing.piece(b"a"), framing.end(), framing.keep_alive) == ((b"a",), b"", False)


@pytest.mark.parametrize("pieces", [[b"abcd"], [b"abc", b"d"], [b"ab"], []])
def test_a_stream_that_breaks_its_word_about_its_length_fails(pieces):
    framing = framed([("Content-Length", "3")], stream())

    with pytest.raises(WrongLength):
        [framing.piece(piece) for piece in pieces] + [framing.end()]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"method": "HEAD"}, []),
        ({"method": "HEAD", "length": "7"}, [b"content-length: 7"]),
        ({"status": 204}, []),
        ({"status": 204, "length": "7"}, []),
        ({"status": 304}, []),
    ],
)
@pytest.mark.parametrize("body", [b"", stream()], ids=["whole", "stream"])
def test_what_has_no_body_is_not_framed_as_one(options, expected, body):
    length = options.get("length")
    known = {key: value for key, value in options.items() if key != "length"}

    framing = framed([("Content-Length", length)] if length else [], body, **known)

    assert fields(framing) == expected
    assert framing.bodiless


def test_framing_fields_of_a_response_are_not_believed():
    said = [
        ("Transfer-Encoding", "gzip"),
        ("Connection", "upgrade"),
        ("Upgrade", "x"),
        ("Content-Length", "1e3"),
        ("Date", "never"),
    ]

    assert fields(framed(said, b"abc")) == [b"content-length: 3"]


def test_a_status_without_a_phrase_is_sent():
    assert framed([], status=799).head.startswith(b"HTTP/1.1 799 \r\n")


def test_a_name_that_is_none_is_an_error_of_ours():
    with pytest.raises(ValueError, match="name"):
        framed([("A: b\r\nC", "d")])


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=40))
def test_no_value_begins_another_header(value):
    assert len(fields(framed([("Warning", value)], b""))) == 2


def test_a_value_keeps_what_it_may():
    [warning, _] = fields(framed([("Warning", "299 - \r\nSet-Cookie: x=1\x00 é 漢")]))

    assert warning == "warning: 299 -   Set-Cookie: x=1  é ?".encode("latin-1")
