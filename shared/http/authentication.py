"""The ways of finding out who asks, and which of them the settings want (AUTH-1 to AUTH-4, P-5)."""

import base64
import binascii
import json
import logging

from shared.errors import Misconfigured, MissingCredentials
from shared.http.caller import Authenticator, Caller, audited_claims, challenge
from shared.http.messages import Request
from shared.http.openid import OpenIdAuthenticator, ProviderKeys
from shared.http.roles import EVERYTHING, Roles
from shared.settings import Settings

_PRINCIPAL_LIMIT = 64 * 1024
"""Characters of the principal header; larger ones are no principal of the platform."""


class PlatformAuthenticator:
    """Trusts the principal header that the platform's authentication sets, and strips from what clients send.

    Only a deployment where the platform says that its authentication is on may use it (P-5): anywhere else the header
    is whatever the client wrote.
    """

    def __init__(self, settings: Settings, roles: Roles) -> None:
        if not settings.platform_authentication:
            raise Misconfigured("The platform's authentication is off: its principal header cannot be trusted.")
        self.challenge = challenge(settings)
        self._roles = roles
        self._roles_claim = settings.roles_claim
        self._audit_claims = settings.audit_claims

    async def authenticate(self, request: Request) -> Caller:
        """Read `x-ms-client-principal`."""
        values = request.headers.all("x-ms-client-principal")
        if len(values) != 1 or len(values[0]) > _PRINCIPAL_LIMIT:
            raise MissingCredentials
        try:
            principal = json.loads(base64.b64decode(values[0], validate=True))
            claims = [(str(claim["typ"]), str(claim["val"])) for claim in principal["claims"]]
            role_type = str(principal.get("role_typ"))
        except (binascii.Error, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise MissingCredentials from None
        names = [value for kind, value in claims if kind in {self._roles_claim, role_type}]
        return Caller(self._roles.permissions(names), audited_claims(dict(claims), self._audit_claims))


class NoAuthentication:
    """Everybody may do everything: development only (AUTH-4). Says so loudly when it is made."""

    challenge = "Bearer"

    def __init__(self) -> None:
        logging.getLogger("dicom").warning(
            "AUTHENTICATION IS OFF (AUTHENTICATION_MODE=off): anybody who reaches this service can read, change and "
            "delete all patient data. Never use this outside development."
        )
        self._caller = Caller(EVERYTHING, {})

    async def authenticate(self, request: Request) -> Caller:  # noqa: ARG002 - the protocol's
        """A caller with every action."""
        return self._caller


def authenticator(settings: Settings) -> Authenticator:
    """The authenticator that the settings ask for. Raises Misconfigured."""
    roles = Roles(settings.roles_document)
    match settings.authentication:
        case "off":
            return NoAuthentication()
        case "platform":
            return PlatformAuthenticator(settings, roles)
        case "openid":
            return OpenIdAuthenticator(
                settings, roles, ProviderKeys(settings.authority, local=not settings.on_platform)
            )
