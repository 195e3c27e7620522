"""Namespaces of no data partition, for the copies of shares (storage §2; SHR-7). Pure."""

from base64 import b32encode
from hashlib import sha256
from typing import Final

_HIDDEN: Final = "1"
"""The first character of hidden namespaces: the default one is `0`, others are letters and 2 to 7 (base32)."""
_LENGTH: Final = 24
"""Characters behind it: nobody finds one by trying."""


def hidden_namespace(name: str) -> str:
    """The hidden namespace of that name: what is in it is in no list, change feed or rebuild."""
    return f"{_HIDDEN}{b32encode(sha256(name.encode()).digest()).decode().lower()[:_LENGTH]}"


def is_hidden(namespace: str) -> bool:
    """Whether a namespace is one that `hidden_namespace` makes."""
    return namespace.startswith(_HIDDEN)
