"""One caller cannot use up a process that others need, and is told when to come back."""

import pytest

from shared.errors import ShareUsedUp
from shared.http.caller_shares import CallerShares, name_of
from tests.builders.http import Response, ask, boundary, content, field

MIB = 1024**2


def test_requests_and_bytes_in_progress_are_counted_and_given_back():
    shares = CallerShares(requests=2, body_bytes=10 * MIB)
    first, second = shares.begin("a", 6 * MIB), shares.begin("a", 0)
    shares.begin("b", 9 * MIB)
    with pytest.raises(ShareUsedUp):
        shares.begin("a", 0)
    second.end()
    second.end()
    with pytest.raises(ShareUsedUp):
        shares.begin("a", 5 * MIB)
    first.end()
    shares.begin("a", 50 * MIB)  # alone, whatever its size: other limits judge that


def test_callers_are_told_apart_by_identity_and_else_by_address():
    assert name_of({"sub": "s", "oid": "o"}, "192.0.2.1") != name_of({"sub": "s", "oid": "p"}, "192.0.2.1")
    assert name_of({"sub": "s"}, "192.0.2.1") == name_of({"sub": "s"}, "192.0.2.2")
    assert name_of({}, "192.0.2.1") != name_of({}, "192.0.2.2")


@pytest.mark.spec("THR-1", "THR-2", "THR-3", "B-11")
async def test_a_share_lasts_until_the_last_byte_of_the_answer_is_out():
    at = boundary(caller_requests=1)
    handled = []

    async def stream():
        yield b"one"
        yield b"two"

    async def handler(_request, _context):
        handled.append(1)
        return Response(200, (), stream())

    first = await ask("GET", "/v2/studies/1.2", handler=handler, at=at)
    refused = await ask("GET", "/v2/studies/1.2", handler=handler, at=at)
    other = await ask("GET", "/v2/studies/1.2", [("Authorization", "Bearer read")], at=at)
    assert (refused.status, field(refused, "retry-after"), len(handled)) == (429, "5", 1)
    assert other.status == 200
    await content(first)
    assert (await ask("GET", "/v2/studies/1.2", at=at)).status == 200


@pytest.mark.spec("THR-2")
async def test_what_fails_gives_its_share_back():
    at = boundary(caller_requests=1)

    async def fails(_request, _context):
        raise OSError("gone")

    for _ in range(3):
        assert (await ask("GET", "/v2/studies/1.2", handler=fails, at=at)).status == 500
