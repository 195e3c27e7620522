"""Every adapter proves itself with a token, over TLS, to an emulator that checks it."""

import asyncio
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

CLIENT = '''
import asyncio, sys, time
import jwt
from azure.core.credentials import AccessToken
from shared.errors import DependencyRefused, Unavailable
from shared.storage.azure_blobs import AzureBlobStore
from shared.storage.azure_blobs_sdk import SdkBlobStore
from shared.storage.azure_queues import AzureQueueStore
from shared.storage.azure_tables import AzureTableStore
from shared.storage.connection import StorageConnection
from shared.storage.ports import RowWrite
from shared.wiring.stores import create_tables


class Tokens:
    """Tokens as the emulator wants them; it looks at the claims, not at the signature."""

    def __init__(self, audience):
        self.audience, self.asked = audience, []

    async def get_token(self, *scopes, **options):
        self.asked.append(scopes)
        now = int(time.time())
        claims = {"aud": self.audience, "iss": "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/",
                  "iat": now - 60, "nbf": now - 60, "exp": now + 3600}
        return AccessToken(jwt.encode(claims, "x" * 32, "HS256"), now + 3600)

    async def close(self):
        pass

    async def __aenter__(self):
        return self

    async def __aexit__(self, *failure):
        pass


def connection_of(tokens, ports):
    uris = [f"https://127.0.0.1:{port}/devstoreaccount1" for port in ports]
    return StorageConnection.from_uris(*uris, tokens)


def stores(tokens, ports):
    connection = connection_of(tokens, ports)
    return (
        AzureTableStore(connection.table_endpoint, connection.credential),
        AzureBlobStore(connection.blob_endpoint, "one", connection.credential),
        SdkBlobStore(connection.blob_endpoint, "two", connection.credential),
        AzureQueueStore(connection.queue_endpoint, connection.credential),
    )


async def main(blob, table, queue):
    tokens = Tokens("https://storage.azure.com")
    tables, *containers, queues = stores(tokens, (blob, table, queue))
    await create_tables(tables, connection_of(tokens, (blob, table, queue)))
    await tables.commit("conf", [RowWrite("insert", "p", "a", {"x": 1}), RowWrite("insert", "p", "b", {"x": 2})])
    assert [entity.properties["x"] for entity in await tables.range("conf", "p", "", "z")] == [1, 2]
    for container in containers:
        await container.ensure_container()
        await container.put("a/b", b"data", {"mode": "put"})
        assert await container.read("a/b", 1, 2) == b"at"
        assert (await container.properties("a/b")).metadata == {"mode": "put"}
        await container.close()
    await queues.ensure_queue("work")
    await queues.send("work", "text")
    await queues.close()
    await tables.close()
    assert set(tokens.asked) == {("https://storage.azure.com/.default",)}, tokens.asked
    assert len(tokens.asked) <= 6, tokens.asked

    wrong = stores(Tokens("https://elsewhere.example"), (blob, table, queue))
    for store in wrong:
        try:
            await store.ping()
        except DependencyRefused:
            pass
        else:
            raise AssertionError(type(store))
        await store.close()
    print("done")


asyncio.run(main(*sys.argv[1:]))
'''


async def test_tables_blobs_and_queues_take_a_token_and_refuse_a_wrong_one(
    token_ports: dict[str, str], certificate: tuple[Path, Path, Path]
) -> None:
    # A process of its own: what it trusts is read when it starts.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, token_ports["Blob"], token_ports["Table"], token_ports["Queue"],
        cwd=ROOT, env={**os.environ, "SSL_CERT_FILE": str(certificate[0])},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip  # read at once: one item a line says no more
    output, _ = await process.communicate()
    assert output.decode().strip() == "done", output.decode()
