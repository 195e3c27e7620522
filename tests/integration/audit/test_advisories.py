"""The look-up of advisories, against a service that answers as the public ones do, and against none."""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from scripts.audit import main

ROOT = Path(__file__).parents[3]
PINNED = re.findall(
    r"^([\w.-]+)==\S+ (?!.*sys_platform == 'win32')", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE
)
"""But those that other systems alone have."""
LOCKED = json.loads((ROOT / "devhost/azurite/npm/package-lock.json").read_text())["packages"]
VULNERABLE, ADVISORY = "pydicom", "GHSA-0000-0000-0001"


class Advisories:
    """Answers of api.osv.dev (`POST /v1/query`) and of an npm registry (`POST /-/npm/v1/security/advisories/bulk`)."""

    def __init__(self) -> None:
        self.url = ""
        self.known = False
        self.status = 200
        self.asked: list[str] = []
        self.npm_asked: set[str] = set()

    async def query(self, request: web.Request) -> web.Response:
        package = json.loads(await request.text())["package"]
        assert package["ecosystem"] == "PyPI"
        self.asked.append(package["name"])
        if self.status != 200:
            return web.json_response({"code": 13}, status=self.status)
        if not self.known or package["name"] != VULNERABLE:
            return web.json_response({})
        events = [{"introduced": "0"}, {"fixed": "999.0"}]
        affected = [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}]
        found = {"id": ADVISORY, "summary": "none in truth", "affected": affected, "schema_version": "1.6.0"}
        return web.json_response({"vulns": [found]})

    async def bulk(self, request: web.Request) -> web.Response:
        body = await request.read()
        body = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        self.npm_asked |= set(json.loads(body))
        if self.status != 200:
            return web.json_response({"error": "away"}, status=self.status)
        found = {"id": 1, "url": "https://example.org/1", "title": "none in truth", "severity": "high"}
        return web.json_response({"azurite": [{**found, "vulnerable_versions": "<999"}]} if self.known else {})

    def audit(self, *arguments: str) -> int:
        """The exit code of the audit."""
        return main(["--osv", f"{self.url}/v1/query", *arguments])


@pytest.fixture
async def advisories(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Advisories]:
    serving, app = Advisories(), web.Application(client_max_size=1 << 24)
    app.router.add_post("/v1/query", serving.query)
    app.router.add_post("/-/npm/v1/security/advisories/bulk", serving.bulk)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        serving.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        for name, value in {
            "npm_config_registry": serving.url,
            "npm_config_fetch_retries": "0",
            "npm_config_cache": str(tmp_path / "npm"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }.items():
            monkeypatch.setenv(name, value)
        yield serving
    finally:
        await runner.cleanup()


async def test_every_pinned_package_is_asked_about_and_an_advisory_fails(advisories, capsys):
    assert await asyncio.to_thread(advisories.audit) == 0
    assert set(advisories.asked) == {re.sub(r"[-_.]+", "-", name).lower() for name in PINNED}
    assert len(advisories.npm_asked) > 0.9 * len({name.rpartition("node_modules/")[2] for name in LOCKED if name})

    advisories.known = True
    assert await asyncio.to_thread(advisories.audit, "--where-reachable") == 1
    assert f"{VULNERABLE} " in (told := capsys.readouterr().out)
    assert f"{ADVISORY}, mended in 999.0" in told
    assert "azurite: high" in told


@pytest.mark.parametrize("status", [500, None], ids=["fails", "is away"])
async def test_an_audit_that_could_not_be_made_says_so_and_is_no_success(advisories, capsys, status):
    advisories.status = status or 200
    url = advisories.url if status else "http://127.0.0.1:1"
    advisories.url = url

    code = await asyncio.to_thread(advisories.audit)

    told = capsys.readouterr().out
    assert code == 2
    assert told.count("NOT RUN: advisories of ") == (2 if status else 1)
    assert "0 known vulnerabilities" not in told.partition("Azurite")[0]
