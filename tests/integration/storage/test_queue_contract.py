"""What every QueueStore does, and what a reader of the real queue finds."""

from collections.abc import AsyncIterator

import pytest
from azure.storage.queue import TextBase64DecodePolicy
from azure.storage.queue.aio import QueueClient

from shared.errors import DependencyRefused
from shared.storage.azure_queues import AzureQueueStore
from shared.storage.connection import SharedKey, StorageConnection
from shared.storage.ports import QueueNotFound
from tests.fakes.queues import MemoryQueueStore


@pytest.fixture(params=["memory", "azure"])
async def queues(
    request: pytest.FixtureRequest, connection: StorageConnection
) -> AsyncIterator[AzureQueueStore | MemoryQueueStore]:
    store = (
        MemoryQueueStore()
        if request.param == "memory"
        else AzureQueueStore(connection.queue_endpoint, connection.credential)
    )
    yield store
    await store.close()


async def test_a_message_can_be_sent_once_the_queue_is_there(
    queues: AzureQueueStore | MemoryQueueStore, prefix: str
) -> None:
    await queues.ensure_queue(prefix)
    await queues.ensure_queue(prefix)
    await queues.send(prefix, "é" * 24 * 1024)
    await queues.send(prefix, "later", delay_seconds=3600)
    await queues.ping()
    assert await queues.length(prefix) == 2
    for size, delay in ((48 * 1024 + 1, 0), (1, -1), (1, 7 * 24 * 3600 + 1)):
        with pytest.raises(ValueError):
            await queues.send(prefix, "x" * size, delay_seconds=delay)


async def test_a_queue_that_is_not_there_says_so(queues: AzureQueueStore | MemoryQueueStore, prefix: str) -> None:
    with pytest.raises(QueueNotFound):
        await queues.send(prefix, "text")
    with pytest.raises(QueueNotFound):
        await queues.length(prefix)


async def test_a_reader_gets_the_text_unless_it_is_delayed(connection: StorageConnection, prefix: str) -> None:
    store = AzureQueueStore(connection.queue_endpoint, connection.credential)
    await store.ensure_queue(prefix)
    await store.send(prefix, 'later {"a": 1}', delay_seconds=3600)
    await store.send(prefix, 'now {"é": "<&>"}')
    await store.close()
    key = connection.credential
    assert isinstance(key, SharedKey)
    async with QueueClient(
        connection.queue_endpoint,
        prefix,
        credential={"account_name": key.account, "account_key": key.key},
        message_decode_policy=TextBase64DecodePolicy(),
    ) as client:
        assert [message.content async for message in client.receive_messages()] == ['now {"é": "<&>"}']


async def test_failures_are_told_in_our_words(connection: StorageConnection, prefix: str) -> None:
    refused = AzureQueueStore(connection.queue_endpoint, SharedKey("devstoreaccount1", "AAAA"))
    for request in (refused.ping(), refused.send(prefix, "text"), refused.ensure_queue(prefix)):
        with pytest.raises(DependencyRefused):
            await request
    await refused.close()
