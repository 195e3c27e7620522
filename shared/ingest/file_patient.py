"""The attributes at the beginning of a file, up to the UIDs: enough to tell whose it is, without the rest of it."""

from collections.abc import AsyncIterator

from shared.dicom.attributes import Attributes
from shared.dicom.part10.file_reader import InvalidPart10, Part10Reader
from shared.ingest import parsing
from shared.memory_budget import Lease


async def beginning_of(chunks: AsyncIterator[bytes]) -> Attributes | None:
    """The outermost elements of a file from its first group to its patient and study, by tag; None if it cannot be read
    as far as that. Raises Unavailable, and what `chunks` raises.
    """
    reader, lease = Part10Reader(strict=False), Lease(parsing.ARRIVING)
    try:
        async for chunk in chunks:
            await parsing.feed(reader, chunk, lease)
            if reader.identifier is not None:
                break
    except InvalidPart10:
        pass  # odd files say whose they are before they become odd, or not at all
    finally:
        attributes = dict(reader.close())
        lease.shrink()
    return attributes if "0020000D" in attributes else None
