"""The files of the pages over HTTP."""

import gzip
import json
import re

import pytest

from shared.dicomweb.service_resources import FALLBACK
from shared.errors import Misconfigured
from shared.http.transaction import Transaction, nothing
from shared.pages import functions
from tests.builders.functions import handler_of
from tests.builders.http import boundary, error, field, routed, settings

BROWSER = (("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"),)
SIGN_IN = {"authentication": "openid", "authority": "https://login.example/tenant/v2.0/", "audiences": "dicom"}


def app(**fields):
    return handler_of(functions.blueprint(boundary(**fields), settings(**fields)), "browser_pages")


async def page(**fields):
    response = await app(**fields).get("/ui/", BROWSER)
    assert response.status == 200
    return response


async def names():
    """The paths of the files that the page asks for."""
    return re.findall(r'(?:href|src)="([0-9a-f]{16}/[^"]+)"', (await page()).body.decode())


@pytest.mark.spec("VIEW-10")
async def test_the_page_allows_its_own_files_and_the_service_alone():
    response = await page()

    assert field(response, "content-type") == "text/html; charset=utf-8"
    assert field(response, "content-security-policy") == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; font-src 'self'; "
        "connect-src 'self'; worker-src 'self' blob:; frame-ancestors 'self'; base-uri 'none'; form-action 'self'"
    )
    assert field(response, "x-content-type-options") == "nosniff"
    assert field(response, "x-frame-options") == "SAMEORIGIN"


@pytest.mark.spec("VIEW-10", "VIEW-9")
async def test_the_page_may_ask_the_authority_where_callers_sign_in():
    policy = field(await page(**SIGN_IN), "content-security-policy")

    assert "; connect-src 'self' https://login.example; " in policy


@pytest.mark.spec("VIEW-10")
@pytest.mark.parametrize(
    "authority", ["https://login.example;script-src *", "javascript:x", "https://a b", "login.example"]
)
def test_an_authority_that_is_no_url_stops_the_start(authority):
    with pytest.raises(Misconfigured, match="AUTHENTICATION_AUTHORITY"):
        app(**{**SIGN_IN, "authority": authority})


@pytest.mark.spec("VIEW-10")
async def test_the_page_has_no_script_of_its_own():
    text = (await page()).body.decode()

    assert re.findall(r"<script(?![^>]*\bsrc=)", text) == []
    assert re.findall(r"\son\w+=|\sstyle=|<style|javascript:", text, re.IGNORECASE) == []


async def test_every_file_that_the_page_names_is_there_and_kept_for_good():
    asked = await names()

    assert {name.partition("/")[2] for name in asked} >= {"icon.svg", "styles/pages.css", "scripts/main.js"}
    for name in asked:
        response = await app().get(f"/ui/{name}")
        assert response.status == 200, name
        assert field(response, "cache-control") == "public, max-age=31536000, immutable"


async def test_files_are_sent_in_gzip_to_who_takes_it_with_a_tag_of_its_own():
    name = next(name for name in await names() if name.endswith("main.js"))
    plain = await app().get(f"/ui/{name}")
    packed = await app().get(f"/ui/{name}", [("Accept-Encoding", "gzip, br")])

    assert field(plain, "content-encoding") is None
    assert (field(packed, "content-encoding"), field(packed, "vary")) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(packed.body) == plain.body
    assert field(packed, "etag") == f"W/{field(plain, 'etag')}"
    again = await app().get(f"/ui/{name}", [("If-None-Match", field(packed, "etag")), ("Accept-Encoding", "gzip")])
    assert (again.status, again.body) == (304, b"")


async def test_texts_are_packed_once():
    digest = (await names())[0].partition("/")[0]
    packed = await app().get(f"/ui/{digest}/texts/en.json", [("Accept-Encoding", "gzip")])

    assert json.loads(gzip.decompress(packed.body))["product"]


@pytest.mark.spec("VIEW-1")
@pytest.mark.parametrize(
    "path",
    [
        "/ui/../function_app.py",
        "/ui/%2e%2e/%2e%2e/function_app.py",
        "/ui/static/index.html",
        "/ui/index.html",
        "/ui//etc/passwd",
        "/ui/0000000000000000/scripts/main.js",
        "/ui/studies",
        "/ui/scripts%2Fmain.js",
    ],
)
async def test_what_is_not_in_the_list_does_not_exist(path):
    assert error(await app().get(path)) == (404, "The pages have no such file.")


async def test_the_configuration_tells_what_a_browser_must_know_and_no_secret():
    response = await app(**SIGN_IN, ui_client_id="pages").get("/ui/configuration.json")

    told = json.loads(response.body)
    assert field(response, "cache-control") == "no-cache"
    assert told["signIn"] == {
        "authority": "https://login.example/tenant/v2.0",
        "clientId": "pages",
        "scopes": "openid profile offline_access",
    }
    assert (told["authentication"], told["privateUrls"], told["dataPartitions"]) == ("openid", True, False)
    assert json.loads((await app().get("/ui/configuration.json")).body)["signIn"] is None


# ------------------------------------------------------------------------------------------------------- the root


async def root(path, headers, *, switched_on=True):
    """The answer to a request that the host gives to the fallback."""
    entry = boundary()
    if switched_on:
        functions.blueprint(entry, settings())

    async def fallback(_parsed, _accepted, _context):
        raise AssertionError

    _, request = routed("GET", path, headers)
    return await entry.run(FALLBACK, request, Transaction(nothing, nothing, fallback))


@pytest.mark.spec("VIEW-16")
async def test_a_browser_at_the_root_is_led_to_the_pages():
    response = await root("/", BROWSER)

    assert (response.status, field(response, "location"), field(response, "vary")) == (302, "ui/", "Accept")
    assert (await app().get("/ui", BROWSER)).status == 302


@pytest.mark.spec("VIEW-16", "URL-1")
@pytest.mark.parametrize("headers", [(), (("Accept", "*/*"),), (("Accept", "application/json"),)])
async def test_a_program_at_the_root_is_told_where_paths_begin(headers):
    response = await root("/", headers)

    assert response.status == 404
    assert b"/v2/studies" in response.body
