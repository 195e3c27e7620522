"""The headers of dicomweb §4.3, who may do what, and cross-origin requests."""

import json
import logging

import pytest

from shared.errors import Unavailable
from shared.http.messages import Response
from tests.builders.http import ALL, INSTANCE, ORIGIN, PREFLIGHT, ask, boundary, error, field, lines


@pytest.fixture(autouse=True)
def _log_everything(caplog):
    caplog.set_level(logging.INFO)


@pytest.mark.spec("HDR-1")
async def test_every_response_carries_the_security_headers():
    for method, target, headers in (
        ("GET", "/v2/studies", ALL),
        ("GET", "/v2/studies", ()),
        ("GET", "/nothing", ()),
        ("OPTIONS", "/v2/studies", (("Origin", "https://a"), ("Access-Control-Request-Method", "GET"))),
    ):
        response = await ask(method, target, headers)

        assert field(response, "x-content-type-options") == "nosniff"
        assert field(response, "x-frame-options") == "SAMEORIGIN"
        assert field(response, "content-security-policy") == "frame-src 'self';"


@pytest.mark.spec("HDR-1")
async def test_a_security_header_that_is_set_is_not_overwritten():
    async def own(request, context):
        return Response(200, (("content-security-policy", "default-src 'none'"),))

    assert field(await ask("GET", "/v2/studies", handler=own), "Content-Security-Policy") == "default-src 'none'"


@pytest.mark.spec("URL-4", "URL-5")
async def test_versioned_endpoints_list_the_supported_versions():
    for target, headers in (
        ("/v1/studies", ALL),
        ("/v2/studies", ()),
        ("/v2/conformance", ()),
        ("/v2/partitions", ALL),
    ):
        response = await ask("GET", target, headers)

        assert field(response, "api-supported-versions") == "1.0-prerelease, 1, 2"
        assert field(response, "api-deprecated-versions") is None
    assert field(await ask("DELETE", "/v2/studies"), "api-supported-versions") == "1.0-prerelease, 1, 2"
    assert field(await ask("GET", "/health/check"), "api-supported-versions") is None


@pytest.mark.spec("HDR-4")
async def test_a_client_gets_its_request_id_back():
    for name in ("X-Request-Id", "x-ms-client-request-id"):
        assert field(await ask("GET", "/v2/studies", (*ALL, (name, "abc 123"))), "x-request-id") == "abc 123"


@pytest.mark.spec("HDR-4")
@pytest.mark.parametrize("value", ["", "x" * 129, "ä", "a\tb"])
async def test_a_request_id_that_cannot_be_echoed_is_replaced(value):
    response = await ask("GET", "/v2/studies", (("X-Request-Id", value),))

    assert len(field(response, "x-request-id")) == 32


@pytest.mark.spec("HDR-4")
async def test_without_a_request_id_the_trace_id_serves():
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    valid = (("traceparent", f"00-{trace}-00f067aa0ba902b7-01"),)
    assert field(await ask("GET", "/v2/studies", valid), "x-request-id") == trace

    for invalid in (f"ff-{trace}-00f067aa0ba902b7-01", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{trace}", "x"):
        assert field(await ask("GET", "/v2/studies", (("traceparent", invalid),)), "x-request-id") != trace


@pytest.mark.spec("HDR-4", "ERR-4")
async def test_a_server_error_names_the_request_and_nothing_internal(caplog):
    async def fail(request, context):
        raise RuntimeError("secret of patient Doe^Jane")

    response = await ask("GET", "/v2/studies?PatientName=Doe", (*ALL, ("X-Request-Id", "id-7")), handler=fail)

    assert response.status == 500
    assert b"id-7" in response.body
    assert b"Doe" not in response.body
    (failure,) = [line for line in lines(caplog, "dicom.telemetry") if line["event"] == "request-failed"]
    assert failure["requestId"] == "id-7"
    assert failure["errors"][0]["type"] == "builtins.RuntimeError"
    assert "Doe" not in json.dumps(lines(caplog, "dicom.telemetry"))


@pytest.mark.spec("ERR-4")
async def test_a_busy_store_is_503_without_detail():
    async def fail(request, context):
        raise Unavailable("account dicomprod throttled")

    response = await ask("GET", "/v2/studies", handler=fail)

    assert response.status == 503
    assert b"dicomprod" not in response.body


@pytest.mark.spec("HDR-7", "AUTH-2")
async def test_a_401_says_where_to_get_a_token_and_nothing_of_the_one_that_was_sent():
    response = await ask("GET", "/v2/studies", ())

    assert error(response) == (401, "The request has no access token that is valid here.")
    assert field(response, "www-authenticate") == (
        'Bearer authorization_uri="https://login.example", resource_id="dicom", realm="dicom"'
    )


@pytest.mark.spec("AUTH-14", "AUTH-15")
@pytest.mark.parametrize(
    ("method", "target", "action"),
    [
        ("POST", "/v2/studies", "write"),
        ("PUT", "/v2/studies/1.2", "write"),
        ("GET", "/v2/studies", "read"),
        ("GET", INSTANCE, "read"),
        ("GET", f"{INSTANCE}/frames/1", "read"),
        ("HEAD", f"{INSTANCE}/metadata", "read"),
        ("DELETE", INSTANCE, "delete"),
        ("GET", "/v2/partitions", "read"),
        ("GET", "/v2/extendedquerytags", "read"),
        ("POST", "/v2/extendedquerytags", "manageExtendedQueryTags"),
        ("PATCH", "/v2/extendedquerytags/00101010", "manageExtendedQueryTags"),
        ("DELETE", "/v2/extendedquerytags/00101010", "manageExtendedQueryTags"),
    ],
)
async def test_each_resource_needs_its_data_action(method, target, action):
    others = "+".join({"read", "write", "delete", "export", "manageExtendedQueryTags"} - {action})

    assert (await ask(method, target, (("Authorization", f"Bearer {action}"),))).status == 200
    refused = await ask(method, target, (("Authorization", f"Bearer {others}"),))
    assert refused.status == 403
    assert method == "HEAD" or error(refused) == (403, "Authorization failed.")
    assert method == "HEAD" or f"data action {action}.".encode() in refused.body


@pytest.mark.spec("AUTH-5", "URL-8", "URL-9")
@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/health/check"),
        ("GET", "/v2/api.yaml"),
        ("GET", "/v1/api.json"),
        ("OPTIONS", "/v2/"),
        ("GET", "/v2/conformance"),
    ],
)
async def test_what_holds_no_patient_data_needs_no_token(method, target):
    assert (await ask(method, target, ())).status == 200


async def test_an_authenticator_that_fails_is_not_a_way_in():
    class Broken:
        challenge = "Bearer"

        async def authenticate(self, request):
            raise Unavailable("down")

    at = boundary()
    at._authenticator = Broken()

    assert (await ask("GET", "/v2/studies", at=at)).status == 503


@pytest.mark.spec("HDR-5", "CORS-3", "AUTH-6")
@pytest.mark.parametrize("target", ["/v2/studies", f"{INSTANCE}/frames/1", "/v2/", "/v2/partitions/ward/studies"])
async def test_a_preflight_is_answered_without_a_token(target):
    response = await ask("OPTIONS", target, PREFLIGHT, at=boundary(cors_origins=("https://viewer.example",)))

    assert (response.status, response.body) == (204, b"")
    assert field(response, "access-control-allow-origin") == "https://viewer.example"
    assert field(response, "access-control-allow-methods") == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    assert (
        field(response, "access-control-allow-headers")
        == "accept, authorization, content-type, if-none-match, if-range, range"
    )
    assert field(response, "access-control-max-age") == "3600"
    assert field(response, "vary") == "Origin"


@pytest.mark.spec("HDR-5", "CORS-3")
async def test_a_preflight_of_another_origin_gets_no_permission():
    for at in (boundary(), boundary(cors_origins=("https://other.example",))):
        response = await ask("OPTIONS", "/v2/studies", PREFLIGHT, at=at)

        assert response.status == 204
        assert not [name for name, _ in response.headers if name.lower().startswith("access-control")]


@pytest.mark.spec("HDR-6", "CORS-4")
async def test_answers_and_errors_expose_what_a_viewer_needs():
    at = boundary(cors_origins=("https://viewer.example",))

    for headers in ((*ALL, ORIGIN), (ORIGIN,)):
        response = await ask("GET", "/v2/studies", headers, at=at)
        exposed = field(response, "access-control-expose-headers")

        assert field(response, "access-control-allow-origin") == "https://viewer.example"
        for name in ("ETag", "Location", "Content-Location", "Warning", "erroneous-dicom-attributes", "X-Request-Id"):
            assert name in exposed
        assert "api-supported-versions" in exposed


@pytest.mark.spec("HDR-5", "CORS-1")
async def test_without_origins_there_are_no_cors_headers():
    response = await ask("GET", "/v2/studies", (*ALL, ORIGIN))

    assert not [name for name, _ in response.headers if name.lower().startswith("access-control")]
    assert field(response, "vary") is None


@pytest.mark.spec("CORS-2", "HDR-5")
async def test_any_origin_never_comes_with_credentials():
    response = await ask("GET", "/v2/studies", (*ALL, ORIGIN), at=boundary(cors_origins=("*",)))

    assert field(response, "access-control-allow-origin") == "*"
    assert field(response, "access-control-allow-credentials") is None
    with pytest.raises(ValueError, match="CORS_ALLOW_CREDENTIALS"):
        boundary(cors_origins=("*",), cors_credentials=True)


@pytest.mark.spec("CORS-2")
@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "NULL",
        "viewer.example",
        "https://",
        "https://a.example/path",
        "https://*.example",
        "https://u@a.example",
    ],
)
def test_what_no_browser_sends_as_an_origin_is_an_error_of_configuration(origin):
    with pytest.raises(ValueError, match="CORS_ALLOWED_ORIGINS"):
        boundary(cors_origins=("https://viewer.example", origin))


@pytest.mark.spec("CORS-1", "CORS-3")
@pytest.mark.parametrize("credentials", [False, True])
@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://viewer.example.evil.example",
        "https://evil.example/https://viewer.example",
        "https://viewer.example@evil.example",
        "https://xviewer.example",
        "http://viewer.example",
        "https://viewer.example:8443",
        "https://viewer.example, https://evil.example",
        "https://viewer.exampl\u00e9",
        "",
    ],
)
async def test_an_origin_that_is_only_like_one_that_is_allowed_gets_nothing(origin, credentials):
    at = boundary(cors_origins=("https://viewer.example",), cors_credentials=credentials)

    for method, headers in (("GET", ALL), ("OPTIONS", PREFLIGHT[1:])):
        response = await ask(method, "/v2/studies", (*headers, ("Origin", origin)), at=at)
        assert not [name for name, _ in response.headers if name.lower().startswith("access-control")]
        assert field(response, "vary") == "Origin"


@pytest.mark.spec("CORS-1", "CORS-2")
async def test_credentials_and_stars_for_methods_and_headers():
    at = boundary(
        cors_origins=("https://viewer.example",), cors_credentials=True, cors_methods=("*",), cors_headers=("*",)
    )

    response = await ask("OPTIONS", "/v2/studies", PREFLIGHT, at=at)

    assert field(response, "access-control-allow-credentials") == "true"
    assert field(response, "access-control-allow-methods") == "GET"
    assert field(response, "access-control-allow-headers") == "authorization"


# ------------------------------------------------------------------------------------------------------- what is kept


@pytest.mark.parametrize(
    ("target", "headers"),
    [("/v2/studies?PatientName=A", ALL), ("/v2/partitions", ALL), ("/v2/studies", ()), ("/nothing", ())],
)
async def test_an_answer_that_does_not_say_how_it_may_be_kept_is_not(target, headers):
    assert field(await ask("GET", target, headers), "cache-control") == "no-store"
    assert field(await ask("POST", "/v2/studies", ALL), "cache-control") == "no-store"


async def test_an_answer_that_says_how_it_may_be_kept_is_believed():
    async def handler(*_: object) -> Response:
        return Response(200, (("Cache-Control", "private, no-cache"),))

    assert field(await ask("GET", "/v2/studies", handler=handler), "cache-control") == "private, no-cache"


@pytest.mark.parametrize(("scheme", "expected"), [("https", "max-age=31536000"), ("http", None)])
async def test_who_has_come_over_tls_is_told_to_come_no_other_way(scheme, expected):
    assert field(await ask("GET", "/v2/studies", scheme=scheme), "strict-transport-security") == expected
    assert field(await ask("GET", "/nothing", (), scheme=scheme), "strict-transport-security") == expected
