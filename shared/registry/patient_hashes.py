"""The names of patients in audit records: a keyed hash, which says nothing without the key of the store (PHI-13)."""

import hmac
import secrets
from typing import Final

from shared.storage.optimistic import Cursor, Rounds
from shared.storage.ports import TableStore

_ROW: Final = ("cfg", "patienthashes")
_KEY_BYTES: Final = 32


class PatientHashes:
    """The hashes of one store, whose key is made when it is first needed and kept in `conf`."""

    def __init__(self, tables: TableStore) -> None:
        self._row = Cursor(tables, *_ROW)
        self._key = b""

    async def of(self, namespace: str, identifier: str, issuer: str) -> str:
        """The hash of a patient of a data partition, 32 hex digits. Raises Unavailable."""
        rounds = Rounds("The key of the hashes cannot be made")
        while not self._key:
            await rounds.next()
            if stored := await self._row.read():
                self._key = bytes.fromhex(str(stored[0]["key"]))
            else:
                await self._row.begin({"key": secrets.token_hex(_KEY_BYTES)})
        text = f"{namespace}\0{identifier}\0{issuer}"
        return hmac.digest(self._key, text.encode(), "sha256").hex()[:32]
