"""The app as a deployment runs it: no key, one identity, and nothing left open by its start."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import jwt
import pytest
from aiohttp import web

ROOT = Path(__file__).parents[3]
CLIENT_ID = "11111111-2222-3333-4444-555555555555"
STORAGE = "https://storage.azure.com"

PROGRAM = """
import asyncio, gc, logging, os, sys, warnings

logging.basicConfig(level="INFO", stream=sys.stdout)
logging.getLogger("azure").setLevel("WARNING")
warnings.simplefilter("always", ResourceWarning)
from shared.settings import Settings
from shared.storage.ports import RowWrite
from shared.wiring import app, core, stores

settings = Settings.from_environment(os.environ)
app.check_store(settings)
gc.collect()
print("started", flush=True)


async def main():
    parts = core.core(settings)
    inbox = stores.import_stores(settings, parts.identity)
    await parts.base.blobs.put("000/0/1.2/a", b"data", {})
    await parts.base.tables.commit("conf", [RowWrite("insert", "identity", "a", {"x": 1})])
    await inbox.queues.send(settings.import_queue, "text")
    await asyncio.gather(*(parts.base.blobs.read("000/0/1.2/a") for _ in range(20)))
    await asyncio.gather(*(parts.base.tables.get("conf", "identity", "a") for _ in range(20)))
    assert stores.storage_connection(settings, parts.identity).credential is parts.base.connection.credential
    await parts.base.close()
    await inbox.close()
    await parts.identity.close()


asyncio.run(main())
gc.collect()
print("ended", flush=True)
"""


class IdentityEndpoint:
    """The identity endpoint of a Functions app: what it was asked for, and tokens as the emulator wants them."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        if request.headers.get("X-IDENTITY-HEADER") != "secret":
            return web.Response(status=401)
        resource, now = request.query["resource"], int(time.time())
        self.asked.append((resource, request.query["client_id"]))
        claims = {
            "aud": resource,
            "iss": "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/",
            "iat": now - 60,
            "nbf": now - 60,
            "exp": now + 3600,
        }
        token = jwt.encode(claims, "x" * 32, "HS256")
        lasts = {"expires_on": str(now + 3600), "token_type": "Bearer", "resource": resource}
        return web.json_response({"access_token": token, **lasts})


@pytest.fixture
async def endpoint() -> AsyncIterator[IdentityEndpoint]:
    serving, app = IdentityEndpoint(), web.Application()
    app.router.add_get("/token", serving.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        serving.url = f"http://127.0.0.1:{runner.addresses[0][1]}/token"
        yield serving
    finally:
        await runner.cleanup()


async def test_a_process_asks_for_one_token_and_its_start_leaves_nothing_open(
    endpoint: IdentityEndpoint, token_ports: dict[str, str], certificate: tuple[Path, Path, Path]
) -> None:
    account = {
        f"DicomStorage__{service.lower()}ServiceUri": f"https://127.0.0.1:{token_ports[service]}/devstoreaccount1/"
        for service in ("Blob", "Table", "Queue")
    }
    environment = {
        "DicomStorage__clientId": CLIENT_ID,
        "IDENTITY_ENDPOINT": endpoint.url,
        "IDENTITY_HEADER": "secret",
        "AUTHENTICATION_MODE": "off",
        "BULK_IMPORT_ENABLED": "true",
        "DICOM_CONTAINER": "identity",
        "SSL_CERT_FILE": str(certificate[0]),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, cwd=ROOT, env={**os.environ, **account, **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip  # read at once: one item a line says no more
    output = (await process.communicate())[0].decode()
    start, _, rest = output.partition("started\n")

    assert rest.endswith("ended\n"), output
    assert "ERROR" not in output, output
    assert "not-reached" not in start, start
    assert "nclosed" not in output, output
    # One credential of the preparation, on a loop of its own, and one of the process.
    assert endpoint.asked == [(STORAGE, CLIENT_ID)] * 2
