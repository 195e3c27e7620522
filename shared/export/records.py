"""The records of an export beside its operation: identifiers and secret, from before it begins until it has ended.

Rows of `ops`: `exports` has one row for each export that something is kept for, written before anything else, so that
nothing is left over by a crash; `export!{operation id}` has the identifiers, a hundred in a row. Secrets are in the
secret store, under names made of the operation's id: the signature of the destination (XPT-28), and the key of a
de-identified export, which stays when the export has ended (DEID-8).
"""

from collections.abc import Callable, Sequence
from itertools import batched
from typing import Final

import orjson

from shared.deidentification.key import Key
from shared.errors import Unavailable
from shared.index_schema import keys
from shared.operations.store import Operations
from shared.storage.large_values import join, split
from shared.storage.optimistic import Rounds, best_effort_commit, commit_all
from shared.storage.ports import Entity, RowWrite, SecretStore, TableStore

_EXPORTS: Final = "exports"
_TOGETHER: Final = 100
"""Identifiers in a row, and rows in a transaction: 20 KB and 2 MB."""
_START_SECONDS: Final = 3600
"""An export whose operation does not exist after that time never will."""


class ExportRecords:
    """The rows and secrets of exports. `secrets` None: none can be kept. `now`: seconds since 1970."""

    def __init__(
        self, tables: TableStore, operations: Operations, secrets: SecretStore | None, now: Callable[[], float]
    ) -> None:
        self._tables = tables
        self._operations = operations
        self._secrets = secrets
        self._now = now

    async def keep(self, operation_id: str, identifiers: Sequence[str], signature: str, key: Key | None = None) -> None:
        """Keep what an export that is about to begin needs. Raises Unavailable, DependencyRefused."""
        secrets = {_signature_of(operation_id): signature, _key_of(operation_id): key.secret.hex() if key else ""}
        row = RowWrite("upsert", _EXPORTS, operation_id, {"created": self._now(), "secret": any(secrets.values())})
        await commit_all(self._tables, "ops", [row])
        rows = [
            RowWrite("upsert", _list_of(operation_id), f"{number:08}", split("d", orjson.dumps(chunk)))
            for number, chunk in enumerate(batched(identifiers, _TOGETHER, strict=False))
        ]
        await commit_all(self._tables, "ops", rows)
        for name, secret in secrets.items():
            if secret:
                await self._required().put(name, secret)

    async def identifiers(self, operation_id: str, number: int) -> list[str] | None:
        """The identifiers in the row of that number; None behind the last. Raises Unavailable."""
        row = await self._tables.get("ops", _list_of(operation_id), f"{number:08}")
        return None if row is None else list(orjson.loads(join("d", row.properties)))

    async def signature(self, operation_id: str) -> str | None:
        """The signature for the destination of an export; None if it is gone. Raises Unavailable, DependencyRefused."""
        return await self._required().get(_signature_of(operation_id))

    async def key(self, operation_id: str) -> Key | None:
        """The key of a de-identified export; None if it is gone. Raises Unavailable, DependencyRefused."""
        secret = await self._required().get(_key_of(operation_id))
        return None if secret is None else Key(bytes.fromhex(secret))

    async def lasting_key(self, name: str) -> Key:
        """The key of that name, which several exports share; made where there is none. Raises Unavailable,
        DependencyRefused.
        """
        secrets = self._required()
        if await secrets.get(_key_of(name)) is None:
            await secrets.put(_key_of(name), Key.new().secret.hex())
        kept = await secrets.get(_key_of(name))  # of two that make one at the same time both go on with the last
        if kept is None:
            raise Unavailable("The key is gone")
        return Key(bytes.fromhex(kept))

    @property
    def keeps_secrets(self) -> bool:
        """Whether there is a store of secrets."""
        return self._secrets is not None

    async def drop_key(self, name: str) -> None:
        """Destroy the key of that name, with the last of what was made under it. Raises Unavailable,
        DependencyRefused.
        """
        await self._required().delete(_key_of(name))

    async def forget(self, operation_id: str) -> None:
        """Remove all of it; idempotent. Raises Unavailable, DependencyRefused."""
        row = await self._tables.get("ops", _EXPORTS, operation_id)
        if row is not None:
            await self._forget(row, began=True)

    async def sweep(self) -> int:
        """Remove what is kept for exports that have ended, or never began; for how many. Raises Unavailable."""
        swept = 0
        for row in await self._tables.range("ops", _EXPORTS, "", keys.LAST):
            operation = await self._operations.get(row.row_key)
            old = self._now() - float(row.properties["created"]) > _START_SECONDS
            if old if operation is None else not operation.status.active:
                await self._forget(row, began=operation is not None)
                swept += 1
        return swept

    # ----------------------------------------------------------------------------------------------------- inside

    async def _forget(self, row: Entity, *, began: bool) -> None:
        """The secrets first, and last of all the row that leads to them. Of an export that has begun the key stays."""
        if row.properties["secret"]:
            await self._required().delete(_signature_of(row.row_key))
            if not began:
                await self._required().delete(_key_of(row.row_key))
        rounds = Rounds("The identifiers of an export cannot be removed")
        partition = _list_of(row.row_key)
        while left := await self._tables.range("ops", partition, "", keys.LAST, select=("n",)):
            await rounds.next()
            for rows in batched(left, _TOGETHER, strict=False):
                gone = [RowWrite("delete", partition, each.row_key) for each in rows]
                await best_effort_commit(self._tables, "ops", gone)  # or somebody else removes them: reading tells
        await best_effort_commit(self._tables, "ops", [RowWrite("delete", _EXPORTS, row.row_key)])

    def _required(self) -> SecretStore:
        """Raises Unavailable where the store of secrets has been taken out of the settings."""
        if self._secrets is None:
            raise Unavailable("There is no store of secrets")
        return self._secrets


def _list_of(operation_id: str) -> str:
    return f"export!{operation_id}"


def _signature_of(operation_id: str) -> str:
    return f"export-{operation_id}"


def _key_of(operation_id: str) -> str:
    return f"deidentification-{operation_id}"
