"""`make smoke` against the service on this machine, with sign-in: all well; and what it says when something is not."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from aiohttp import web

from tests.conftest import FreshService

ROOT = Path(__file__).resolve().parents[3]
VIEWER = "https://viewer.example"


async def smoke(url: str, *options: str, **environment: str) -> tuple[int, str]:
    """The exit code and what was said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dicom_cli", "smoke", url, *options,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": "cli", **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip  # read at once: one item a line says no more
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


@pytest.mark.spec("CLI-3")
async def test_a_service_that_works_passes_every_check(fresh_service: FreshService) -> None:
    service = await fresh_service(
        {"CORS_ALLOWED_ORIGINS": VIEWER, "DATA_PARTITIONS_ENABLED": "true", "BULK_IMPORT_ENABLED": "true"},
        options=["--sign-in"],
    )
    tokens = {"TOKEN": service.tokens["owner"], "READER_TOKEN": service.tokens["reader"]}
    tokens["IMPORT_CONNECTION"] = service.connection_string

    code, said = await smoke(service.url, "--origin", VIEWER, "--partition", "smoke", **tokens)

    assert (code, said.splitlines()[-1]) == (0, "all well"), said
    assert said.count("\nok ") == 13  # and the first line
    assert "import" in said
    assert not any(token in said for token in tokens.values())


async def test_a_reader_who_may_store_and_an_origin_that_is_not_admitted_are_named(fresh_service: FreshService) -> None:
    service = await fresh_service(options=["--sign-in"])
    tokens = {"TOKEN": service.tokens["owner"], "READER_TOKEN": service.tokens["writer"]}

    code, said = await smoke(service.url, "--origin", VIEWER, **tokens)

    assert code == 1, said
    assert "READER_TOKEN may store" in said
    assert "name it in CORS_ALLOWED_ORIGINS" in said or "remove its origins" in said


@pytest.mark.parametrize(
    ("status", "body"), [(503, "Function host is not running."), (200, "<html>Your Functions app is up</html>")]
)
async def test_an_app_that_did_not_load_is_told_at_once(status: int, body: str) -> None:
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(status=status, text=body)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        code, said = await smoke("http://{}:{}".format(*runner.addresses[0][:2]))
    finally:
        await runner.cleanup()

    assert code == 1
    assert "the app did not load" in said
