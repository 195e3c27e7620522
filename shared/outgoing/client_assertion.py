"""RFC 7523 A client proves who it is by a token that it signs: with a certificate, or a key that the server knows."""

import base64
import hashlib
import time
import uuid
from dataclasses import dataclass
from typing import Any

from shared.errors import Misconfigured

_LIFE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, and the certificate that goes with it, if any."""

    key: Any
    algorithm: str
    headers: dict[str, str]
    """Fields of the token's header that name the key."""


def signing_key(text: str, key_id: str) -> SigningKey:
    """The key of a setting: PEM, or base64 of a PKCS #12 file as Key Vault hands it out. Raises Misconfigured."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import pkcs12
    from cryptography.x509 import load_pem_x509_certificate

    try:
        if "-----BEGIN" in text:
            pem = text.replace("\\n", "\n").encode()
            key: Any = serialization.load_pem_private_key(pem, None)
            certificate = load_pem_x509_certificate(pem) if b"BEGIN CERTIFICATE" in pem else None
        else:
            key, certificate, _ = pkcs12.load_key_and_certificates(base64.b64decode(text), None)
    except (ValueError, TypeError):
        raise Misconfigured("The certificate or private key of a client cannot be read") from None
    headers = {"kid": key_id} if key_id else {}
    if certificate is not None:
        der = certificate.public_bytes(serialization.Encoding.DER)
        headers["x5t"] = _unpadded(hashlib.sha1(der, usedforsecurity=False).digest())
        headers["x5t#S256"] = _unpadded(hashlib.sha256(der).digest())
    if isinstance(key, rsa.RSAPrivateKey):
        return SigningKey(key, "RS256" if certificate is not None else "RS384", headers)
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in ("secp256r1", "secp384r1"):
        return SigningKey(key, "ES256" if key.curve.name == "secp256r1" else "ES384", headers)
    raise Misconfigured("The private key of a client must be RSA, or EC on P-256 or P-384")


def client_assertion(key: SigningKey, client_id: str, token_uri: str) -> str:
    """A token that says who the client is, good for five minutes and for one use."""
    import jwt

    now = int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": token_uri,
        "jti": str(uuid.uuid4()),
        "iat": now,
        "nbf": now,
        "exp": now + _LIFE_SECONDS,
    }
    return jwt.encode(claims, key.key, algorithm=key.algorithm, headers=key.headers)


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
