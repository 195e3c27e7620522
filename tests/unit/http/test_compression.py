"""gzip of JSON and XML bodies: when, how, and what it does to validators."""

import gzip

import pytest

from shared.http.compression import accepts_gzip
from shared.http.exchange import ResponseAborted
from shared.http.messages import Response
from tests.builders.http import ALL, Stream, ask, boundary, content, field, streaming

JSON = ("Content-Type", "application/dicom+json")
TAG = ("ETag", '"123-2"')
BODY = b'[{"00100020":{"vr":"LO","Value":["A"]}}]' * 100
GZIP = (*ALL, ("Accept-Encoding", "gzip, deflate, br"))


def answering(body, *headers, status=200):
    async def handler(_request, _context):
        return Response(status, headers, body)

    return handler


@pytest.mark.spec("HDR-8")
@pytest.mark.parametrize(
    ("values", "accepted"),
    [
        (["gzip"], True),
        (["deflate, GZIP;q=0.5"], True),
        (["deflate", "x-gzip"], True),
        (["*"], True),
        (["br;q=1.0, gzip;q=0.8, *;q=0.1"], True),
        ([], False),
        ([""], False),
        (["identity"], False),
        (["gzip;q=0"], False),
        (["gzip;q=0, *"], False),
        (["*;q=0"], False),
        (["gzip;q=0.5, identity"], False),
        (["gzip;q=x"], False),
        (["gzip;q=..."], False),
    ],
)
def test_a_client_says_whether_it_takes_gzip(values, accepted):
    assert accepts_gzip(values) is accepted


@pytest.mark.spec("HDR-8", "W-18")
@pytest.mark.parametrize(
    "media_type",
    [
        "application/dicom+json",
        "application/json; charset=utf-8",
        "application/dicom+xml",
        "application/vnd.sun.wadl+xml",
        'multipart/related; type="application/dicom+xml"; boundary=b',
    ],
)
async def test_json_and_xml_are_compressed_for_whoever_takes_it(media_type):
    handler = answering(BODY, ("Content-Type", media_type), TAG)
    response = await ask("GET", "/v2/studies/1/metadata", GZIP, handler=handler)
    assert field(response, "Content-Encoding") == "gzip"
    assert field(response, "Content-Length") == str(len(response.body))
    assert field(response, "Vary") == "Accept-Encoding"
    assert field(response, "ETag") == 'W/"123-2"'
    assert gzip.decompress(response.body) == BODY
    plain = await ask("GET", "/v2/studies/1/metadata", handler=handler)
    assert (plain.body, field(plain, "Content-Encoding"), field(plain, "ETag")) == (BODY, None, '"123-2"')
    assert field(plain, "Vary") == "Accept-Encoding"


@pytest.mark.spec("HDR-8", "W-18")
@pytest.mark.parametrize(
    "media_type",
    [
        "application/dicom; transfer-syntax=1.2.840.10008.1.2.1",
        "application/octet-stream",
        "image/jpeg",
        "text/plain; charset=utf-8",
        'multipart/related; type="application/dicom"; boundary=json',
    ],
)
async def test_files_images_and_text_are_left_alone(media_type):
    response = await ask("GET", "/v2/studies/1", GZIP, handler=answering(BODY, ("Content-Type", media_type), TAG))
    assert (response.body, field(response, "Content-Encoding"), field(response, "Vary")) == (BODY, None, None)
    assert field(response, "ETag") == '"123-2"'


@pytest.mark.spec("W-18")
@pytest.mark.parametrize(("length", "encoding"), [(1023, None), (1024, "gzip")])
async def test_less_than_a_kilobyte_is_not_worth_it(length, encoding):
    response = await ask("GET", "/v2/studies", GZIP, handler=answering(b"[" * length, JSON))
    assert field(response, "Content-Encoding") == encoding
    assert field(response, "Vary") == "Accept-Encoding"


@pytest.mark.spec("HDR-8")
async def test_a_stream_is_compressed_while_it_goes_out_and_closed():
    pieces = (b"[" + bytes(100_000), b"1", b"", bytes(70_000) + b"]")
    stream = Stream(*pieces)
    response = await ask("GET", "/v2/studies/1/metadata", GZIP, handler=streaming(stream, JSON, TAG))
    assert field(response, "Content-Encoding") == "gzip"
    assert field(response, "Content-Length") is None
    assert gzip.decompress(await content(response)) == b"".join(pieces)
    assert stream.closed == 1


@pytest.mark.spec("HDR-8", "WADO-28")
async def test_a_compressed_stream_that_fails_is_cut():
    stream = Stream(b"[", RuntimeError("lost"))
    response = await ask("GET", "/v2/studies/1/metadata", GZIP, handler=streaming(stream, JSON))
    with pytest.raises(ResponseAborted):
        await content(response)
    assert stream.closed == 1


@pytest.mark.spec("HDR-8")
async def test_a_stream_is_closed_although_nobody_reads_it():
    stream = Stream(b"[", b"]")
    response = await ask("GET", "/v2/studies/1/metadata", GZIP, handler=streaming(stream, JSON))
    await response.body.aclose()
    assert stream.closed == 1


@pytest.mark.spec("HDR-8", "URL-12", "W-18")
async def test_head_has_the_headers_of_get():
    for handler in (lambda: answering(BODY, JSON, TAG), lambda: streaming(Stream(BODY), JSON, TAG)):
        get = await ask("GET", "/v2/studies/1/metadata", GZIP, handler=handler())
        head = await ask("HEAD", "/v2/studies/1/metadata", GZIP, handler=handler())
        await content(get)
        names = ("Content-Encoding", "Content-Length", "ETag", "Vary", "Content-Type")
        assert [field(head, name) for name in names] == [field(get, name) for name in names]
        assert head.body == b""


@pytest.mark.spec("HDR-8", "META-7")
@pytest.mark.parametrize(
    ("held", "answered"),
    [('W/"123-2"', 'W/"123-2"'), ('"x", W/"123-2"', 'W/"123-2"'), ('"123-2"', '"123-2"'), ("*", '"123-2"')],
)
async def test_a_304_names_the_representation_as_the_client_knows_it(held, answered):
    headers = (*GZIP, ("If-None-Match", held))
    response = await ask("GET", "/v2/studies/1/metadata", headers, handler=answering(b"", TAG, status=304))
    assert (response.status, field(response, "ETag")) == (304, answered)
    plain = await ask(
        "GET", "/v2/studies/1/metadata", headers[:-2] + headers[-1:], handler=answering(b"", TAG, status=304)
    )
    assert field(plain, "ETag") == '"123-2"'


@pytest.mark.spec("HDR-8", "HDR-5")
async def test_what_a_response_varies_by_stands_in_one_field():
    at = boundary(cors_origins="https://viewer.example")
    headers = (*GZIP, ("Origin", "https://viewer.example"))
    handler = answering(BODY, JSON, ("Vary", "Accept, msdicom-request-original"))
    response = await ask("GET", "/v2/studies/1/metadata", headers, handler=handler, at=at)
    assert field(response, "Vary") == "Accept, msdicom-request-original, Accept-Encoding, Origin"
