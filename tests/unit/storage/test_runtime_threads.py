"""The threads of obstore's runtime, counted in a process of their own: it is started once."""

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[3]
_COUNTED = """
import asyncio
from pathlib import Path
from shared.storage.azure_blobs import AzureBlobStore
from shared.storage.connection import SharedKey

async def main():
    store = AzureBlobStore("http://127.0.0.1:9/account", "files", SharedKey("account", "a2V5"))
    reading = asyncio.create_task(store.read("name", 0, 1))
    seen = [0]
    while len(seen) < 4 or len(set(seen[-4:])) > 1 or not seen[-1]:
        await asyncio.sleep(0.25)
        names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
        seen.append(names.count("tokio-rt-worker"))
    reading.cancel()
    await asyncio.wait([reading])
    await store.close()
    print(seen[-1])

asyncio.run(main())
"""


def threads(**environment: str) -> int:
    environment = {name: value for name, value in os.environ.items() if name != "TOKIO_WORKER_THREADS"} | environment
    command = [sys.executable, "-c", _COUNTED]
    return int(subprocess.run(command, env=environment, cwd=_ROOT, check=True, capture_output=True).stdout)


def test_blobs_are_moved_by_one_thread_unless_the_environment_says_otherwise():
    one = threads()

    assert threads(TOKIO_WORKER_THREADS="1") == one
    assert threads(TOKIO_WORKER_THREADS="3") == one + 2
