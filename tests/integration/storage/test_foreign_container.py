"""A container of another account, and what lets its service read files of ours."""

import asyncio
import os
import stat

import pytest
from azure.core.credentials import AzureSasCredential

from shared.errors import Unavailable
from shared.storage.azure_blobs import AzureBlobStore
from shared.storage.azure_foreign_container import AzureForeignContainer
from shared.storage.azure_read_grants import ReadGrants
from shared.storage.ports import ContainerRefused
from shared.storage.secret_stores import SecretFiles

MIB = 1024**2


async def pieces(*chunks):
    for chunk in chunks:
        yield chunk


@pytest.fixture
async def store(connection, prefix):
    """The container itself, as its owner sees it."""
    blobs = AzureBlobStore(connection.blob_endpoint, prefix, connection.credential)
    await blobs.ensure_container()
    yield blobs
    await blobs.close()


@pytest.fixture
async def container(connection, prefix, store):
    foreign = AzureForeignContainer(f"{connection.blob_endpoint}/{prefix}", connection.credential)
    yield foreign
    await foreign.close()


@pytest.mark.parametrize("length", [0, 1, MIB, MIB + 1, 8 * MIB, 8 * MIB + 1, 21 * MIB + 5])
async def test_a_blob_of_any_length_is_written_and_overwritten(container, store, length):
    data = os.urandom(length)
    for content in (b"before" * 100, data):
        await container.write("a/b.dcm", pieces(content[: length // 3], content[length // 3 :]))

    assert await store.read("a/b.dcm") == data


async def test_a_blob_whose_content_fails_is_not_written(container, store):
    async def torn():
        yield b"x" * 9 * MIB
        raise Unavailable("torn")

    with pytest.raises(Unavailable):
        await container.write("a", torn())
    assert [blob.name async for blob in store.list()] == []


async def test_a_log_grows_and_begins_anew(container, store):
    await container.create_log("errors.log")
    await container.append("errors.log", b"a\n")
    await container.append("errors.log", b"b\n" * (3 * MIB))
    assert await store.read("errors.log") == b"a\n" + b"b\n" * (3 * MIB)

    await container.create_log("errors.log")
    assert await store.read("errors.log") == b""


@pytest.mark.spec("XPT-21")
async def test_the_service_copies_a_file_with_a_url_that_reads_it_alone(container, store, connection, prefix):
    await store.put("source/1.2.dcm", b"content", {"studyinstanceuid": "1.2"})
    grants = ReadGrants(connection.blob_endpoint, prefix, connection.credential)
    url = await grants.url("source/1.2.dcm")

    assert await container.copy("copy.dcm", url)
    await store.put("more", b"other", {})
    assert await store.read("copy.dcm") == b"content"
    assert (await store.properties("copy.dcm")).metadata == {"content": "dicom"}
    assert not await container.copy("none.dcm", await grants.url("absent"))
    reading = AzureForeignContainer(f"{connection.blob_endpoint}/{prefix}", AzureSasCredential(url.partition("?")[2]))
    with pytest.raises(ContainerRefused):
        await reading.create_log("errors.log")
    await reading.close()


@pytest.mark.spec("XPT-13", "XPT-27")
async def test_a_container_that_is_not_there_refuses_and_a_host_that_is_not_there_is_unavailable(connection, prefix):
    missing = AzureForeignContainer(f"{connection.blob_endpoint}/{prefix}none", connection.credential)
    with pytest.raises(ContainerRefused, match="404 ContainerNotFound"):
        await missing.write("a", pieces(b"x"))
    assert not await missing.copy("a", f"{connection.blob_endpoint}/{prefix}/absent")
    await missing.close()
    away = AzureForeignContainer(f"http://127.0.0.1:9/account/{prefix}", None)
    with pytest.raises(Unavailable, match="no answer"):
        await away.create_log("errors.log")
    await away.close()


@pytest.mark.spec("XPT-31")
async def test_a_redirect_is_not_followed(connection, prefix):
    asked = []

    async def redirect(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(
            b"HTTP/1.1 302 Found\r\nLocation: "
            + f"{connection.blob_endpoint}/{prefix}/a".encode()
            + b"\r\nContent-Length: 0\r\n\r\n"
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(redirect, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    container = AzureForeignContainer(f"http://127.0.0.1:{port}/account/{prefix}", None)
    with pytest.raises(ContainerRefused, match="302"):
        await container.create_log("errors.log")
    assert len(asked) == 1
    await container.close()
    server.close()


@pytest.mark.spec("XPT-28")
async def test_secrets_in_files_are_for_the_user_of_the_process_alone(tmp_path):
    secrets = SecretFiles(tmp_path / "secrets")
    assert await secrets.get("export-1") is None
    await secrets.put("export-1", "one")
    await secrets.put("export-1", "two")

    assert await secrets.get("export-1") == "two"
    [file] = (tmp_path / "secrets").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    for name in ("../x", "a/b", "", "A"):
        with pytest.raises(ValueError, match="name of a secret"):
            await secrets.put(name, "x")
    for _ in range(2):
        await secrets.delete("export-1")
    assert await secrets.get("export-1") is None
