"""azure-apis §7.1 Containers that an export may be sent to, and their names in requests (XPT-5 to XPT-12). Pure.

A request makes the service connect to a host and write there, with its own identity if it asks for that. So nothing is
allowed unless a setting lists it, and what is connected to is what was compared: the URL is put together anew from its
checked parts.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from shared.errors import InvalidRequest, Misconfigured
from shared.export.model import Access, Destination
from shared.http.json_body import WHERE, invalid_field

FIELD: Final = "destination.settings"
_CONTAINER: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}")
_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9-]{1,63}")
_PORTS: Final = {"http": 80, "https": 443}
_LONGEST_SIGNATURE: Final = 4096
_SIGNATURE_FIELDS: Final = frozenset(
    (
        *("sv", "ss", "srt", "sr", "sp", "st", "se", "sip", "spr", "sig", "si", "sdd", "ses"),
        *("skoid", "sktid", "skt", "ske", "sks", "skv", "saoid", "suoid", "scid", "skdutid", "sduoid", "srh", "srq"),
        *("rscc", "rscd", "rsce", "rscl", "rsct"),
    )
)
"""The parameters of a shared access signature; others would make another request of ours."""
_EMULATOR_ACCOUNT: Final = "devstoreaccount1"
_EMULATOR_URL: Final = f"http://127.0.0.1:10000/{_EMULATOR_ACCOUNT}"


@dataclass(frozen=True, slots=True)
class _Place:
    """A container, or what it lies in: the parts of a URL, in one spelling."""

    scheme: str
    host: str
    port: int
    path: tuple[str, ...]

    @property
    def url(self) -> str:
        """The URL of these parts."""
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return "/".join((f"{self.scheme}://{host}{port}", *self.path))

    def lists(self, other: "_Place") -> bool:
        """Whether `other` is this place or lies in it. `*.` in front of a host stands for one name."""
        name, _, domain = other.host.partition(".")
        same_host = self.host == other.host or (bool(name) and self.host == f"*.{domain}")
        same = (self.scheme, self.port) == (other.scheme, other.port)
        return same and same_host and other.path[: len(self.path)] == self.path


@dataclass(frozen=True, slots=True)
class DestinationRules:
    """The destinations that a deployment allows. `checked` makes them of settings."""

    listed: Sequence[_Place]
    own_accounts: Sequence[_Place]
    """Accounts of the service itself: only containers of them that are listed by name are destinations."""
    own_containers: frozenset[str]
    """The URLs of containers that the service works with: never a destination."""
    signatures: bool
    public: bool
    identity: bool
    """Whether the service has an identity."""
    secrets: bool
    """Whether there is a place for secrets."""

    @classmethod
    def checked(
        cls,
        listed: Sequence[str],
        *,
        own_accounts: Sequence[str],
        own_containers: Sequence[tuple[str, str]],
        signatures: bool,
        public: bool,
        identity: bool,
        secrets: bool,
    ) -> "DestinationRules":
        """Of settings: `own_containers` as endpoint and name. Raises Misconfigured."""
        places = [_place(each, wildcard=True) for each in listed]
        accounts = [_place(each, wildcard=False) for each in own_accounts]
        containers = [_place(f"{endpoint}/{name}", wildcard=False) for endpoint, name in own_containers]
        if None in (*places, *accounts, *containers):
            raise Misconfigured(
                "EXPORT_DESTINATIONS lists accounts or containers by URL, such as https://*.blob.core.windows.net"
            )
        return cls(
            [each for each in places if each],
            [each for each in accounts if each],
            frozenset(each.url for each in containers if each),
            signatures,
            public,
            identity,
            secrets,
        )

    def of_uri(self, uri: str, *, managed_identity: bool) -> Destination:
        """The destination of a `blobContainerUri`, with or without a signature. Raises InvalidRequest."""
        place, parts = _container(uri), _split(uri)
        if place is None or parts is None:
            raise invalid_field(f"{FIELD}.blobContainerUri", "It must be the URL of a blob container.")
        signature = parts.query
        if managed_identity and signature:
            raise _refused("A managed identity cannot be used together with a shared access signature.")
        return self._checked(place, _signed(signature), managed_identity=managed_identity)

    def of_connection_string(self, text: str, container: str) -> Destination:
        """The destination of a connection string and a container name. Raises InvalidRequest."""
        fields = _fields(text)
        account = fields.get("accountname", "")
        emulator = fields.get("usedevelopmentstorage", "").lower() == "true" or account == _EMULATOR_ACCOUNT
        if "accountkey" in fields and not emulator:
            raise _refused("Account key authentication is not supported.")
        if emulator:
            endpoint = fields.get("blobendpoint") or _EMULATOR_URL
        else:
            protocol, suffix = fields.get("defaultendpointsprotocol", "https"), fields.get("endpointsuffix", "")
            endpoint = fields.get("blobendpoint") or f"{protocol}://{account}.blob.{suffix or 'core.windows.net'}"
        place = _container(f"{endpoint.rstrip('/')}/{container}")
        if place is None:
            raise invalid_field(FIELD, "connectionString and blobContainerName must name a blob container.")
        signature = fields.get("sharedaccesssignature", "").removeprefix("?")
        if emulator and not signature:
            return self._listed(Destination(place.url, Access.EMULATOR), place)
        return self._checked(place, _signed(signature), managed_identity=False)

    # ----------------------------------------------------------------------------------------------------- inside

    def _checked(self, place: _Place, signature: str, *, managed_identity: bool) -> Destination:
        if signature and not self.signatures:
            raise _refused("Shared Access Signatures (SAS) are not supported.")
        if signature and not self.secrets:
            raise _refused("A shared access signature needs a secret store, and none is configured.")
        if managed_identity:
            if not self.identity:
                raise _refused("No identity has been configured.")
            if place.scheme != "https":
                raise _refused("A managed identity is only used over https.")
            return self._listed(Destination(place.url, Access.IDENTITY), place)
        if not signature and not self.public:
            raise _refused("Containers without credentials are not supported.")
        access = Access.SIGNATURE if signature else Access.NONE
        return self._listed(Destination(place.url, access, signature), place)

    def _listed(self, destination: Destination, place: _Place) -> Destination:
        own = any(account.lists(place) for account in self.own_accounts)
        by_name = [each for each in self.listed if each.path == place.path and "*" not in each.host]
        listed = any(each.lists(place) for each in (by_name if own else self.listed))
        if not listed or place.url in self.own_containers:
            raise _refused(
                f"The container '{destination.container}' of '{destination.account}' is not among the destinations "
                "that this service allows.",
                remedy="Ask whoever runs the service to list it in EXPORT_DESTINATIONS.",
            )
        return destination


def _refused(text: str, *, remedy: str = "") -> InvalidRequest:
    return InvalidRequest(text, where=WHERE, remedy=remedy)


def _signed(query: str) -> str:
    """The shared access signature in a query string. Raises InvalidRequest for one that is something else."""
    if not query:
        return ""
    names = [name for name, _ in parse_qsl(query, keep_blank_values=True)] if query.isascii() else []
    plain = query.isprintable() and " " not in query and len(query) <= _LONGEST_SIGNATURE
    if not plain or "sig" not in names or len(set(names)) < len(names) or not _SIGNATURE_FIELDS.issuperset(names):
        raise _refused("The query of the container's URL is no shared access signature.")
    return query


def _container(url: str) -> _Place | None:
    """The container that a URL names; None if it names none."""
    parts = _split(url)
    place = _place(url.partition("?")[0], wildcard=False)
    if parts is None or place is None or not place.path or not _CONTAINER.fullmatch(place.path[-1]):
        return None
    return place if len(place.path) == (2 if _holds_accounts(place.host) else 1) else None


def _holds_accounts(host: str) -> bool:
    """Whether accounts stand in the path, not in the name of the host: an emulator's address or plain name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." not in host
    return True


def _place(url: str, *, wildcard: bool) -> _Place | None:
    """The place of a URL without user, query and fragment; None if it is anything else."""
    parts = _split(url)
    if parts is None or parts.query or parts.fragment or parts.username is not None or parts.password is not None:
        return None
    host = (parts.hostname or "").lower()
    name = host.removeprefix("*.") if wildcard else host
    try:
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    path = tuple(parts.path.strip("/").split("/")) if parts.path.strip("/") else ()
    if parts.scheme not in _PORTS or not all(map(_SEGMENT.fullmatch, path)):
        return None
    return _Place(parts.scheme, host, port, path) if _HOST.fullmatch(name) or _is_address(name) else None


def _is_address(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _split(url: str) -> SplitResult | None:
    """The parts of a URL; None for what readers of URLs do not agree about."""
    if not url.isascii() or not url.isprintable() or any(each in url for each in " \\#"):
        return None
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _fields(connection_string: str) -> Mapping[str, str]:
    """The fields of a connection string, by their names in small letters."""
    pairs = (field.partition("=") for field in connection_string.split(";") if field.strip())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
