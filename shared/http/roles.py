"""The actions that a caller may take, and in which data partitions (AUTH-10 to AUTH-16, AUTH-20).

Default deny: no claim, no role; no role, no action; no scope, no partition.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from shared.errors import Misconfigured

type Action = Literal[
    "read",
    "write",
    "delete",
    "export",
    "manageExtendedQueryTags",
    "manageRetention",
    "share",
    "cohort",
    "cohortIdentified",
    "feedback",
]

ACTIONS: frozenset[str] = frozenset(get_args(Action.__value__))
"""Every data action (AUTH-15)."""


_WHOLE_SERVICE = "/"
_PARTITIONS = "/partitions/"


@dataclass(frozen=True, slots=True)
class Scope:
    """The scope of an action: the whole service, or some data partitions. Names compare without regard to case
    (DP-4a); with partitions off everything lies in `Microsoft.Default`.
    """

    whole_service: bool = False
    names: frozenset[str] = frozenset()
    """Of partitions, casefolded."""
    prefixes: tuple[str, ...] = ()
    """Of names of partitions, casefolded."""

    def __contains__(self, partition: str) -> bool:
        """Whether the partition of that name is inside."""
        if self.whole_service:
            return True
        name = partition.casefold()
        return name in self.names or name.startswith(self.prefixes)

    def __bool__(self) -> bool:
        """Whether there is anything inside."""
        return self.whole_service or bool(self.names) or bool(self.prefixes)

    def __and__(self, other: "Scope") -> "Scope":
        """The intersection of both."""
        if self.whole_service or other.whole_service:
            return other if self.whole_service else self
        names = {each for each in self.names if each in other} | {each for each in other.names if each in self}
        prefixes = [each for each in self.prefixes if each.startswith(other.prefixes)]
        prefixes += [each for each in other.prefixes if each.startswith(self.prefixes)]
        return Scope(names=frozenset(names), prefixes=tuple(dict.fromkeys(prefixes)))

    def __or__(self, other: "Scope") -> "Scope":
        """The union of both."""
        return Scope(
            self.whole_service or other.whole_service,
            self.names | other.names,
            tuple(dict.fromkeys((*self.prefixes, *other.prefixes))),
        )


WHOLE_SERVICE = Scope(whole_service=True)
NOWHERE = Scope()


@dataclass(frozen=True, slots=True)
class Permissions:
    """The data actions of a caller, each with the scope in which it counts."""

    scopes: Mapping[str, Scope]

    @property
    def actions(self) -> frozenset[str]:
        """The actions that the caller may take somewhere."""
        return frozenset(action for action, scope in self.scopes.items() if scope)

    def scope(self, action: str) -> Scope:
        """Where the caller may do that."""
        return self.scopes.get(action, NOWHERE)

    def all_in(self, partition: str | None) -> bool:
        """Whether the caller may take every action in the partition of that name; None: in the whole service."""
        scopes = map(self.scope, ACTIONS)
        return all(each.whole_service if partition is None else partition in each for each in scopes)


EVERYTHING = Permissions(dict.fromkeys(ACTIONS, WHOLE_SERVICE))
NOTHING = Permissions({})


def _distinct(scopes: list[str]) -> list[str]:
    if len({scope.casefold() for scope in scopes}) < len(scopes):
        raise ValueError("a scope is named twice")
    return scopes


class _Role(BaseModel):
    """An entry of the roles document (AUTH-11)."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    data_actions: Annotated[list[Action | Literal["*"]], Field(alias="dataActions", min_length=1)]
    not_data_actions: Annotated[list[Action | Literal["*"]], Field(alias="notDataActions")] = []
    scopes: Annotated[
        list[Annotated[str, Field(pattern=r"^(/|/partitions/([A-Za-z0-9._-]{1,64}|[A-Za-z0-9._-]{0,63}\*))$")]],
        Field(min_length=1, max_length=1000),
        AfterValidator(_distinct),
    ] = [_WHOLE_SERVICE]


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
        self._roles = {
            role.name.lower(): (
                _expanded(role.data_actions) - _expanded(role.not_data_actions),
                _scope(role.scopes),
            )
            for role in roles
        }

    def permissions(self, names: Iterable[str]) -> Permissions:
        """The permissions of the roles: the union of their actions, each inside the scopes of its role (AUTH-13).

        Unknown roles are ignored.
        """
        scopes: dict[str, Scope] = {}
        for actions, scope in (self._roles.get(name.lower(), (frozenset[str](), NOWHERE)) for name in names):
            for action in actions:
                scopes[action] = scopes.get(action, NOWHERE) | scope
        return Permissions(scopes)


def _scope(texts: Iterable[str]) -> Scope:
    partitions = [text.removeprefix(_PARTITIONS).casefold() for text in texts if text != _WHOLE_SERVICE]
    return Scope(
        _WHOLE_SERVICE in texts,
        frozenset(name for name in partitions if not name.endswith("*")),
        tuple(name.removesuffix("*") for name in partitions if name.endswith("*")),
    )


def _expanded(actions: Iterable[str]) -> frozenset[str]:
    named = frozenset(actions)
    return ACTIONS if "*" in named else named


def role_names(claim: object) -> list[str]:
    """The roles that a claim holds: a string or an array of strings (AUTH-10)."""
    values = claim if isinstance(claim, list) else [claim]
    return [value for value in values if isinstance(value, str)]
