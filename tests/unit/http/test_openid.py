import asyncio
import base64
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from shared.errors import Misconfigured, MissingCredentials, Unavailable
from shared.http import openid
from shared.http.messages import Headers, Request
from shared.http.openid import KeySet, OpenIdAuthenticator, ProviderKeys
from shared.http.roles import Roles
from tests.builders.http import settings
from tests.builders.tokens import AUDIENCE, ISSUER, Key, key_set

RSA = Key()
OTHER = Key("two")


class Provider:
    """Publishes keys, counts how often it is asked, and can be away."""

    def __init__(self, *keys: Key) -> None:
        self.published = key_set(*keys)
        self.asked = 0
        self.away = self.hangs = False
        self.go = asyncio.Event()

    async def fetch(self) -> KeySet:
        self.asked += 1
        await asyncio.sleep(0)
        if self.hangs:
            await self.go.wait()
        if self.away:
            raise Unavailable("away")
        return self.published


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def authenticator(provider: Provider, clock: Clock | None = None, **fields: object) -> OpenIdAuthenticator:
    wanted = {"authentication": "openid", "authority": "https://login.example", "audiences": (AUDIENCE, "api://dicom")}
    return OpenIdAuthenticator(settings(**{**wanted, **fields}), Roles(), provider, clock=clock or Clock())


def carrying(token: str, scheme: str = "Bearer") -> Request:
    return Request("GET", "https", "h", "/", headers=Headers([("Authorization", f"{scheme} {token}")]))


async def refused(token: str, provider: Provider | None = None) -> None:
    with pytest.raises(MissingCredentials):
        await authenticator(provider or Provider(RSA)).authenticate(carrying(token))


@pytest.mark.spec("AUTH-1", "AUTH-16")
async def test_a_valid_token_makes_a_caller():
    caller = await authenticator(Provider(RSA)).authenticate(carrying(RSA.token()))

    assert caller.permissions.actions == {"read"}
    assert caller.claims == {"sub": "u", "roles": "globalReader"}


@pytest.mark.spec("AUTH-1")
@pytest.mark.parametrize("algorithm", ["RS256", "PS512", "ES256", "ES384", "ES512", "EdDSA"])
@pytest.mark.parametrize("named", [False, True])
async def test_every_asymmetric_algorithm_is_accepted(algorithm, named):
    key = Key("k", algorithm, name_algorithm=named)

    assert (await authenticator(Provider(key)).authenticate(carrying(key.token()))).permissions.actions == {"read"}


@pytest.mark.spec("AUTH-1")
@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "someone else"},
        {"aud": ["someone", "else"]},
        {"aud": None},
        {"exp": int(time.time()) - 7200},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": int(time.time()) + 7200},
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(claims):
    await refused(RSA.token(**claims))


@pytest.mark.spec("AUTH-1")
@pytest.mark.parametrize("audience", ["api://dicom", [AUDIENCE, "other"]])
async def test_one_of_several_audiences_suffices(audience):
    await authenticator(Provider(RSA)).authenticate(carrying(RSA.token(aud=audience)))


async def test_clocks_may_differ_by_a_minute():
    now = int(time.time())

    await authenticator(Provider(RSA)).authenticate(carrying(RSA.token(exp=now - 30, nbf=now + 30)))


def unsigned(header: dict, payload: dict) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, payload)]
    return ".".join([*parts, ""])


@pytest.mark.spec("AUTH-1")
async def test_signatures_that_prove_nothing_are_refused():
    payload = {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 60, "roles": ["globalAdmin"]}

    await refused(unsigned({"alg": "none", "kid": "one"}, payload))
    await refused(unsigned({"alg": "RS256", "kid": "one"}, payload))
    await refused(unsigned({"alg": "nonsense", "kid": "one"}, payload))
    await refused(jwt.encode(payload, "s" * 64, "HS256", headers={"kid": "one"}))
    await refused(RSA.token()[:-8] + "AAAAAAAA")
    await refused(Key("one").token())  # another key under the same name
    await refused(Key("one", "ES256").token())  # another kind of key under the same name


async def test_a_shared_secret_or_an_encryption_key_never_verifies_a_token():
    provider = Provider(RSA)
    secret = base64.urlsafe_b64encode(b"s" * 64).decode()
    symmetric = {"kty": "oct", "kid": "secret", "k": secret}
    provider.published = KeySet(ISSUER, (symmetric, {**RSA.published, "use": "enc"}))

    await refused(RSA.token(), provider)
    await refused(jwt.encode({"iss": ISSUER}, "s" * 64, "HS256", headers={"kid": "secret"}), provider)


async def test_a_key_that_names_its_algorithm_verifies_no_other():
    key = Key("k", "RS256", name_algorithm=True)

    await refused(key.token(algorithm="RS512"), Provider(key))


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer a.b.c",
        "Bearer \x00",
        "Bearer " + "a" * 20_000,
        "Bearer ....",
    ],
)
@pytest.mark.spec("AUTH-2")
async def test_what_is_no_bearer_token_is_refused(value):
    headers = Headers([("Authorization", value)] if value is not None else [])

    with pytest.raises(MissingCredentials):
        await authenticator(Provider(RSA)).authenticate(Request("GET", "https", "h", "/", headers=headers))


async def test_two_authorization_headers_are_refused():
    value = f"Bearer {RSA.token()}"
    request = Request("GET", "https", "h", "/", headers=Headers([("Authorization", value), ("Authorization", value)]))

    with pytest.raises(MissingCredentials):
        await authenticator(Provider(RSA)).authenticate(request)


async def test_the_scheme_is_case_insensitive():
    await authenticator(Provider(RSA)).authenticate(carrying(RSA.token(), "bearer"))


@pytest.mark.spec("AUTH-10", "AUTH-12", "AUTH-13")
@pytest.mark.parametrize(
    ("roles", "actions"),
    [
        ("GLOBALREADER", {"read"}),
        (["unknown", "globalreader"], {"read"}),
        (
            ["globalAdmin"],
            {
                *("read", "write", "delete", "export", "manageExtendedQueryTags", "manageRetention", "share"),
                *("cohort", "cohortIdentified", "feedback"),
            },
        ),
        ([], set()),
        (None, set()),
        ({"globalAdmin": True}, set()),
        ([7, None], set()),
    ],
)
async def test_roles_of_the_claim_become_actions(roles, actions):
    caller = await authenticator(Provider(RSA)).authenticate(carrying(RSA.token(roles=roles)))

    assert caller.permissions.actions == actions


@pytest.mark.spec("AUTH-10", "AUD-2")
async def test_the_claims_that_count_are_settings():
    at = authenticator(Provider(RSA), roles_claim="groups", audit_claims=("oid",))

    caller = await at.authenticate(
        carrying(RSA.token(groups="globalReader", roles=["globalAdmin"], oid="o", name="Jane"))
    )

    assert (caller.permissions.actions, caller.claims) == ({"read"}, {"oid": "o"})


# --------------------------------------------------------------------------------- tokens that have been verified


class Verifying(OpenIdAuthenticator):
    """Counts how often a token is verified."""

    verified = 0

    async def _claims(self, token: str):
        self.verified += 1
        return await super()._claims(token)


def verifying(provider: Provider, clock: Clock, wall: Clock) -> Verifying:
    wanted = settings(authentication="openid", authority="https://login.example", audiences=(AUDIENCE,))
    return Verifying(wanted, Roles(), provider, clock=clock, now=wall)


async def test_a_token_is_verified_once_in_five_minutes():
    wall = Clock()
    wall.now = time.time()
    at = verifying(Provider(RSA), Clock(), wall)
    request = carrying(RSA.token())

    first = await at.authenticate(request)
    wall.now += 299
    assert await at.authenticate(request) == first
    assert at.verified == 1

    wall.now += 2
    assert await at.authenticate(request) == first
    assert at.verified == 2


async def test_a_token_that_runs_out_sooner_is_verified_sooner():
    wall = Clock()
    wall.now = time.time()
    at = verifying(Provider(RSA), Clock(), wall)
    request = carrying(RSA.token(exp=int(wall.now) + 30))
    await at.authenticate(request)

    wall.now += 92
    await at.authenticate(request)

    assert at.verified == 2


async def test_another_token_is_always_verified():
    at = verifying(Provider(RSA), Clock(), Clock())
    token = RSA.token()
    await at.authenticate(carrying(token))

    with pytest.raises(MissingCredentials):
        await at.authenticate(carrying(token[:-4] + "AAAA"))

    assert at.verified == 2


async def test_a_token_counts_as_verified_only_under_the_keys_that_verified_it():
    provider, clock = Provider(RSA, OTHER), Clock()
    at = verifying(provider, clock, Clock())
    token = RSA.token()
    await at.authenticate(carrying(token))

    provider.published = key_set(OTHER)
    clock.now += 13 * 3600
    await at.authenticate(carrying(OTHER.token()))

    with pytest.raises(MissingCredentials):
        await at.authenticate(carrying(token))


# ----------------------------------------------------------------------------------------------------------- keys


async def test_the_provider_is_asked_once_for_many_tokens():
    provider = Provider(RSA)
    at = authenticator(provider)

    await asyncio.gather(*(at.authenticate(carrying(RSA.token())) for _ in range(5)))

    assert provider.asked == 1


async def test_a_new_key_is_fetched_when_a_token_names_it():
    provider, clock = Provider(RSA), Clock()
    at = authenticator(provider, clock)
    await at.authenticate(carrying(RSA.token()))

    provider.published = key_set(OTHER)
    clock.now += 61
    await at.authenticate(carrying(OTHER.token()))

    assert provider.asked == 2
    with pytest.raises(MissingCredentials):
        await at.authenticate(carrying(RSA.token()))


async def test_invented_key_names_do_not_become_requests_to_the_provider():
    provider, clock = Provider(RSA), Clock()
    at = authenticator(provider, clock)

    for _ in range(10):
        with pytest.raises(MissingCredentials):
            await at.authenticate(carrying(OTHER.token()))
        clock.now += 5

    assert provider.asked == 1


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_keys_in_use_are_refreshed_without_making_anybody_wait():
    provider, clock = Provider(RSA), Clock()
    at = authenticator(provider, clock)
    await at.authenticate(carrying(RSA.token()))

    clock.now += 301
    provider.hangs = True
    await at.authenticate(carrying(RSA.token()))
    await at.authenticate(carrying(RSA.token(sub="second")))
    await turns()

    assert provider.asked == 2
    provider.go.set()


async def test_a_withdrawn_key_is_good_for_ten_minutes_at_most_even_for_tokens_that_were_verified():
    provider, clock = Provider(RSA), Clock()
    at = authenticator(provider, clock)
    token = RSA.token()
    await at.authenticate(carrying(token))

    provider.published = key_set(OTHER)
    clock.now += 601

    with pytest.raises(MissingCredentials):
        await at.authenticate(carrying(token))
    assert provider.asked == 2


async def test_the_same_keys_leave_verified_tokens_verified():
    provider, clock = Provider(RSA), Clock()
    at = verifying(provider, clock, Clock())
    request = carrying(RSA.token())
    await at.authenticate(request)

    provider.published = key_set(RSA)
    clock.now += 601
    await at.authenticate(request)

    assert (provider.asked, at.verified) == (2, 1)


async def test_old_keys_stay_in_use_while_the_provider_is_away_and_it_is_asked_by_the_way():
    provider, clock = Provider(RSA), Clock()
    at = authenticator(provider, clock)
    await at.authenticate(carrying(RSA.token()))

    provider.away = True
    clock.now += 13 * 3600
    await at.authenticate(carrying(RSA.token(sub="second")))
    await at.authenticate(carrying(RSA.token(sub="third")))
    assert provider.asked == 2

    provider.away, provider.hangs = False, True
    clock.now += 6
    await at.authenticate(carrying(RSA.token(sub="fourth")))
    await turns()
    assert provider.asked == 3
    provider.go.set()


async def test_a_provider_that_hangs_is_waited_for_once_and_not_long(monkeypatch):
    monkeypatch.setattr(openid, "_REFRESH_SECONDS", 0.01)
    provider = Provider(RSA)
    provider.hangs = True
    at = authenticator(provider)

    outcomes = await asyncio.gather(*(at.authenticate(carrying(RSA.token())) for _ in range(5)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 5
    assert provider.asked == 1


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
async def test_a_moment_that_no_clock_shows_is_no_credential(claim):
    await refused(RSA.token(**{claim: 10**400}))


async def test_without_keys_the_service_is_unavailable_and_tries_again_soon():
    provider, clock = Provider(RSA), Clock()
    provider.away = True
    at = authenticator(provider, clock)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await at.authenticate(carrying(RSA.token()))
    assert provider.asked == 1

    provider.away = False
    clock.now += 6
    await at.authenticate(carrying(RSA.token()))

    assert provider.asked == 2


async def test_a_token_without_a_key_name_fits_a_provider_with_one_key():
    key = Key(None)

    await authenticator(Provider(key)).authenticate(carrying(key.token()))
    await refused(key.token(), Provider(key, RSA))


@pytest.mark.parametrize("authority", ["http://login.example", "ftp://localhost", "login.example", ""])
def test_keys_are_fetched_over_a_secure_connection_only(authority):
    with pytest.raises(Misconfigured):
        ProviderKeys(authority)


PRIVATE = json.loads(RSAAlgorithm.to_jwk(RSA.private))


@pytest.mark.spec("AUTH-1")
@pytest.mark.parametrize(
    "changes",
    [
        {**PRIVATE, "key_ops": ["verify"]},
        {"k": "AAAA"},
        {"key_ops": ["encrypt"]},
        {"key_ops": []},
        {"key_ops": "verify"},
        {"use": "enc"},
        {"kty": "oct"},
        {"kty": "rsa"},
        {"kty": ["RSA"]},
        {"alg": "RS512"},
        {"alg": None},
        {"n": 5},
        {"n": ""},
        {"e": "AQ"},
        {"e": None},
    ],
)
async def test_a_published_key_that_is_not_for_verifying_verifies_nothing(changes):
    provider = Provider()
    provider.published = KeySet(ISSUER, ({**RSA.published, **changes},))

    await refused(RSA.token(), provider)


@pytest.mark.spec("AUTH-1")
async def test_keys_of_one_name_are_told_apart_by_what_they_are_for():
    """RFC 7517 §4.5: keys of different types may have the same name."""
    elliptic, weak = Key("one", "ES256"), Key("one", "ES384")
    provider = Provider()
    encrypting = {**OTHER.published, "kid": "one", "use": "enc"}
    provider.published = KeySet(ISSUER, (encrypting, weak.published, elliptic.published, RSA.published, RSA.published))

    for key in (RSA, elliptic, weak):
        assert (await authenticator(provider).authenticate(carrying(key.token()))).permissions.actions == {"read"}


@pytest.mark.spec("AUTH-1")
async def test_a_key_that_is_too_short_verifies_nothing():
    """RFC 7518 §3.3: 2,048 bits at least."""
    key = Key()
    key.private = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - that is the point
    key.published = {**json.loads(RSAAlgorithm.to_jwk(key.private.public_key())), "kid": "one"}
    key.published.pop("key_ops", None)
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = key.token()

    await refused(token, Provider(key))


def test_on_azure_no_provider_is_asked_without_tls():
    with pytest.raises(Misconfigured):
        ProviderKeys("http://localhost:8080", local=False)
    ProviderKeys("http://localhost:8080")
