"""Request bodies in gzip or deflate (HDR-10)."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidRequest, TooLarge, UnsupportedMedia
from shared.http.content_coding import content_coding, decoded
from shared.http.messages import Response
from tests.builders.http import ALL, ask, boundary, chunks, error, field

DATA = b"a DICOM file, or nearly one" * 1000


def raw_deflate(data: bytes) -> bytes:
    """Without the header of RFC 1950."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


async def whole(coded: bytes, coding: str, limit: int = 1 << 30, size: int = 1 << 20) -> bytes:
    pieces = [coded[start : start + size] for start in range(0, len(coded), size)]
    return b"".join([piece async for piece in decoded(chunks(*pieces), coding, limit)])


@pytest.mark.spec("HDR-10")
@pytest.mark.parametrize(
    ("fields", "coding"),
    [
        ([], None),
        (["identity"], None),
        ([""], None),
        (["gzip"], "gzip"),
        (["X-GZIP"], "gzip"),
        ([" deflate "], "deflate"),
        (["identity, gzip"], "gzip"),
    ],
)
def test_one_coding_is_known(fields, coding):
    assert content_coding(fields) == coding


@pytest.mark.spec("HDR-10")
@pytest.mark.parametrize("fields", [["br"], ["zstd"], ["compress"], ["gzip, gzip"], ["gzip", "deflate"], ["gzip;q=1"]])
def test_any_other_is_unsupported(fields):
    with pytest.raises(UnsupportedMedia, match="content coding"):
        content_coding(fields)


@pytest.mark.spec("HDR-10")
@given(
    data=st.one_of(st.binary(max_size=2000), st.integers(0, 900_000).map(bytes)),
    coding=st.sampled_from(["gzip", "deflate", "raw", "members"]),
    size=st.integers(1, 5000),
)
async def test_what_was_coded_is_decoded_however_it_is_cut(data, coding, size):
    coders = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "raw": raw_deflate,
        "members": lambda each: gzip.compress(each[:7]) + gzip.compress(each[7:]),
    }
    assert (
        await whole(coders[coding](data), {"raw": "deflate", "members": "gzip"}.get(coding, coding), size=size) == data
    )


@pytest.mark.spec("HDR-10")
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_pieces_too_large_for_the_loop_are_decoded_beside_it(coding):
    noise = zlib.compress(DATA, 0) * 12
    coder = {"gzip": gzip.compress, "deflate": zlib.compress}[coding]
    coded = coder(noise, 0)
    assert len(coded) > 300_000
    assert await whole(coded, coding) == noise


@pytest.mark.spec("HDR-10")
@pytest.mark.parametrize(
    ("coded", "coding"),
    [
        (DATA, "gzip"),
        (b"\xff" * 100, "deflate"),
        (b"", "gzip"),
        (b"", "deflate"),
        (b"x", "deflate"),
        (gzip.compress(DATA, mtime=0)[:-1], "gzip"),
        (gzip.compress(DATA, mtime=0)[:50], "gzip"),
        (gzip.compress(DATA, mtime=0) + b"more", "gzip"),
        (zlib.compress(DATA)[:-1], "deflate"),
        (zlib.compress(DATA) + b"more", "deflate"),
        (zlib.compress(DATA), "gzip"),
        (gzip.compress(b"", mtime=0) * 2000, "gzip"),
    ],
)
async def test_what_is_not_coded_so_is_refused(coded, coding):
    with pytest.raises(InvalidRequest, match="was cut short"):
        await whole(coded, coding)


@pytest.mark.spec("HDR-10")
async def test_the_limit_is_of_decoded_bytes():
    assert len(await whole(gzip.compress(DATA, mtime=0), "gzip", limit=len(DATA))) == len(DATA)
    with pytest.raises(TooLarge, match="when it is decoded"):
        await whole(gzip.compress(DATA, mtime=0), "gzip", limit=len(DATA) - 1)


@pytest.mark.spec("HDR-10")
async def test_a_bomb_ends_long_before_the_limit():
    coded = gzip.compress(bytes(80 * 1024**2), 9)
    lengths: list[int] = []

    async def read() -> None:
        async for piece in decoded(chunks(coded), "gzip", 1 << 40):
            lengths.append(len(piece))  # noqa: PERF401 - what came before the refusal is looked at

    with pytest.raises(TooLarge, match="times larger"):
        await read()
    assert max(lengths) <= 256 * 1024
    assert sum(lengths) <= 64 * 1024**2


async def _echo(request, context):
    return Response(200, (), b"".join([piece async for piece in request.body]))


@pytest.mark.spec("HDR-10", "F-10")
async def test_a_transaction_sees_the_decoded_body():
    headers = (*ALL, ("Content-Encoding", "gzip"))
    response = await ask("POST", "/v2/studies", headers, handler=_echo, body=gzip.compress(DATA, mtime=0))
    assert (response.status, response.body) == (200, DATA)

    short = boundary(max_request_bytes=1000)
    response = await ask("POST", "/v2/studies", headers, handler=_echo, body=gzip.compress(DATA, mtime=0), at=short)
    assert error(response)[0] == 413


@pytest.mark.spec("HDR-10")
async def test_another_coding_is_415_and_names_those_that_are_known():
    response = await ask("POST", "/v2/studies", (*ALL, ("Content-Encoding", "br")), handler=_echo, body=b"x")

    assert error(response) == (415, "The content coding of the request is not supported.")
    assert field(response, "accept-encoding") == "gzip, deflate"
    assert (await ask("GET", "/v2/studies", (*ALL, ("Content-Encoding", "br")))).status == 200
