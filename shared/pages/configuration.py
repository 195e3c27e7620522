"""The configuration that the scripts of the pages need before they can ask a deployment anything (VIEW-9, VIEW-10)."""

import re
from typing import Any, Final

from shared.errors import Misconfigured
from shared.settings import Settings
from shared.version import running_version

_ORIGIN: Final = re.compile(r"(https?://(?:[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?)(?:/.*)?")


def configuration(settings: Settings, viewer: str | None = None) -> dict[str, Any]:
    """The document. Nothing in it is a secret: anybody may read it. `viewer` is the version of the viewer, if any."""
    sign_in = None
    if settings.authentication == "openid":
        sign_in = {
            "authority": settings.authority.rstrip("/"),
            "clientId": settings.ui_client_id,
            "scopes": settings.ui_scopes,
        }
    return {
        **running_version(),
        "authentication": settings.authentication,
        "signIn": sign_in,
        "dataPartitions": settings.data_partitions,
        "privateUrls": settings.ui_private_urls,
        "viewer": viewer,
    }


def content_security_policy(settings: Settings) -> str:
    """The policy of the pages (VIEW-10): nothing but their own files, this service, and the authority.

    Raises Misconfigured when the authority is no URL.
    """
    return _policy(_authority(settings))


def viewer_policy(settings: Settings) -> str:
    """The policy of the viewer (VIEW-10): that of the pages, and what the released files cannot do without.

    Decoders in WebAssembly and segmentations make functions of text, scripts set styles, videos play, and documents are
    shown as objects made of what was fetched. Scripts come from here alone, and nothing goes elsewhere, all the same.
    Raises Misconfigured when the authority is no URL.
    """
    return _policy(
        _authority(settings),
        scripts=" 'wasm-unsafe-eval' 'unsafe-eval'",
        styles=" 'unsafe-inline'",
        connections=" blob: data:",
        more="media-src 'self' blob:; object-src 'self' blob:; frame-src 'self' blob:; ",
    )


def _authority(settings: Settings) -> str:
    if settings.authentication != "openid":
        return ""
    found = _ORIGIN.fullmatch(settings.authority)
    if found is None:
        raise Misconfigured("AUTHENTICATION_AUTHORITY is no URL.")
    return f" {found[1]}"


def _policy(authority: str, *, scripts: str = "", styles: str = "", connections: str = "", more: str = "") -> str:
    return (
        f"default-src 'none'; script-src 'self'{scripts}; style-src 'self'{styles}; img-src 'self' blob: data:; "
        f"font-src 'self'; connect-src 'self'{connections}{authority}; worker-src 'self' blob:; {more}"
        "frame-ancestors 'self'; base-uri 'none'; form-action 'self'"
    )
