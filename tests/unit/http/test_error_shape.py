"""One shape of errors, whoever answers (ERR-1, ERR-2)."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import shared
from shared import errors
from shared.dicomweb.resources import RESOURCES
from shared.http.error_table import TABLE, error_response, status_of
from shared.http.routing import MethodNotAllowed, UnsupportedVersion
from shared.web_extension.messages import refusal
from tests.builders.errors import said
from tests.builders.http import ALL, ask, error, field, refuse

_SPECIAL = {
    MethodNotAllowed: MethodNotAllowed(("GET", "HEAD")),
    errors.RangeUnsatisfiable: errors.RangeUnsatisfiable(7),
}
FAILURES = [_SPECIAL.get(kind) or kind("It is wrong.") for kind in (*TABLE, UnsupportedVersion, RuntimeError)]
PROBLEM = ("Accept", "application/problem+json")


@pytest.mark.spec("ERR-1", "ERR-2")
@pytest.mark.parametrize("failure", FAILURES, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("accept", [(), (PROBLEM,)], ids=["text", "problem"])
async def test_every_kind_of_error_has_the_shape(failure, accept):
    response = await ask("GET", "/v2/studies", (*ALL, *accept, ("X-Request-Id", "id-1")), parse=refuse(failure))

    assert error(response)[0] == status_of(failure)
    assert field(response, "x-request-id") == "id-1"
    assert field(response, "content-length") == str(len(response.body))


@pytest.mark.spec("ERR-2", "URL-12")
@pytest.mark.parametrize("failure", FAILURES, ids=lambda each: type(each).__name__)
async def test_an_error_of_head_has_no_body(failure):
    response = await ask("HEAD", "/v2/studies", parse=refuse(failure))

    assert (response.status, response.body) == (status_of(failure), b"")


@pytest.mark.spec("ERR-1")
@pytest.mark.parametrize("failure", FAILURES, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda row: row.name)
def test_every_resource_says_what_to_do(failure, resource):
    response = error_response(failure, request_id="r", problem=False, challenge="Bearer", resource=resource)
    headers = {"x-request-id": "r"} | {name.lower(): value for name, value in response.headers}

    assert len(said(response.status, headers, response.body)["remedy"]) > 10


@pytest.mark.spec("ERR-1", "ERR-5")
@pytest.mark.parametrize("name", ["where", "remedy"])
async def test_whatever_quotes_the_client_is_encoded_once(name):
    response = await ask("GET", "/v2/studies", parse=refuse(errors.InvalidRequest("No.", **{name: "<b>&"})))

    assert b"&lt;b&gt;&amp;\n" in response.body


@pytest.mark.spec("ERR-1", "ERR-2")
@pytest.mark.parametrize("status", [400, 408, 431, 500, 503, 505])
def test_the_server_of_the_worker_refuses_in_the_same_shape(status):
    answer = refusal(status, "It is wrong.")

    assert isinstance(answer.body, bytes)
    said(status, {name.lower(): value for name, value in answer.fields}, answer.body)


def _raised_without_text() -> Iterator[str]:
    """Places where an error of the table is raised with nothing to say, but for those whose text the table has."""
    kinds = {
        kind.__name__ for kind, row in TABLE.items() if not row.text and issubclass(kind, errors.DicomServiceError)
    }
    own = {type(each).__name__ for each in _SPECIAL.values()}
    names = "|".join(sorted(kinds - own))
    silent = re.compile(rf"^ *raise (?:{names})(?!\w)(?:\(\s*(?:\)|\w+=)|(?!\())", re.MULTILINE)
    for path in Path(shared.__path__[0]).rglob("*.py"):
        for found in silent.finditer(path.read_text()):
            yield f"{path.name}: {found[0]}"


@pytest.mark.spec("ERR-2")
def test_no_error_is_raised_without_a_text():
    assert list(_raised_without_text()) == []


@pytest.mark.spec("HTTP-1")
def test_a_range_behind_the_end_says_how_much_there_is():
    response = error_response(errors.RangeUnsatisfiable(7), request_id="r", problem=False, challenge="")

    assert (response.status, field(response, "content-range")) == (416, "bytes */7")
    assert field(response, "accept-ranges") == "bytes"
