"""Attacks by tokens, each against every row of the table of resources, in every method of it: none is let in."""

import base64
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from shared.dicomweb.resources import RESOURCES
from shared.http.boundary import Boundary
from shared.http.openid import OpenIdAuthenticator
from shared.http.roles import Roles
from tests.builders.http import KnownPartitions, ask, settings
from tests.builders.paths import example_path
from tests.builders.tokens import AUDIENCE, ISSUER, Key, key_set
from tests.unit.http.test_openid import Clock, Provider

KEY, FORMER, FOREIGN = Key(), Key("former"), Key("one")
"""The provider's key, one that it has withdrawn, and an attacker's that bears the name of the first."""
ADMIN = {"roles": ["globalAdmin"]}
NEEDY = [row for row in RESOURCES.values() if row.action is not None]
PAGE = {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 10**6, **ADMIN}


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def public_half():
    """What an attacker can read, as a shared secret."""
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return KEY.private.public_key().public_bytes(encoding, form)


def confused():
    """Signed by the public key as if it were a shared secret (RFC 8725 §2.1); the library refuses to do that."""
    signed = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'one'})}.{part(PAGE)}"
    mac = jwt.get_algorithm_by_name("HS256").sign(signed.encode(), public_half())
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def altered():
    """A reader's token whose claims say more."""
    header, _, signature = KEY.token().split(".")
    return f"{header}.{part(PAGE)}.{signature}"


ATTACKS = {
    "no token": "",
    "forged by another key of that name": FOREIGN.token(**ADMIN),
    "claims altered": altered(),
    "expired": KEY.token(exp=int(time.time()) - 120, **ADMIN),
    "not valid yet": KEY.token(nbf=int(time.time()) + 3600, **ADMIN),
    "for another audience": KEY.token(aud="https://mail.example", **ADMIN),
    "of another issuer": KEY.token(iss="https://login.example/other", **ADMIN),
    "unsigned": f"{part({'alg': 'none', 'kid': 'one'})}.{part(PAGE)}.",
    "unsigned, named otherwise": f"{part({'alg': 'nOnE', 'kid': 'one'})}.{part(PAGE)}.",
    "public key as shared secret": confused(),
    "signed by a withdrawn key": FORMER.token(**ADMIN),
}


@pytest.fixture
def at():
    """A boundary on a provider that publishes one key."""
    provider = Provider()
    provider.published = key_set(KEY)
    given = {"authentication": "openid", "authority": "https://login.example", "audiences": (AUDIENCE,)}
    fields = settings(**given, data_partitions=True)
    return Boundary(fields, OpenIdAuthenticator(fields, Roles(), provider, clock=Clock()), KnownPartitions("ward"))


async def statuses(at, token, rows=NEEDY):
    headers = (("Authorization", f"Bearer {token}"),) if token else ()
    return {
        (row.name, method): (
            await ask(method, f"/{example_path(row.path(data_partitions=True))}", headers, at=at)
        ).status
        for row in rows
        for method in row.methods
    }


@pytest.mark.spec("AUTH-1", "AUTH-14")
@pytest.mark.parametrize("attack", ATTACKS)
async def test_no_resource_believes_it(at, attack):
    found = await statuses(at, ATTACKS[attack])

    assert len(found) > 100
    assert {key: status for key, status in found.items() if status != 401} == {}


@pytest.mark.spec("AUTH-14")
async def test_the_provider_s_own_token_opens_what_its_role_may_and_nothing_else(at):
    owner, reader, nobody = [
        await statuses(at, KEY.token(roles=roles)) for roles in (["globalAdmin"], ["globalReader"], ["x"])
    ]

    assert set(owner.values()) == {200}
    assert {key for key, status in reader.items() if status == 200} == {
        (row.name, method) for row in NEEDY if row.action == "read" for method in row.methods
    }
    assert set(reader.values()) == {200, 403}
    assert set(nobody.values()) == {403}
