"""The ticket with which a subscriber opens one connection. Pure.

It is a secret that is used up by the connection that shows it, and says whose it is, so that whoever is shown it finds
the subscriber. It opens nothing alone: the token of the URL that it is part of does.
"""

import base64
import binascii
import secrets
from dataclasses import dataclass, field
from typing import Final

_SECRET_BYTES: Final = 16
"""128 bits: nobody guesses one in the minute that it lives."""
_LONGEST: Final = 400
"""Characters: an AE title has at most 16, a name space fewer than 100."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket of a subscriber of a data partition."""

    namespace: str
    aetitle: str
    secret: str = field(repr=False)

    def __str__(self) -> str:
        """As it stands in a URL, and names a group of the channel."""
        owner = f"{self.namespace}\0{self.aetitle}".encode()
        return f"{self.secret}.{base64.urlsafe_b64encode(owner).decode().rstrip('=')}"


def new_secret() -> str:
    """The secret of a ticket that there was not before."""
    return secrets.token_hex(_SECRET_BYTES)


def ticket_of(text: str) -> Ticket | None:
    """The ticket in a text; None if it is none."""
    secret, _, owner = text.partition(".")
    if len(text) > _LONGEST or len(secret) != 2 * _SECRET_BYTES:
        return None
    try:
        decoded = base64.b64decode(owner + "=" * (-len(owner) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    namespace, separator, aetitle = decoded.partition("\0")
    return Ticket(namespace, aetitle, secret) if namespace and separator and aetitle else None
