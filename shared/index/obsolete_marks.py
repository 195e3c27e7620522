"""Marks beside files: what keeps a rebuild of the index from bringing back the dead, or the unborn (DAT-52).

A mark is a small blob beside the file. The file itself is never written again: a mark in its metadata would change its
etag, make a version of it where the account keeps versions, and is refused in the archive tier.
"""

import orjson

from shared.index_schema import blob_names
from shared.index_schema.changes import ObsoleteBlob
from shared.storage.ports import BlobExists, BlobNotFound, BlobStore


async def mark(blobs: BlobStore, obsolete: ObsoleteBlob) -> None:
    """Mark a file. Idempotent. Raises Unavailable."""
    try:
        await blobs.put(blob_names.obsolete_mark(obsolete.blob), orjson.dumps(obsolete.fields()), {})
    except BlobExists:
        return  # of an earlier attempt: the first one knows best when the file became obsolete


async def mark_committed(blobs: BlobStore, blob: str) -> None:
    """Mark a file that an update has made, once it is the instance: its name does not tell, and files of an update that
    has not come to its end must not become instances in a rebuild. Idempotent. Raises Unavailable.
    """
    try:
        await blobs.put(blob_names.committed_mark(blob), b"{}", {})
    except BlobExists:
        return


async def marked(blobs: BlobStore, blob: str) -> ObsoleteBlob | None:
    """The content of the mark of a file; None if it has none. Raises Unavailable."""
    try:
        return ObsoleteBlob(*orjson.loads(await blobs.read(blob_names.obsolete_mark(blob))))
    except BlobNotFound:
        return None
