"""A share, and the token that opens it (SHR-1, SHR-2). Pure, but for the randomness of tokens."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from shared.dicomweb.confinement import Confinement
from shared.index_schema.hidden_namespaces import hidden_namespace

_ID_BYTES: Final = 16
_SECRET_BYTES: Final = 32
"""256 random bits: nobody finds a token by trying."""
_PREFIX: Final = "shr_"
"""Tells tokens of shares from those of an OpenID provider, and lets scanners of source code find those that leak."""
_ID: Final = re.compile(r"[a-z0-9]{1,12}_[A-Za-z0-9_-]{22}")
_TOKEN: Final = re.compile(rf"{_PREFIX}({_ID.pattern})([A-Za-z0-9_-]{{43}})")
_KEY_OF_NAMES: Final = b"uids that stand for those outside"


class Extent(StrEnum):
    """The extent of the clinical data that a share has beside its images (SHR-6)."""

    NONE = "none"
    REPORTS = "reports"
    TIMELINE = "timeline"


class NewToken(NamedTuple):
    """A share's id, and the token that opens it: it is shown once, and never stored."""

    share_id: str
    token: str


class ReadToken(NamedTuple):
    """A token as it was sent."""

    share_id: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Share:
    """A share as it is stored. Times are seconds since 1970."""

    id: str
    digest: bytes = field(repr=False)
    """SHA-256 of the token."""
    partition: str
    """The name of the data partition."""
    created: float
    expires: float
    studies: tuple[str, ...] | None
    """None: those that are in the partition at each request (SHR-41)."""
    series: tuple[str, ...] = ()
    """Of these studies; none: all of them."""
    cohort: str = ""
    """The cohort that the studies were those of, when the share was made."""
    label: str = field(default="", repr=False)
    recipient: str = ""
    """A hash that says for whom it is: recorded, not enforced."""
    downloads: bool = True
    clinical: Extent = Extent.NONE
    copies: tuple[str, ...] = ()
    """The de-identified copies of the studies, in their order (SHR-7); none: the studies themselves are shared."""
    operation: str = ""
    """The operation that makes the copies."""
    complete: bool = True
    """Whether all copies have been made."""
    uses: int = 0
    last_use: float = 0.0

    @property
    def namespace(self) -> str:
        """Of the data partition."""
        return namespace_of(self.id)

    @property
    def deidentified(self) -> bool:
        """Whether copies that name nobody are shared, and not the studies themselves."""
        return bool(self.operation)

    @property
    def copy_namespace(self) -> str:
        """The hidden namespace of the copies."""
        return copy_namespace(self.id)

    def confinement(self, present: Collection[str] = ()) -> Confinement:
        """The studies that the bearer of the token may see. `present`: of copies, those whose originals are there."""
        key = hmac.digest(self.digest, _KEY_OF_NAMES, hashlib.sha256)
        if self.deidentified:
            return Confinement(
                self.id,
                self.partition,
                frozenset(present),
                downloads=self.downloads,
                key=key,
                namespace=self.copy_namespace,
                complete=self.complete,
            )
        studies = None if self.studies is None else frozenset(self.studies)
        return Confinement(self.id, self.partition, studies, frozenset(self.series), self.downloads, key)


def new_token(namespace: str) -> NewToken:
    """The id and token of a new share of a data partition."""
    share_id = f"{namespace}_{secrets.token_urlsafe(_ID_BYTES)}"
    return NewToken(share_id, f"{_PREFIX}{share_id}{secrets.token_urlsafe(_SECRET_BYTES)}")


def digest_of(token: str) -> bytes:
    """The digest of a token, as it is stored."""
    return hashlib.sha256(token.encode()).digest()


def is_share_token(text: str) -> bool:
    """Whether a bearer token says that it is one of a share."""
    return text.startswith(_PREFIX)


def read_token(text: str) -> ReadToken | None:
    """A token of a share; None if it is none, or not a whole one."""
    found = _TOKEN.fullmatch(text)
    return ReadToken(found[1], digest_of(text)) if found else None


def is_share_id(text: str) -> bool:
    """Whether `text` has the form of an id."""
    return _ID.fullmatch(text) is not None


def copy_namespace(share_id: str) -> str:
    """The hidden namespace of the de-identified copies of a share."""
    return hidden_namespace(f"share {share_id}")


def namespace_of(share_id: str) -> str:
    """The namespace of the data partition that a share belongs to."""
    return share_id.partition("_")[0]
