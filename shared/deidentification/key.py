"""PS3.15 §E.1.1 Pseudonyms under a secret key: of the same value under the same key the same one (DEID-3, DEID-4).

Without the key nobody can tell whether a pseudonym belongs to a value, nor link those of two keys.
"""

import base64
import hmac
import secrets
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Self

from shared.deidentification.tables import standard_uids
from shared.dicom.identifiers import trim_uid

KEY_BYTES: Final = 32
"""Length of a key: that of the digest."""
_MOST_DAYS: Final = 365


class Key:
    """The secret of one export or cohort. It never shows its bytes in a text."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        """Raises ValueError where `secret` is not of KEY_BYTES bytes."""
        if len(secret) != KEY_BYTES:
            raise ValueError("A key of de-identification has 32 bytes.")
        self._secret = secret

    @classmethod
    def new(cls) -> Self:
        """A key that nobody has had before."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @property
    def secret(self) -> bytes:
        """The bytes, for the secret store and nothing else."""
        return self._secret

    def uid(self, uid: str) -> str:
        """The UID that replaces `uid` (PS3.5 §B.2); what the standard has assigned stays, and so does an empty one."""
        uid = trim_uid(uid).strip(" ")
        if not uid or uid in standard_uids():
            return uid
        return f"2.25.{uuid.UUID(bytes=self._digest('uid', uid)[:16], version=4).int}"

    def subject(self, patient: str) -> str:
        """The PatientID that replaces the one of `patient`, 16 characters of digits and capitals."""
        return base64.b32encode(self._digest("subject", patient)[:10]).decode("ascii")

    def days(self, patient: str) -> int:
        """Days that the dates of `patient` are moved by: from 1 to 365, either way."""
        number = int.from_bytes(self._digest("days", patient)[:8])
        return (number // 2 % _MOST_DAYS + 1) * (1 if number % 2 else -1)

    def _digest(self, use: str, value: str) -> bytes:
        return hmac.digest(self._secret, f"{use}\0{value}".encode(), "sha256")


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """The key by which records beside files are disguised, so that they go with the files (DEID-10)."""

    key: Key
    days: Callable[[str], Awaitable[int | None]]
    """The days that the dates of the patient of a study, by its UID, are moved by in its files; None without files."""
