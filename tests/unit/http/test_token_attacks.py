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


def signed(header, claims=PAGE, key=KEY):
    """A token with a header of an attacker's own making; signed by the provider's key, unless another is given."""
    names = f"{part(header)}.{part(claims) if not isinstance(claims, str) else claims}"
    algorithm = jwt.get_algorithm_by_name("RS256")
    return f"{names}.{base64.urlsafe_b64encode(algorithm.sign(names.encode(), key.private)).rstrip(b'=').decode()}"


def raw(text):
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


RIGHT = {"alg": "RS256", "typ": "JWT", "kid": "one"}
_OWN = FOREIGN.published
HEADERS = {
    "a key of its own in the header": signed({**RIGHT, "jwk": _OWN}, key=FOREIGN),
    "a key of its own at a URL": signed({**RIGHT, "jku": "https://evil.example/keys"}, key=FOREIGN),
    "a certificate of its own at a URL": signed({**RIGHT, "x5u": "https://evil.example/one.pem"}, key=FOREIGN),
    "a certificate of its own": signed({**RIGHT, "x5c": ["MIIB"]}, key=FOREIGN),
    "a critical extension that nobody knows": signed({**RIGHT, "crit": ["exp"], "exp": 1}),
    "critical, and not there": signed({**RIGHT, "crit": ["b64"]}),
    "critical, and empty": signed({**RIGHT, "crit": []}),
    "a payload that is not coded": signed({**RIGHT, "b64": False, "crit": ["b64"]}),
    "a payload that is not coded, quietly": signed({**RIGHT, "b64": False}),
    "a key that is a path": signed({**RIGHT, "kid": "../../../../dev/null"}, key=FOREIGN),
    "a key that is a query": signed({**RIGHT, "kid": "one' OR '1'='1"}, key=FOREIGN),
    "a key that is a list": signed({**RIGHT, "kid": ["one"]}),
    "a key that is an object": signed({**RIGHT, "kid": {"kid": "one"}}),
    "a key that is nothing": signed({**RIGHT, "kid": None}, key=FOREIGN),
    "a key of another case": signed({**RIGHT, "kid": "ONE"}),
    "an algorithm that is a list": signed({**RIGHT, "alg": ["RS256"]}),
    "no algorithm": signed({"kid": "one"}),
    "an algorithm for another type of key": signed({**RIGHT, "alg": "ES256"}),
    "an algorithm of another case": signed({**RIGHT, "alg": "rs256"}),
    "no expiry": signed(RIGHT, {name: value for name, value in PAGE.items() if name != "exp"}),
    "an expiry of nothing": signed(RIGHT, {**PAGE, "exp": None}),
    "an expiry that is a list": signed(RIGHT, {**PAGE, "exp": [4102444800]}),
    "an expiry that is no number": signed(RIGHT, raw(json.dumps(PAGE).replace(str(PAGE["exp"]), "NaN"))),
    "an expiry without end": signed(RIGHT, raw(json.dumps(PAGE).replace(str(PAGE["exp"]), "1e999"))),
    "an expiry beyond all calendars": signed(RIGHT, {**PAGE, "exp": 253402300800}),
    "an expiry just past the leeway": signed(RIGHT, {**PAGE, "exp": int(time.time()) - 61}),
    "not valid until after the leeway": signed(RIGHT, {**PAGE, "nbf": int(time.time()) + 600}),
    "issued in the future": signed(RIGHT, {**PAGE, "iat": int(time.time()) + 600}),
    "audiences in an array in an array": signed(RIGHT, {**PAGE, "aud": [[AUDIENCE]]}),
    "an audience that is an object": signed(RIGHT, {**PAGE, "aud": {AUDIENCE: True}}),
    "an audience among numbers": signed(RIGHT, {**PAGE, "aud": [1, AUDIENCE]}),
    "no audience": signed(RIGHT, {**PAGE, "aud": []}),
    "an audience that begins alike": signed(RIGHT, {**PAGE, "aud": f"{AUDIENCE}.evil.example"}),
    "an issuer with a slash more": signed(RIGHT, {**PAGE, "iss": f"{ISSUER}/"}),
    "an issuer in an array": signed(RIGHT, {**PAGE, "iss": [ISSUER]}),
    "claims that are a list": signed(RIGHT, [PAGE]),
    "claims that are no JSON": signed(RIGHT, raw("{'iss'}")),
    "claims that end in the past, too": signed(RIGHT, raw(json.dumps(PAGE)[:-1] + ',"exp":1}')),
    "a header that is a list": signed([RIGHT]),
    "a header of 60,000 nested lists": f"{raw('[' * 6000)}.{part(PAGE)}.AAAA",
    "a signature that is empty": signed(RIGHT).rpartition(".")[0] + ".",
    "no signature": signed(RIGHT).rpartition(".")[0],
    "five parts": signed(RIGHT) + ".a.b",
    "two tokens": f"{signed(RIGHT)}, {signed(RIGHT)}",
    "a token with a space in it": signed(RIGHT).replace(".", ". ", 1),
    "letters that look alike": signed(RIGHT).replace("e", "\u0435", 1),
}


@pytest.mark.spec("AUTH-1")
@pytest.mark.parametrize("attack", HEADERS)
async def test_no_form_of_a_token_gets_around_the_provider_s_key(at, attack):
    headers = (("Authorization", f"Bearer {HEADERS[attack]}"),)

    assert (await ask("GET", "/v2/partitions/ward/studies", headers, at=at)).status == 401


@pytest.mark.spec("AUTH-10", "AUTH-14")
@pytest.mark.parametrize("roles", [[["globalAdmin"]], {"globalAdmin": 1}, "globalAdmin,x", " globalAdmin", 7, True, ""])
async def test_roles_in_another_form_are_none(at, roles):
    token = KEY.token(roles=roles)

    assert (
        await ask("GET", "/v2/partitions/ward/studies", (("Authorization", f"Bearer {token}"),), at=at)
    ).status == 403


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
