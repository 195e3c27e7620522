"""Bearer tokens of any OpenID provider, checked in code (AUTH-1, P-5).

Signature by the provider's published keys (asymmetric algorithms only), issuer, audience, expiry and not-before. The
keys come from OpenID discovery, are refreshed while they are in use, and are fetched again when a token names one that
is unknown, but not more often than once a minute: tokens with invented key ids must not turn into requests to the
provider.
"""

import asyncio
import hashlib
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from shared import telemetry
from shared.errors import Misconfigured, MissingCredentials, Unavailable
from shared.http.caller import Caller, audited_claims, challenge
from shared.http.messages import Request
from shared.http.roles import Roles, role_names
from shared.settings import Settings

_CURVES: Mapping[str, frozenset[str]] = {
    "ES256": frozenset({"P-256"}),
    "ES384": frozenset({"P-384"}),
    "ES512": frozenset({"P-521"}),
    "EdDSA": frozenset({"Ed25519", "Ed448"}),
}
"""The curves of the algorithms that have one (RFC 7518 §3.4, RFC 8037 §3.1)."""
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", *_CURVES)
"""Signature algorithms that are accepted: asymmetric ones, never `none`, never a shared secret."""
_KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
"""The type of the keys of an algorithm, by its first letters (RFC 7518 §6.1)."""
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Members of a key that nobody else may have (RFC 7518 §6.2.2, §6.3.2, §6.4): what is published with one is lost."""

_LEEWAY_SECONDS = 60
_LAST_MOMENT = 253_402_300_799
"""The last second of the year 9999: an expiry after that is no moment."""
_TOKEN_LIMIT = 16 * 1024
_RENEW_SECONDS = 300.0
"""Age of keys from which on they are refreshed by the way."""
_KEEP_SECONDS = 600.0
"""Age of keys from which on a request waits for new ones: so long a withdrawn key is good at most."""
_REFRESH_SECONDS = 5.0
"""For both requests of a refresh together."""
_UNKNOWN_KEY_SECONDS = 60.0
_AFTER_FAILURE_SECONDS = 5.0
_TIMEOUT_SECONDS = 10.0
_DOCUMENT_LIMIT = 1024 * 1024
_MOST_KEYS = 256
"""Keys of a provider, each of which is looked at for a token that was not seen before; providers have a handful."""
_PREPARED_KEYS = 64
_VERIFIED_TOKENS = 1024
_VERIFIED_SECONDS = 300.0
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class KeySet:
    """The publication of a provider: its issuer, and its keys as JSON Web Keys."""

    issuer: str
    keys: tuple[Mapping[str, Any], ...]


def key_set_of(configuration: Mapping[str, Any], key_set: Mapping[str, Any]) -> KeySet:
    """The publication in the configuration of a provider and its key set. Raises KeyError and TypeError for others."""
    issuer = configuration["issuer"]
    if not isinstance(issuer, str) or not issuer:
        raise TypeError("issuer")
    keys = tuple(key for key in key_set["keys"] if isinstance(key, dict))
    if len(keys) > _MOST_KEYS:
        raise TypeError("keys")
    return KeySet(issuer, keys)


class KeySource(Protocol):
    """Fetches the present keys."""

    async def fetch(self) -> KeySet:
        """Ask the provider. Raises Unavailable."""
        ...


class ProviderKeys:
    """OpenID Connect Discovery 1.0 §4: the provider's configuration document, then the key set that it names."""

    def __init__(self, authority: str, *, local: bool = True) -> None:
        """`local`: whether a provider on this machine may be asked without TLS, which is for development."""
        self._authority = authority.rstrip("/")
        self._local = local
        self._differs = False
        if not _secure(self._authority, local=local):
            raise Misconfigured("AUTHENTICATION_AUTHORITY must begin with https://")

    async def fetch(self) -> KeySet:
        """Two GET requests, in one short-lived session."""
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session:
                document = await _get(session, f"{self._authority}/.well-known/openid-configuration")
                location = str(document["jwks_uri"])
                if not _secure(location, local=self._local):
                    raise Unavailable("The identity provider names an insecure key location.")
                published = key_set_of(document, await _get(session, location))
                self._compare(published.issuer)
                if any(_PRIVATE_MEMBERS & key.keys() for key in published.keys):
                    telemetry.event("identity-provider-publishes-private-keys", level=logging.ERROR)
                return published
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
            raise Unavailable("The identity provider cannot be reached.") from error

    def _compare(self, issuer: str) -> None:
        """Say once when the issuer is not the authority (Discovery §4.3 wants them equal, not every provider does)."""
        if issuer.rstrip("/") != self._authority and not self._differs:
            self._differs = True
            telemetry.event("identity-provider-issuer-differs", level=logging.WARNING, issuer=issuer)


async def _get(session: Any, location: str) -> dict[str, Any]:
    import orjson

    async with session.get(location, allow_redirects=False) as response:
        if response.status != 200:
            raise ValueError("status")
        body = await response.content.read(_DOCUMENT_LIMIT)
        while more := await response.content.read(_DOCUMENT_LIMIT):
            body += more
            if len(body) > _DOCUMENT_LIMIT:
                raise ValueError("length")
    document = orjson.loads(body)
    if not isinstance(document, dict):
        raise TypeError("document")
    return document


def _secure(location: str, *, local: bool) -> bool:
    try:
        parts = urlsplit(location)
    except ValueError:
        return False
    if parts.scheme == "https":
        return bool(parts.hostname)
    return local and parts.scheme == "http" and parts.hostname in _LOCAL_HOSTS


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token that has been verified a moment ago: verifying costs more than all the rest of a small request."""

    caller: Caller
    keys: KeySet | None
    until: float
    """Seconds since the epoch; never later than the token itself is good."""


class _KeyRing:
    """The keys in use, refreshed while they are in use, or when a token names another.

    A key that the provider has withdrawn is good for ten minutes more, whoever is asked and however often: after five
    a request starts a refresh and does not wait for it, after ten it waits. While the provider is away the old keys
    stay: they were good, and tokens expire by themselves.
    """

    def __init__(self, source: KeySource, clock: Callable[[], float]) -> None:
        self._source = source
        self._clock = clock
        self._refreshing: asyncio.Task[None] | None = None
        self._failed = False
        self.current: KeySet | None = None
        self._fetched = self._asked = -math.inf

    async def refresh_if_due(self) -> None:
        """Have the keys refreshed when they are old."""
        if self.current is None:
            return
        age = self._clock() - self._fetched
        if age > _RENEW_SECONDS and self._may_try(0):
            refreshing = self._refresh()
            if age > _KEEP_SECONDS and not self._failed:  # a provider that is away costs one request its patience
                await asyncio.shield(refreshing)

    async def find(self, key_id: str | None, algorithm: str) -> tuple[Mapping[str, Any] | None, str]:
        """The key for signatures of `algorithm` that is named `key_id` (None: the only one there is), or None; and the
        issuer. Raises Unavailable.
        """
        key = _pick(self.current, key_id, algorithm)
        if key is None and self._may_try(_UNKNOWN_KEY_SECONDS):
            await asyncio.shield(self._refresh())
            key = _pick(self.current, key_id, algorithm)
        if self.current is None:
            raise Unavailable("The identity provider cannot be reached.")
        return key, self.current.issuer

    def _may_try(self, pause: float) -> bool:
        """Whether the provider may be asked: `pause` seconds after it has answered, a moment after it has not."""
        wait = _AFTER_FAILURE_SECONDS if self._failed else pause
        return self._refreshing is not None or self._clock() >= self._asked + wait

    def _refresh(self) -> "asyncio.Task[None]":
        """The one refresh that is under way."""
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._fetch())
            self._refreshing.add_done_callback(self._refreshed)
        return self._refreshing

    def _refreshed(self, _: "asyncio.Task[None]") -> None:
        self._refreshing = None

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(_REFRESH_SECONDS):
                found = await self._source.fetch()
        except (Unavailable, TimeoutError) as error:
            self._failed = True
            telemetry.failure("identity-provider", error)
        else:
            self._failed, self._fetched = False, self._clock()
            if found != self.current:  # else tokens that were verified with these keys need not be verified again
                self.current = found
        self._asked = self._clock()


def _pick(keys: KeySet | None, key_id: str | None, algorithm: str) -> Mapping[str, Any] | None:
    usable = [key for key in keys.keys if _verifies(key, algorithm)] if keys else []
    if key_id is None:
        return usable[0] if len(usable) == 1 else None
    return next((key for key in usable if key.get("kid") == key_id), None)


def _verifies(key: Mapping[str, Any], algorithm: str) -> bool:
    """Whether a published key is for signatures of `algorithm` (RFC 7517 §4), and nobody but the provider can make
    them.
    """
    curves, operations = _CURVES.get(algorithm), key.get("key_ops", ["verify"])
    return (
        key.get("kty") == _KEY_TYPES[algorithm[:2]]
        and (curves is None or key.get("crv") in [*curves])
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and isinstance(operations, list)
        and "verify" in operations
        and not _PRIVATE_MEMBERS & key.keys()
    )


class OpenIdAuthenticator:
    """Verifies the bearer token of each request and maps its roles to data actions."""

    def __init__(
        self,
        settings: Settings,
        roles: Roles,
        source: KeySource,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.challenge = challenge(settings)
        self._audiences = list(settings.audiences)
        self._roles = roles
        self._roles_claim = settings.roles_claim
        self._audit_claims = settings.audit_claims
        self._keys = _KeyRing(source, clock)
        self._now = now
        self._prepared: dict[tuple[int, str], tuple[Mapping[str, Any], Any]] = {}
        self._tokens: dict[bytes, _Verified] = {}

    async def authenticate(self, request: Request) -> Caller:
        """The caller that the token names. Raises MissingCredentials, whatever is wrong with it; Unavailable."""
        token = _bearer(request)
        await self._keys.refresh_if_due()
        digest = hashlib.sha256(token.encode()).digest()
        known = self._tokens.get(digest)
        if known is not None and known.keys is self._keys.current and self._now() < known.until:
            return known.caller
        claims = await self._claims(token)
        names = role_names(claims.get(self._roles_claim))
        caller = Caller(self._roles.permissions(names), audited_claims(claims, self._audit_claims))
        if len(self._tokens) >= _VERIFIED_TOKENS:
            self._tokens.clear()
        until = min(self._now() + _VERIFIED_SECONDS, int(claims["exp"]) + _LEEWAY_SECONDS)
        self._tokens[digest] = _Verified(caller, self._keys.current, until)
        return caller

    async def _claims(self, token: str) -> Mapping[str, Any]:
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            if algorithm not in ALGORITHMS:
                raise MissingCredentials
            key, issuer = await self._keys.find(header.get("kid"), algorithm)
            if key is None:
                raise MissingCredentials
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key(key, algorithm),
                algorithms=[algorithm],
                audience=self._audiences,
                issuer=issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise MissingCredentials from None
        if int(claims["exp"]) > _LAST_MOMENT:
            raise MissingCredentials
        return claims

    def _key(self, published: Mapping[str, Any], algorithm: str) -> Any:
        """The key as the library wants it; making it costs as much as verifying a signature."""
        import jwt

        kept = self._prepared.get((id(published), algorithm))
        if kept is not None and kept[0] is published:
            return kept[1]
        if len(self._prepared) >= _PREPARED_KEYS:
            self._prepared.clear()
        key = jwt.PyJWK(dict(published), algorithm)
        self._prepared[id(published), algorithm] = (published, key)
        return key


def _bearer(request: Request) -> str:
    values = request.headers.all("authorization")
    if len(values) != 1 or len(values[0]) > _TOKEN_LIMIT:
        raise MissingCredentials
    scheme, _, token = values[0].strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise MissingCredentials
    return token.strip()
