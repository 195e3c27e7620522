import base64
import json
import logging

import pytest

from shared.errors import Misconfigured, MissingCredentials
from shared.http.authentication import NoAuthentication, PlatformAuthenticator, authenticator
from shared.http.messages import Headers, Request
from shared.http.openid import OpenIdAuthenticator
from shared.http.roles import ACTIONS, Roles
from tests.builders.http import settings

READER = {"name": "reader", "dataActions": ["read"], "scopes": ["/"]}


def roles(*entries: dict) -> Roles:
    return Roles(json.dumps(entries))


@pytest.mark.spec("AUTH-16")
def test_the_default_roles():
    assert Roles().permissions(["globalAdmin"]).actions == ACTIONS
    assert (
        Roles().permissions(["globalReader"]).actions == Roles().permissions(["DICOM.Data.Reader"]).actions == {"read"}
    )
    assert Roles().permissions(["DICOM.Data.Owner"]).actions == Roles().permissions(["globalAdmin"]).actions


@pytest.mark.spec("AUTH-11", "AUTH-13")
def test_not_data_actions_subtract_within_their_role_only():
    found = roles(
        {"name": "Most", "dataActions": ["*"], "notDataActions": ["delete", "export"], "scopes": ["/"]},
        {"name": "Deleter", "dataActions": ["delete"], "scopes": ["/"]},
        {"name": "Nothing", "dataActions": ["read"], "notDataActions": ["*"], "scopes": ["/"]},
    )

    assert found.permissions(["most"]).actions == ACTIONS - {"delete", "export"}
    assert found.permissions(["most", "DELETER"]).actions == ACTIONS - {"export"}
    assert found.permissions(["nothing", "unknown"]).actions == frozenset()


@pytest.mark.spec("AUTH-11", "AUTH-12")
@pytest.mark.parametrize(
    "document",
    [
        "not json",
        "{}",
        json.dumps([READER, {**READER, "name": "READER"}]),
        json.dumps([{**READER, "dataActions": ["reed"]}]),
        json.dumps([{**READER, "dataActions": []}]),
        json.dumps([{**READER, "notDataActions": ["all"]}]),
        json.dumps([{**READER, "scopes": []}]),
        json.dumps([{**READER, "scopes": ["/studies"]}]),
        json.dumps([{**READER, "scopes": ["/", "/"]}]),
        json.dumps([{**READER, "name": ""}]),
        json.dumps([{**READER, "unknown": 1}]),
        json.dumps([{**READER, "scopes": ["/partitions"]}]),
        json.dumps([{**READER, "scopes": ["/partitions/"]}]),
        json.dumps([{**READER, "scopes": ["/partitions/a/studies"]}]),
        json.dumps([{**READER, "scopes": ["/partitions/a*b"]}]),
        json.dumps([{**READER, "scopes": ["/partitions/" + "a" * 65]}]),
        json.dumps([{**READER, "scopes": ["/partitions/ward", "/partitions/WARD"]}]),
    ],
)
def test_a_roles_document_with_a_fault_stops_the_start(document):
    with pytest.raises(Misconfigured):
        Roles(document)


def principal(*claims: tuple[str, str], **fields: str) -> str:
    document = {"auth_typ": "aad", "claims": [{"typ": typ, "val": val} for typ, val in claims], **fields}
    return base64.b64encode(json.dumps(document).encode()).decode()


def carrying(*values: str) -> Request:
    return Request("GET", "https", "h", "/", headers=Headers(("X-MS-Client-Principal", value) for value in values))


def platform() -> PlatformAuthenticator:
    return PlatformAuthenticator(settings(authentication="platform", platform_authentication=True), Roles())


@pytest.mark.spec("AUTH-10")
async def test_the_principal_of_the_platform_makes_a_caller():
    caller = await platform().authenticate(
        carrying(principal(("roles", "globalReader"), ("sub", "u"), ("name", "Jane")))
    )

    assert (caller.permissions.actions, caller.claims) == ({"read"}, {"sub": "u", "roles": "globalReader"})


async def test_the_principal_may_name_the_type_of_its_role_claims():
    long_name = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"

    caller = await platform().authenticate(carrying(principal((long_name, "globalAdmin"), role_typ=long_name)))

    assert caller.permissions.actions == ACTIONS


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("",),
        ("not base64!",),
        (base64.b64encode(b"[]").decode(),),
        (base64.b64encode(b'{"claims": 7}').decode(),),
        (base64.b64encode(b'{"claims": [{"typ": "roles"}]}').decode(),),
        (base64.b64encode(b"\xff").decode(),),
        (base64.b64encode(b"[" * 40_000 + b"]" * 40_000).decode(),),
        (base64.b64encode(b'{"claims": [[]]}').decode(),),
        (principal(("roles", "globalAdmin")), principal(("roles", "globalAdmin"))),
    ],
)
async def test_a_principal_that_cannot_be_read_is_refused(values):
    with pytest.raises(MissingCredentials):
        await platform().authenticate(carrying(*values))


@pytest.mark.spec("P-5")
async def test_the_principal_header_counts_only_when_the_platform_says_so():
    with pytest.raises(Misconfigured):
        PlatformAuthenticator(settings(), Roles())
    with pytest.raises(ValueError, match="platform"):
        settings(authentication="platform")


@pytest.mark.spec("P-5")
async def test_the_principal_header_is_nothing_to_the_openid_authenticator():
    at = authenticator(settings(authentication="openid", authority="https://login.example", audiences=("a",)))

    with pytest.raises(MissingCredentials):
        await at.authenticate(carrying(principal(("roles", "globalAdmin"))))


@pytest.mark.spec("AUTH-4")
async def test_switching_authentication_off_grants_everything_and_says_so_loudly(caplog):
    at = authenticator(settings())

    assert isinstance(at, NoAuthentication)
    assert (await at.authenticate(Request("GET", "https", "h", "/"))).permissions.actions == ACTIONS
    (record,) = caplog.records
    assert record.levelno >= logging.WARNING
    assert "AUTHENTICATION IS OFF" in record.getMessage()


@pytest.mark.spec("AUTH-2", "AUTH-3", "HDR-7")
def test_the_challenge_names_the_authority_and_the_audience():
    at = authenticator(settings(authentication="openid", authority="https://login.example", audiences=("api://a", "b")))

    assert isinstance(at, OpenIdAuthenticator)
    assert at.challenge == ('Bearer authorization_uri="https://login.example", resource_id="api://a", realm="api://a"')


@pytest.mark.parametrize("mode", ["openid", "platform"])
def test_a_roles_document_with_a_fault_stops_the_start_in_every_mode(mode):
    fields = {"authority": "https://login.example", "audiences": ("a",), "platform_authentication": True}

    with pytest.raises(Misconfigured):
        authenticator(settings(authentication=mode, roles_document="[7]", **fields))


@pytest.mark.parametrize("document", [b"[" * 30_000 + b"]" * 30_000, b'{"claims": 7}', b"7"])
async def test_a_principal_that_is_none_is_no_credential(document):
    with pytest.raises(MissingCredentials):
        await platform().authenticate(carrying(base64.b64encode(document).decode()))


async def test_a_type_of_roles_that_is_no_text_names_no_role():
    document = base64.b64encode(b'{"claims": [{"typ": "a", "val": "globalAdmin"}], "role_typ": ["a"]}').decode()

    assert (await platform().authenticate(carrying(document))).permissions.actions == frozenset()
