"""A process that runs operations; the only one there is counts. `python -m tests.integration.operations.counting`."""

import asyncio
import os
import time

from shared.operations.model import Document, OperationType
from shared.operations.runner import Runner
from shared.operations.store import Lease, Operations
from shared.storage.azure_tables import AzureTableStore
from shared.storage.connection import StorageConnection
from shared.storage.ports import RowWrite

STEPS = 20
SPREAD = 64
"""Of local.settings.sample.json, with which the tests run the service."""


def store(connection_string: str) -> AzureTableStore:
    """The tables of the service."""
    connection = StorageConnection.from_connection_string(connection_string)
    return AzureTableStore(connection.table_endpoint, connection.credential, spread=SPREAD)


async def run(connection_string: str, ahead: float) -> None:
    """Run what there is, in a process whose clock is so many seconds ahead: there, leases have run out earlier."""
    tables = store(connection_string)

    async def count(lease: Lease) -> Document:
        first = int(lease.operation.checkpoint.get("next", 0))
        for step in range(first, STEPS):
            row = RowWrite("insert", f"counted-{lease.operation.id}", f"{step:02}-{os.getpid()}", {})
            await tables.commit("conf", [row])
            await asyncio.sleep(0.1)
            await lease.checkpoint({"next": step + 1}, percent=100 * (step + 1) // STEPS)
        return {"steps": STEPS}

    await Runner(Operations(tables, lambda: time.time() + ahead), {OperationType.UPDATE: count}).run()
    await tables.close()


if __name__ == "__main__":
    asyncio.run(run(os.environ["STORAGE"], float(os.environ["AHEAD"])))
