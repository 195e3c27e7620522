"""Reading answers from bytes that arrive in any pieces."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.storage.http_answer import MAX_BODY_BYTES, MAX_HEAD_BYTES, AnswerReader, BrokenAnswer, StorageResponse

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-MS-Version: 1\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-MS-Version: 1\r\n\r\n"  # head
    b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: x\r\n\r\n"
)
EMPTY = b"HTTP/1.1 204 No Content\r\nX-MS-Version: 1\r\n\r\n"
BETWEEN = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"


def fed(reader: AnswerReader, data: bytes, cuts: list[int]) -> list[StorageResponse]:
    places = [0, *sorted({cut % len(data) for cut in cuts} - {0}), len(data)]
    answers = (reader.feed(data[start:end]) for start, end in pairwise(places))
    return [answer for answer in answers if answer is not None]


@given(st.lists(st.integers(0, 500), max_size=8), st.booleans())
@settings(max_examples=150)
def test_answers_are_the_same_however_their_bytes_are_cut(cuts: list[int], between: bool) -> None:
    reader = AnswerReader()
    for data, status, body in ((PLAIN, 200, b"hello"), (EMPTY, 204, b""), (CHUNKED, 200, b"hello")):
        [answer] = fed(reader, BETWEEN + data if between else data, cuts)
        assert (answer.status_code, answer.body, answer.headers["x-ms-version"]) == (status, body, "1")
        assert reader.may_continue


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=4))
@settings(max_examples=200)
def test_whatever_comes_is_an_answer_or_broken(data: bytes, cuts: list[int]) -> None:
    with suppress(BrokenAnswer):
        for answer in fed(AnswerReader(), b"HTTP/1.1 200 OK\r\n" + data, cuts):
            assert answer.status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
)
def test_what_is_no_answer_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        AnswerReader().feed(data)


def test_an_answer_with_a_second_one_behind_it_is_the_last() -> None:
    reader = AnswerReader()
    answer = reader.feed(PLAIN + EMPTY)
    assert answer is not None
    assert answer.body == b"hello"
    assert not reader.may_continue


@pytest.mark.parametrize("data", [PLAIN.replace(b"X-MS-Version: 1", b"Connection: close"), b"HTTP/1.0" + PLAIN[8:]])
def test_an_answer_may_say_that_it_is_the_last(data: bytes) -> None:
    reader = AnswerReader()
    assert reader.feed(data) is not None
    assert not reader.may_continue


def test_an_answer_that_ends_with_the_connection_has_no_end() -> None:
    assert AnswerReader().feed(b"HTTP/1.1 200 OK\r\n\r\nhello") is None


@pytest.mark.parametrize(
    "head", [b"X: " + b"x" * 1000, b"X: x\r\n" * 100 + b"Y: ", b"Transfer-Encoding: chunked\r\nX: "]
)
def test_a_head_has_an_end(head: bytes) -> None:
    reader = AnswerReader()
    reader.feed(b"HTTP/1.1 200 OK\r\n" + head)
    for _ in range(MAX_HEAD_BYTES // 1000 - 1):
        reader.feed(b"x" * 1000)
    with pytest.raises(BrokenAnswer):
        reader.feed(b"x" * 2000)


def test_a_body_has_an_end() -> None:
    reader = AnswerReader()
    reader.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = b"100000\r\n" + bytes(0x100000) + b"\r\n"
    for _ in range(MAX_BODY_BYTES // 0x100000):
        reader.feed(piece)
    with pytest.raises(BrokenAnswer):
        reader.feed(piece)
