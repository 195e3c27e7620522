"""The files of the pages over HTTP."""

import gzip
import json
import re

import pytest

from scripts.viewer_release import write
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


# ----------------------------------------------------------------------------------------------------- the viewer


@pytest.fixture
def release(tmp_path):
    """A release of a viewer in a folder, and the path below which its files are."""
    files = {"app.bundle.0123.js": b"run()" * 100, "app.bundle.css": b"a {}", "inner/decoder.wasm": b"\0asm"}
    write(files, "1.2.3", tmp_path)
    return tmp_path, f"/ui/viewer/{json.loads((tmp_path / 'release.json').read_text())['digest']}"


def viewer_app(release):
    return app(viewer_folder=str(release[0]))


@pytest.mark.spec("VIEW-4")
@pytest.mark.parametrize("path", ["/ui/viewer/", "/ui/viewer/viewer", "/ui/viewer/microscopy"])
async def test_every_way_of_showing_a_study_is_the_page_of_the_viewer(release, path):
    response = await viewer_app(release).get(path, BROWSER)

    assert (response.status, field(response, "content-type")) == (200, "text/html; charset=utf-8")
    assert field(response, "cache-control") == "no-cache"
    text = response.body.decode()
    place = release[1].rpartition("/")[2]
    assert f'href="{place}/app.bundle.css"' in text
    assert f'content="{place}"' in text
    assert 'content="app.bundle.0123.js"' in text
    assert re.findall(r"<script(?![^>]*\bsrc=)|\{\w+\}|\son\w+=", text) == []
    for name in re.findall(r'"\.\./([0-9a-f]{16}/[^"]+)"', text):
        assert (await viewer_app(release).get(f"/ui/{name}")).status == 200, name


@pytest.mark.spec("VIEW-10")
async def test_the_viewer_may_do_what_its_files_need_and_no_more(release):
    response = await viewer_app(release).get("/ui/viewer/viewer")
    policy = (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' blob: data:; font-src 'self'; connect-src 'self' blob: data:; worker-src 'self' blob:; "
        "media-src 'self' blob:; object-src 'self' blob:; frame-src 'self' blob:; frame-ancestors 'self'; "
        "base-uri 'none'; form-action 'self'"
    )

    assert field(response, "content-security-policy") == policy
    file = await viewer_app(release).get(f"{release[1]}/app.bundle.0123.js")
    assert field(file, "content-security-policy") == policy
    assert "unsafe" not in field(await viewer_app(release).get("/ui/"), "content-security-policy")


@pytest.mark.spec("VIEW-4")
async def test_files_of_the_viewer_are_packed_before_they_are_asked_for_and_kept_for_good(release):
    plain = await viewer_app(release).get(f"{release[1]}/app.bundle.0123.js")
    packed = await viewer_app(release).get(f"{release[1]}/app.bundle.0123.js", [("Accept-Encoding", "gzip")])

    assert plain.body == b"run()" * 100
    assert packed.body == (release[0] / "app.bundle.0123.js.gz").read_bytes()
    assert field(packed, "content-encoding") == "gzip"
    assert field(packed, "cache-control") == "public, max-age=31536000, immutable"
    known = [("If-None-Match", field(packed, "etag")), ("Accept-Encoding", "gzip")]
    assert (await viewer_app(release).get(f"{release[1]}/app.bundle.0123.js", known)).status == 304
    decoder = await viewer_app(release).get(f"{release[1]}/inner/decoder.wasm")
    assert (field(decoder, "content-type"), decoder.body) == ("application/wasm", b"\0asm")


@pytest.mark.spec("VIEW-4", "VIEW-1")
@pytest.mark.parametrize(
    "name", ["release.json", "app.bundle.0123.js.gz", "../release.json", "%2e%2e/release.json", "app.bundle.map", ""]
)
async def test_what_is_not_in_the_list_of_the_viewer_does_not_exist(release, name):
    assert error(await viewer_app(release).get(f"{release[1]}/{name}"))[0] == 404
    assert (await viewer_app(release).get(f"/ui/viewer/0123/{name}")).status == 404


@pytest.mark.spec("VIEW-4")
async def test_without_the_files_of_a_viewer_there_is_none(release, tmp_path):
    for without in (app(viewer_folder=str(tmp_path / "empty")), app(viewer_folder=str(release[0]), viewer=False)):
        assert error(await without.get("/ui/viewer/viewer", BROWSER)) == (404, "There is no viewer at this service.")
        assert json.loads((await without.get("/ui/configuration.json")).body)["viewer"] is None
    told = json.loads((await viewer_app(release).get("/ui/configuration.json")).body)
    assert told["viewer"] == "1.2.3"


@pytest.mark.spec("VIEW-4")
@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/viewer", "ui/viewer/"),
        ("/viewer/", "../ui/viewer/"),
        ("/viewer?StudyInstanceUIDs=1.2", "ui/viewer/?StudyInstanceUIDs=1.2"),
        ("/ui/viewer?StudyInstanceUIDs=1.2", "viewer/?StudyInstanceUIDs=1.2"),
    ],
)
async def test_short_addresses_lead_to_the_viewer(release, path, place):
    if path.startswith("/ui"):
        response = await viewer_app(release).get(path, BROWSER)
    else:
        response = await root(path, BROWSER, viewer_folder=str(release[0]))

    assert (response.status, field(response, "location")) == (302, place)


# ------------------------------------------------------------------------------------------------------- the root


async def root(path, headers, *, switched_on=True, **fields):
    """The answer to a request that the host gives to the fallback."""
    entry = boundary()
    if switched_on:
        functions.blueprint(entry, settings(**fields))

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
