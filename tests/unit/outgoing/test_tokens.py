"""Tokens are kept, shared and renewed."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from shared.errors import Misconfigured
from shared.outgoing.client_assertion import client_assertion, signing_key
from shared.outgoing.tokens import AccessToken, KeptToken


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def kept(clock: Clock, life: float) -> tuple[KeptToken, list[float]]:
    fetched: list[float] = []

    async def fetch() -> AccessToken:
        fetched.append(clock())
        await asyncio.sleep(0)
        return AccessToken(f"t{len(fetched)}", clock() + life)

    return KeptToken(fetch, now=clock), fetched


async def test_callers_at_the_same_time_share_one_request() -> None:
    source, fetched = kept(Clock(), 3600)
    assert set(await asyncio.gather(*(source.token() for _ in range(20)))) == {"t1"}
    assert len(fetched) == 1


async def test_a_token_is_renewed_five_minutes_before_its_end() -> None:
    clock = Clock()
    source, _ = kept(clock, 3600)
    await source.token()
    clock.time += 3299
    assert await source.token() == "t1"
    clock.time += 2
    assert await source.token() == "t2"


async def test_a_short_token_is_used_for_half_of_its_life() -> None:
    clock = Clock()
    source, _ = kept(clock, 60)
    await source.token()
    clock.time += 29
    assert await source.token() == "t1"
    clock.time += 2
    assert await source.token() == "t2"


async def test_a_refused_token_is_forgotten_and_another_is_not() -> None:
    source, _ = kept(Clock(), 3600)
    await source.token()
    source.refused("t0")
    assert await source.token() == "t1"
    source.refused("t1")
    assert await source.token() == "t2"


def _certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256())


def test_a_client_signs_with_its_certificate_however_it_is_given() -> None:
    key = rsa.generate_private_key(65537, 2048)
    certificate = _certificate(key)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    pfx = pkcs12.serialize_key_and_certificates(b"x", key, certificate, None, serialization.NoEncryption())
    for text in (pem.decode(), pem.decode().replace("\n", "\\n"), base64.b64encode(pfx).decode()):
        assertion = client_assertion(signing_key(text, ""), "me", "https://login.test/token")
        header = jwt.get_unverified_header(assertion)
        assert (header["alg"], bool(header["x5t"])) == ("RS256", True)
        claims = jwt.decode(assertion, key.public_key(), algorithms=["RS256"], audience="https://login.test/token")
        assert (claims["iss"], claims["sub"], claims["exp"] - claims["iat"]) == ("me", "me", 300)


def test_a_key_without_certificate_is_named_by_its_id() -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    assertion = client_assertion(signing_key(pem.decode(), "k1"), "me", "https://login.test/token")
    header = jwt.get_unverified_header(assertion)
    assert (header["alg"], header["kid"]) == ("ES384", "k1")


@pytest.mark.parametrize("text", ["nonsense", "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----", "AAAA"])
def test_an_unreadable_key_keeps_the_service_from_starting(text: str) -> None:
    with pytest.raises(Misconfigured):
        signing_key(text, "")
