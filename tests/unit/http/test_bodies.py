"""Error bodies, limits, streams and HEAD."""

import json
import logging

import pytest

from shared.errors import Conflict, InvalidRequest, NotAcceptable, NotFound, Unavailable, UnsupportedMedia
from shared.http.exchange import ResponseAborted
from shared.http.messages import Response
from shared.telemetry import take_along
from tests.builders.http import (
    ALL,
    INSTANCE,
    Stream,
    ask,
    boundary,
    chunks,
    content,
    error,
    field,
    lines,
    refuse,
    streaming,
)


@pytest.fixture(autouse=True)
def _log_everything(caplog):
    caplog.set_level(logging.INFO)


@pytest.mark.spec("ERR-1")
async def test_an_error_is_four_lines_of_plain_text():
    async def fail(request, context):
        raise NotFound("The study does not exist.", where="path, {study}", remedy="Look elsewhere.")

    response = await ask("GET", "/v2/studies/1.2", (*ALL, ("X-Request-Id", "id-1")), handler=fail)

    assert response.status == 404
    assert response.body == (
        b"The study does not exist.\nWhere: path, {study}\nWhat to do: Look elsewhere.\nRequest id: id-1\n"
    )
    assert field(response, "content-type") == "text/plain; charset=utf-8"


@pytest.mark.spec("ERR-2")
@pytest.mark.parametrize(
    ("failure", "status", "remedy"),
    [
        (NotAcceptable(), 406, b"Accept */* or one of: application/dicom+json, application/dicom+xml."),
        (UnsupportedMedia(), 415, b'Send one of: application/dicom, multipart/related; type="application/dicom", '),
    ],
)
async def test_a_refused_accept_or_content_type_names_what_can_be_had(failure, status, remedy):
    response = await ask("POST", "/v2/studies", parse=refuse(failure))

    assert error(response)[0] == status
    assert remedy in response.body


@pytest.mark.spec("ERR-3")
async def test_a_handler_may_answer_an_error_with_a_body_of_its_own():
    async def all_failed(request, context):
        return Response(409, (("Content-Type", "application/dicom+json"),), b"{}")

    response = await ask("POST", "/v2/studies", handler=all_failed)

    assert (response.status, response.body) == (409, b"{}")


@pytest.mark.spec("ERR-5")
async def test_quoted_input_is_html_encoded():
    async def fail(request, context):
        raise InvalidRequest("The parameter '<script>' is unknown.")

    response = await ask("GET", "/v2/studies", handler=fail)

    assert error(response) == (400, "The parameter '&lt;script&gt;' is unknown.")


async def test_a_client_that_asks_for_problem_details_gets_them():
    async def fail(request, context):
        raise Conflict("Busy.", where="path", remedy="Wait.")

    headers = (*ALL, ("Accept", "application/dicom+json, application/problem+json"), ("X-Request-Id", "id"))
    response = await ask("GET", "/v2/studies", headers, handler=fail)

    assert field(response, "content-type") == "application/problem+json"
    assert json.loads(response.body) == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "Busy.",
        "where": "path",
        "remedy": "Wait.",
        "requestId": "id",
    }


@pytest.mark.spec("STOW-8")
@pytest.mark.parametrize("declared", [(), (("Content-Length", "11"),)])
async def test_a_request_over_the_limit_is_too_large(declared):
    async def read_all(request, context):
        return Response(200, (), b"".join([chunk async for chunk in request.body]))

    at = boundary(max_request_bytes=10)

    assert (await ask("POST", "/v2/studies", (*ALL, *declared), body=b"x" * 11, handler=read_all, at=at)).status == 413
    assert (await ask("POST", "/v2/studies", body=b"x" * 10, handler=read_all, at=at)).body == b"x" * 10


async def test_a_declared_length_over_the_limit_is_refused_before_a_byte_is_read():
    read: list[bytes] = []

    async def read_all(request, context):
        read.extend([chunk async for chunk in request.body])
        return Response(200)

    headers = (*ALL, ("Content-Length", "9999999999"))
    response = await ask("POST", "/v2/studies", headers, body=b"x", handler=read_all)

    assert (response.status, read) == (413, [])


@pytest.mark.spec("WADO-26")
async def test_a_streamed_body_goes_out_as_it_is():
    stream = Stream(b"one", b"", b"two")

    response = await ask("GET", "/v2/studies/1.2", handler=streaming(stream))

    assert stream.read == 1
    assert await content(response) == b"onetwo"
    assert stream.closed == 1
    assert field(response, "content-length") is None


async def test_a_stream_without_bytes_is_an_empty_body():
    assert await content(await ask("GET", "/v2/studies/1.2", handler=streaming(chunks()))) == b""


@pytest.mark.spec("WADO-28")
async def test_a_stream_that_fails_before_its_first_byte_is_an_error_response():
    stream = Stream(Unavailable("storage"))

    response = await ask("GET", "/v2/studies/1.2", handler=streaming(stream, ("Content-Type", "application/dicom")))

    assert response.status == 503
    assert stream.closed == 1


@pytest.mark.spec("WADO-28", "HDR-4")
async def test_a_stream_that_fails_later_is_aborted_and_reported_with_its_request_id(caplog):
    stream = Stream(b"one", ValueError("PatientName is Doe"), b"two")
    headers = (*ALL, ("X-Request-Id", "id-9"))

    response = await ask("GET", "/v2/studies/1.2", headers, handler=streaming(stream))
    with pytest.raises(ResponseAborted):
        await content(response)

    assert stream.closed == 1
    take_along()
    told = lines(caplog, "dicom.telemetry")
    assert [(line["event"], line["requestId"]) for line in told] == [
        ("transaction", "id-9"),
        ("response-aborted", "id-9"),
        ("response-sent", "id-9"),
    ]
    assert (told[2]["aborted"], told[2]["sent"]) == (True, 3)
    assert "Doe" not in json.dumps(told)


async def test_a_stream_is_closed_when_the_client_goes_away(caplog):
    stream = Stream(b"one", b"two")

    response = await ask("GET", "/v2/studies/1.2", handler=streaming(stream))
    await anext(response.body)
    await response.body.aclose()

    assert stream.closed == 1
    take_along()
    (line,) = [line for line in lines(caplog, "dicom.telemetry") if line["event"] == "response-sent"]
    assert (line["aborted"], line["sent"]) == (True, 3)


@pytest.mark.spec("URL-12")
async def test_head_has_the_headers_of_get_and_no_body():
    stream = Stream(b"never read")
    fields = (("Content-Type", "application/dicom"), ("Content-Length", "10"), ("ETag", '"7"'))

    response = await ask("HEAD", INSTANCE, handler=streaming(stream, *fields))

    assert (response.status, response.body) == (200, b"")
    assert [field(response, name) for name, _ in fields] == [value for _, value in fields]
    assert (stream.read, stream.closed) == (0, 1)


@pytest.mark.spec("URL-12")
async def test_head_names_a_length_only_if_it_is_known():
    assert field(await ask("HEAD", "/v2/studies"), "content-length") == "5"
    assert field(await ask("HEAD", INSTANCE, handler=streaming(Stream(b"x"))), "content-length") is None


async def test_head_of_something_that_fails_has_the_status_of_get():
    async def fail(request, context):
        raise NotFound("The study does not exist.")

    response = await ask("HEAD", "/v2/studies/1.2", handler=fail)

    assert (response.status, response.body) == (404, b"")


@pytest.mark.parametrize("status", [204, 304])
async def test_a_response_that_cannot_have_a_body_has_none(status):
    async def handler(request, context):
        return Response(status, (("ETag", '"7"'),))

    response = await ask("GET", "/v2/studies", handler=handler)

    assert (response.body, field(response, "content-length"), field(response, "etag")) == (b"", None, '"7"')
