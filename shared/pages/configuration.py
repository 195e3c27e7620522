"""What the scripts of the pages must know of a deployment before they can ask it anything (VIEW-9, VIEW-10)."""

import re
from typing import Any, Final

from shared.errors import Misconfigured
from shared.settings import Settings
from shared.version import running_version

_ORIGIN: Final = re.compile(r"(https?://(?:[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?)(?:/.*)?")


def configuration(settings: Settings) -> dict[str, Any]:
    """The document. Nothing in it is a secret: anybody may read it."""
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
    }


def content_security_policy(settings: Settings) -> str:
    """The policy of the pages (VIEW-10): nothing but their own files, this service, and the authority.

    Raises Misconfigured when the authority is no URL.
    """
    authority = ""
    if settings.authentication == "openid":
        found = _ORIGIN.fullmatch(settings.authority)
        if found is None:
            raise Misconfigured("AUTHENTICATION_AUTHORITY is no URL.")
        authority = f" {found[1]}"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; font-src 'self'; "
        f"connect-src 'self'{authority}; worker-src 'self' blob:; frame-ancestors 'self'; base-uri 'none'; "
        "form-action 'self'"
    )
