"""HTTP connections of the command: through the proxy that the environment names, and over TLS that is checked (CLI-7).

Proxies are those of `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, or of the system's settings; this machine is asked
without one. Trusted are the authorities of the system, or those of the file that `SSL_CERT_FILE` names.
"""

import base64
import http.client
import ipaddress
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from dicom_cli.outcomes import CommandFailed, ExitCode

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection that connects with its first request."""

    connection: http.client.HTTPConnection
    origin: str = ""
    """The text before the path of each request: a proxy of plain HTTP is told the whole URL."""
    fields: Mapping[str, str] | None = None
    """Header fields that the proxy wants with each request."""


def opened(url: str, seconds: float) -> Opened:
    """A connection to the host of a URL. Raises CommandFailed for what is no http or https URL."""
    parts, port = checked(url)
    host = parts.hostname or ""
    proxy = proxy_of(url)
    if proxy is None:
        if parts.scheme == "http":
            return Opened(http.client.HTTPConnection(host, port, timeout=seconds))
        return Opened(http.client.HTTPSConnection(host, port, timeout=seconds, context=ssl.create_default_context()))
    way, way_port = checked(proxy)
    who = _who(way)
    if parts.scheme == "http":
        connection = http.client.HTTPConnection(way.hostname or "", way_port, timeout=seconds)
        return Opened(connection, f"http://{parts.netloc.rpartition('@')[2]}", who)
    tunnel = http.client.HTTPSConnection(
        way.hostname or "", way_port, timeout=seconds, context=ssl.create_default_context()
    )
    tunnel.set_tunnel(host, port, headers=dict(who))
    return Opened(tunnel)


def checked(url: str) -> tuple[SplitResult, int]:
    """The parts of an http or https URL, and its port. Raises CommandFailed."""
    with suppress(ValueError):
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
        if port and parts.hostname:
            return parts, port
    raise CommandFailed(f"{url!r} is no http or https URL.", ExitCode.WRONG_USE)


def proxy_of(url: str) -> str | None:
    """The URL of the proxy by which a URL is asked; None without one."""
    parts, _ = checked(url)
    host = parts.hostname or ""
    found = getproxies().get(parts.scheme)
    if not found or _is_here(host) or proxy_bypass(host):
        return None
    return found if "://" in found else f"http://{found}"


def tls_failure(url: str, error: ssl.SSLError) -> CommandFailed:
    """The failure for a certificate that is not trusted, or for a service that speaks no TLS, with the remedy."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return CommandFailed(
            f"The certificate of {url} is not trusted: {error.verify_message}. If an authority of your own has signed "
            "it, SSL_CERT_FILE names the file with the certificate of that authority.",
            ExitCode.NOT_REACHABLE,
        )
    return CommandFailed(f"{url} speaks no TLS ({error.reason}): is it http?", ExitCode.NOT_REACHABLE)


def _is_here(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _who(proxy: SplitResult) -> Mapping[str, str]:
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
