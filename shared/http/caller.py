"""The caller of a request (AUTH-1 to AUTH-4)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from shared.dicomweb.confinement import Confinement
from shared.http.messages import Request
from shared.http.roles import NOTHING, Permissions
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller."""

    permissions: Permissions
    claims: Mapping[str, str]
    """The claims that audit records name; nothing else of the token is kept."""
    confinement: Confinement | None = None
    """The studies that the bearer of a share's token may see; None: whoever has a role sees whatever the role lets."""


ANONYMOUS = Caller(NOTHING, {})
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


def audited_claims(claims: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """The claims that audit records may name, as text."""
    return {name: _claim_text(claims[name]) for name in names if name in claims}


def _claim_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def challenge(settings: Settings) -> str:
    """The value of WWW-Authenticate (AUTH-2)."""
    audience = settings.audiences[0] if settings.audiences else ""
    return f'Bearer authorization_uri="{settings.authority}", resource_id="{audience}", realm="{audience}"'
