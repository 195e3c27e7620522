"""The examples of a page of the documentation, as they stand there."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import requests

_DOCS = Path(__file__).parents[2] / "docs"
_STATUSES = "curl() { command curl -sS -o /dev/null -w '%{http_code} ' \"$@\"; }\n"
"""A shell function that prints the status of each answer instead of its body."""
DOCUMENTED_URL = "http://localhost:7071"


def examples(page: str, language: str) -> list[str]:
    """The examples in a language of a page, which is named by its path below `docs`."""
    found = re.findall(rf"^```{language}\n(.*?)^```", (_DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return found


async def statuses(script: str, url: str) -> list[int]:
    """The statuses of the requests of an example in sh, sent to a service at `url`."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", _STATUSES + script.replace(DOCUMENTED_URL, url), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return [int(status) for status in output.split()]


async def run(script: str, **known: object) -> dict[str, object]:
    """What an example in Python knows at its end; `known` at its beginning."""
    await asyncio.to_thread(exec, script, known)
    return known


@asynccontextmanager
async def chores(url: str) -> AsyncIterator[None]:
    """The timer of the service at `url`, each second: more often than the page's reader has to wait for it."""

    async def run_them() -> None:
        while True:
            trigger = f"{url}/admin/functions/housekeeping"
            await asyncio.to_thread(requests.post, trigger, json={"input": ""}, timeout=120)
            await asyncio.sleep(1)

    running = asyncio.create_task(run_them())
    try:
        yield
    finally:
        running.cancel()
