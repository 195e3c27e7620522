"""A page in a real browser, driven from Python."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
CACHE = _ROOT / ".cache/browser"
_ANSWER_LIMIT = 1 << 26
_CALL_SECONDS = 150


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request of the page, and its answer. Names of header fields are in lower case."""

    method: str
    url: str
    status: int | None
    failure: str | None
    sent: dict[str, str]
    received: dict[str, str]


class PageFailed(Exception):
    """The browser could not do what was asked; the text is its own."""


class Page:
    """The one page of a browser. Selectors are CSS or Playwright's."""

    def __init__(self, driver: asyncio.subprocess.Process) -> None:
        self._driver = driver
        self._calls = 0

    async def __call__(self, call: str, *values: Any) -> Any:
        """One of the calls of driver.mjs. Raises PageFailed."""
        assert self._driver.stdin
        assert self._driver.stdout
        self._calls += 1
        number = self._calls
        sent = {"number": number, "call": call, "arguments": values}
        self._driver.stdin.write(json.dumps(sent).encode() + b"\n")
        answer: dict[str, Any] = {}
        # Somebody who did not wait for an answer has left it here, and it is nobody else's.
        async with asyncio.timeout(_CALL_SECONDS):
            while answer.get("number") != number:
                line = await self._driver.stdout.readline()
                answer = json.loads(line) if line else {"number": number, "error": "the browser's driver has ended"}
        if "error" in answer:
            raise PageFailed(f"{call} {values}: {answer['error']}")
        return answer["value"]

    async def picture(self, selector: str | None = None) -> bytes:
        """A PNG of an element, or of all that is visible."""
        return base64.b64decode(await self("picture", selector))

    async def exchanges(self, origin: str) -> list[Exchange]:
        """What the page has exchanged with an origin since it was opened."""
        return [Exchange(**one) for one in await self("exchanges") if one["url"].startswith(origin)]


@asynccontextmanager
async def running_browser() -> AsyncIterator[Page]:
    """Chromium without a window, as `make browser` has set it up."""
    if not (CACHE / "chromium").exists():
        raise RuntimeError("the browser is not set up: run these tests with `make browser`")
    executable = (CACHE / "chromium").read_text().strip()
    driver = await asyncio.create_subprocess_exec(
        "node",
        str(Path(__file__).with_name("driver.mjs")),
        str(CACHE),
        executable,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_ANSWER_LIMIT,
    )
    try:
        yield Page(driver)
    finally:
        assert driver.stdin
        driver.stdin.close()
        await driver.wait()
