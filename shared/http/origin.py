"""The sender of a request and the name by which the service was asked for (decision 0013).

Forwarding headers are written by whoever sends a request, and added to by each server that passes it on. They count
only as far as those servers are known: on Azure its front end, which stands before every app and adds the address that
it was called from; with TRUST_FORWARDED_HEADERS one gateway more. Everything beyond is the caller's word.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from shared.http.messages import Headers
from shared.settings import Settings

_WITHOUT_PORT = re.compile(r"\[[^\]]*\]|[^:\[\]]+")
_LISTENER = re.compile(r"(?:\[[^\]]*\]|[^:\[\]]+)(?::(?!80$|443$)([0-9]{1,5}))?(?::[0-9]*)?")
_SCHEMES = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of one request. `client` is an address without a port, empty if there is none."""

    client: str
    scheme: str
    host: str


@dataclass(frozen=True, slots=True)
class OriginRule:
    """The origin of a request, as far as it is believed."""

    on_platform: bool = False
    """Whether Azure's front end stands before the app."""
    gateway: bool = False
    """Whether a gateway stands before that, and nothing else can reach the app."""
    port: str = ""
    """That of the Functions host's listener, where it is not the one of the scheme (URL-14)."""
    public: str = ""
    """Scheme and host under which the service is known, if that is configured; they win over what a request says."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The rule that the settings make. The host sets WEBSITE_HOSTNAME: on Azure a name, elsewhere its listener."""
        listener = None if settings.on_platform else _LISTENER.fullmatch(settings.website_hostname)
        port = listener[1] or "" if listener is not None else ""
        return cls(settings.on_platform, settings.trust_forwarded_headers, port, settings.public_base_url)

    def origin(self, peer: str, headers: Headers) -> Origin:
        """The origin of a request with `headers` that came from `peer` over a connection without TLS."""
        return Origin(self._client(peer, headers), *self._name(headers))

    def _client(self, peer: str, headers: Headers) -> str:
        hops = self.on_platform + self.gateway
        forwarded = ",".join(headers.all("x-forwarded-for")) if hops else ""
        entries = [entry.strip() for entry in forwarded.split(",") if entry.strip()]
        if not entries:
            return peer
        return _address(entries[-min(hops, len(entries))]) or peer

    def _name(self, headers: Headers) -> tuple[str, str]:
        if self.public:
            known = urlsplit(self.public)
            return known.scheme, known.netloc
        host = headers.get("host") or ""
        if self.port and _WITHOUT_PORT.fullmatch(host):
            host = f"{host}:{self.port}"
        if not (self.on_platform or self.gateway):
            return "http", host
        forwarded = ",".join(headers.all("x-forwarded-proto")).rpartition(",")[2].strip().lower()
        return forwarded if forwarded in _SCHEMES else "https" if self.on_platform else "http", host


def _address(entry: str) -> str:
    """The address of an entry of X-Forwarded-For, which may have a port; empty if it is none. The zone of an address
    (RFC 4007 §11), which may be any text, is left out: it says something to the machine alone that has written it.
    """
    host = entry.partition("]")[0].removeprefix("[") if entry.startswith("[") else entry
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return ""
