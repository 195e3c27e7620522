"""The names of data partitions, kept with the files: names of files hold a digest only (DAT-56)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import orjson

from shared.dicomweb.partitions import Partition
from shared.index_schema.service_documents import PARTITION_DOCUMENTS, partition_document
from shared.storage.ports import BlobExists, BlobStore


async def keep(blobs: BlobStore, partition: Partition) -> None:
    """Write the document of a data partition, which never changes. Idempotent. Raises Unavailable."""
    created = int(partition.created.timestamp() * 1000)
    document = orjson.dumps({"key": partition.key, "name": partition.name, "created": created})
    try:
        await blobs.put(partition_document(partition.namespace), document, {})
    except BlobExists:
        return


async def names(blobs: BlobStore) -> AsyncIterator[str]:
    """The namespaces of the data partitions that have a document. Raises Unavailable."""
    async for blob in blobs.list(PARTITION_DOCUMENTS):
        yield blob.name.removeprefix(PARTITION_DOCUMENTS).removesuffix(".json")


async def kept(blobs: BlobStore) -> AsyncIterator[Partition]:
    """The data partitions that have a document. Raises Unavailable."""
    async for namespace in names(blobs):
        said = orjson.loads(await blobs.read(partition_document(namespace)))
        yield Partition(said["key"], said["name"], namespace, datetime.fromtimestamp(said["created"] / 1000, UTC))
