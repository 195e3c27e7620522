"""The adapters count what they ask of the services, and how much goes either way."""

import pytest

from shared.storage.azure_blobs import AzureBlobStore
from shared.storage.azure_blobs_sdk import SdkBlobStore
from shared.storage.azure_queues import AzureQueueStore
from shared.storage.azure_tables import AzureTableStore
from shared.storage.ports import RowWrite
from shared.telemetry import StorageUse, counting
from shared.wiring.stores import create_tables

MIB = 1024**2


@pytest.fixture(params=[AzureBlobStore, SdkBlobStore])
async def blobs(request, connection, prefix):
    store = request.param(connection.blob_endpoint, prefix, connection.credential)
    await store.ensure_container()
    yield store
    await store.close()


@pytest.fixture
def use():
    return StorageUse()


async def upload(blobs, name: str, size: int) -> None:
    writing = blobs.upload(name)
    for _ in range(size // MIB):
        await writing.write(bytes(MIB))
    await writing.commit({})


async def test_a_blob_in_one_request(blobs, use):
    with counting(use):
        await upload(blobs, "small", MIB)
    assert use == StorageUse(1, MIB, 0)


async def test_a_blob_in_blocks_counts_each_block_and_their_list(blobs, use):
    before = blobs.requests
    with counting(use):
        await upload(blobs, "large", 12 * MIB)
    assert use.requests == blobs.requests - before == 3 + 1
    assert 12 * MIB < use.bytes_sent < 12 * MIB + 2000


async def test_what_is_read_of_a_blob(blobs, use):
    await upload(blobs, "large", 12 * MIB)
    with counting(use):
        assert len(await blobs.read("large", 100, 1000)) == 1000
    assert use == StorageUse(1, 0, 1000)

    with counting(use):
        reader = await blobs.open("large")
        assert sum([len(chunk) async for chunk in reader.chunks()]) == 12 * MIB
    assert use.bytes_received == 1000 + 12 * MIB


async def test_properties_have_no_body(blobs, use):
    await upload(blobs, "small", MIB)
    with counting(use):
        await blobs.properties("small")
    assert use == StorageUse(1, 0, 0)


async def test_rows_of_a_table(connection, prefix, use):
    tables = AzureTableStore(connection.table_endpoint, connection.credential, prefix=prefix)
    try:
        await create_tables(tables, connection)
        before = tables.requests
        with counting(use):
            await tables.commit("conf", [RowWrite("insert", "p", "r", {"text": "x" * 10_000})])
        assert use.requests == tables.requests - before == 1
        assert 10_000 < use.bytes_sent < 10_200
        received = use.bytes_received
        with counting(use):
            await tables.get("conf", "p", "r")
        assert use.requests == 2
        assert 10_000 < use.bytes_received - received < 10_500
    finally:
        await tables.close()


async def test_a_message(connection, prefix, use):
    queues = AzureQueueStore(connection.queue_endpoint, connection.credential)
    try:
        await queues.ensure_queue(prefix)
        with counting(use):
            await queues.send(prefix, "x" * 1000)
        assert use.requests == 1
        assert use.bytes_sent > 1000
    finally:
        await queues.close()
