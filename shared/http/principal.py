"""Who asks, and what they may do (AUTH-1 to AUTH-16). Default deny: no claim, no role; no role, no action."""

import base64
import binascii
import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from shared.errors import Misconfigured, MissingCredentials
from shared.http.messages import Request
from shared.settings import Settings

type Action = Literal["read", "write", "delete", "export", "manageExtendedQueryTags"]

ACTIONS: frozenset[str] = frozenset({"read", "write", "delete", "export", "manageExtendedQueryTags"})
"""Every data action (AUTH-15)."""

_PRINCIPAL_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller."""

    actions: frozenset[str]
    claims: Mapping[str, str]
    """The claims that audit records name; nothing else of the token is kept."""


ANONYMOUS = Caller(frozenset(), {})
"""The caller of a resource that anybody may ask for."""


class Authenticator(Protocol):
    """Turns a request into its caller."""

    @property
    def challenge(self) -> str:
        """The value of WWW-Authenticate in a 401 (HDR-7, AUTH-2)."""
        ...

    async def authenticate(self, request: Request) -> Caller:
        """The caller of `request`. Raises MissingCredentials; Unavailable if that cannot be found out now."""
        ...


class _Role(BaseModel):
    """An entry of the roles document (AUTH-11)."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    data_actions: Annotated[list[Action | Literal["*"]], Field(alias="dataActions", min_length=1)]
    not_data_actions: Annotated[list[Action | Literal["*"]], Field(alias="notDataActions")] = []
    scopes: Annotated[list[Literal["/"]], Field(min_length=1, max_length=1)]


_DEFAULT_ROLES = [
    {"name": "globalAdmin", "dataActions": ["*"], "scopes": ["/"]},
    {"name": "globalReader", "dataActions": ["read"], "scopes": ["/"]},
]
_DOCUMENT = TypeAdapter(list[_Role])


class Roles:
    """Which data actions each role has. Role names compare without regard to case (AUTH-12)."""

    def __init__(self, document: str = "") -> None:
        """`document` is the JSON text of the roles document; empty: globalAdmin and globalReader (AUTH-16).

        Raises Misconfigured if it is invalid or names a role twice.
        """
        try:
            roles = _DOCUMENT.validate_json(document) if document else _DOCUMENT.validate_python(_DEFAULT_ROLES)
        except ValidationError as error:
            raise Misconfigured(f"AUTHENTICATION_ROLES is invalid: {error}") from None
        twice = [name for name, count in Counter(role.name.lower() for role in roles).items() if count > 1]
        if twice:
            raise Misconfigured(f"AUTHENTICATION_ROLES names a role twice: {', '.join(twice)}")
        self._actions = {
            role.name.lower(): _expanded(role.data_actions) - _expanded(role.not_data_actions) for role in roles
        }

    def actions(self, names: Iterable[str]) -> frozenset[str]:
        """The union of what the roles may do (AUTH-13). Unknown roles are ignored."""
        return frozenset().union(*(self._actions.get(name.lower(), frozenset()) for name in names))


def _expanded(actions: Iterable[str]) -> frozenset[str]:
    named = frozenset(actions)
    return ACTIONS if "*" in named else named


def role_names(claim: object) -> list[str]:
    """The roles that a claim holds: a string or an array of strings (AUTH-10)."""
    values = claim if isinstance(claim, list) else [claim]
    return [value for value in values if isinstance(value, str)]


def audited_claims(claims: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """The claims that audit records may name, as text."""
    return {name: _claim_text(claims[name]) for name in names if name in claims}


def _claim_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def challenge(settings: Settings) -> str:
    """The value of WWW-Authenticate (AUTH-2)."""
    audience = settings.audiences[0] if settings.audiences else ""
    return f'Bearer authorization_uri="{settings.authority}", resource_id="{audience}", realm="{audience}"'


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
            role_type = principal.get("role_typ")
        except (binascii.Error, ValueError, KeyError, TypeError, AttributeError):
            raise MissingCredentials from None
        names = [value for kind, value in claims if kind in {self._roles_claim, role_type}]
        return Caller(self._roles.actions(names), audited_claims(dict(claims), self._audit_claims))


class NoAuthentication:
    """Everybody may do everything: development only (AUTH-4). Says so loudly when it is made."""

    challenge = "Bearer"

    def __init__(self) -> None:
        logging.getLogger("dicom").warning(
            "AUTHENTICATION IS OFF (AUTHENTICATION_MODE=off): anybody who reaches this service can read, change and "
            "delete all patient data. Never use this outside development."
        )
        self._caller = Caller(ACTIONS, {})

    async def authenticate(self, request: Request) -> Caller:  # noqa: ARG002  (the protocol's)
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
            from shared.http.openid import OpenIdAuthenticator, ProviderKeys

            return OpenIdAuthenticator(settings, roles, ProviderKeys(settings.authority))
