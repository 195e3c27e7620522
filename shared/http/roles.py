"""What a caller may do (AUTH-10 to AUTH-16). Default deny: no claim, no role; no role, no action."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from shared.errors import Misconfigured

type Action = Literal["read", "write", "delete", "export", "manageExtendedQueryTags"]

ACTIONS: frozenset[str] = frozenset({"read", "write", "delete", "export", "manageExtendedQueryTags"})
"""Every data action (AUTH-15)."""


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
    {"name": "DICOM.Data.Owner", "dataActions": ["*"], "scopes": ["/"]},
    {"name": "DICOM.Data.Reader", "dataActions": ["read"], "scopes": ["/"]},
]
"""The names of the predecessor's roles, and those of the app roles that a deployment creates (AUTH-16)."""
_DOCUMENT = TypeAdapter(list[_Role])


class Roles:
    """Which data actions each role has. Role names compare without regard to case (AUTH-12)."""

    def __init__(self, document: str = "") -> None:
        """`document` is the JSON text of the roles document; empty: the default roles (AUTH-16).

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
