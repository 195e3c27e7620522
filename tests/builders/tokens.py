"""An OpenID provider's keys and tokens."""

import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from shared.http.openid import KeySet

ISSUER = "https://login.example/tenant"
AUDIENCE = "https://dicom.example"


class Key:
    """A signing key with its published half."""

    def __init__(self, kid: str | None = "one", algorithm: str = "RS256", *, name_algorithm: bool = False) -> None:
        self.kid = kid
        self.algorithm = algorithm
        if algorithm.startswith(("RS", "PS")):
            self.private: Any = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            published = RSAAlgorithm.to_jwk(self.private.public_key())
        elif algorithm.startswith("ES"):
            curve = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}[algorithm]
            self.private = ec.generate_private_key(curve)
            published = ECAlgorithm.to_jwk(self.private.public_key())
        else:
            self.private = ed25519.Ed25519PrivateKey.generate()
            published = OKPAlgorithm.to_jwk(self.private.public_key())
        self.published: dict[str, Any] = json.loads(published)
        self.published.pop("key_ops", None)
        if kid is not None:
            self.published["kid"] = kid
        if name_algorithm:
            self.published["alg"] = algorithm

    def token(self, *, algorithm: str | None = None, **claims: Any) -> str:
        """A token that is right unless `claims` say otherwise; None removes a claim."""
        now = int(time.time())
        right = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "exp": now + 3600,
            "nbf": now - 10,
            "sub": "u",
            "roles": ["globalReader"],
        }
        payload = {name: value for name, value in {**right, **claims}.items() if value is not None}
        headers = {"kid": self.kid} if self.kid is not None else None
        return jwt.encode(payload, self.private, algorithm or self.algorithm, headers=headers)


def key_set(*keys: Key, issuer: str = ISSUER) -> KeySet:
    """What the provider publishes."""
    return KeySet(issuer, tuple(key.published for key in keys))
