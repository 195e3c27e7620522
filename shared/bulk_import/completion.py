"""A file of the import container as it is stored: with the file meta information that it may lack (PS3.10 §7.1)."""

from collections.abc import AsyncIterator

from shared.dicom.part10.bare_data_set import OPENING_BYTES, completion
from shared.storage.ports import BlobReader


class CompletedFile:
    """A download, with what is missing put before it. A BlobReader."""

    def __init__(self, source: BlobReader, chunks: AsyncIterator[bytes], opening: bytes) -> None:
        found = completion(opening)
        self.added = "" if found is None else found.added
        """The bytes put before the file, in words; empty: none."""
        self._opening = opening if found is None else found.prefix + opening
        self._source = source
        self._chunks = chunks
        self._longer_by = len(self._opening) - len(opening)

    @classmethod
    async def of(cls, source: BlobReader) -> "CompletedFile":
        """Reads the beginning of `source`."""
        chunks = aiter(source.chunks())
        opening = b""
        while len(opening) < OPENING_BYTES:
            chunk = await anext(chunks, b"")
            if not chunk:
                break
            opening += chunk
        return cls(source, chunks, opening)

    @property
    def length(self) -> int:
        """Bytes that `chunks` will yield."""
        return self._source.length + self._longer_by

    @property
    def etag(self) -> str:
        """Of the file."""
        return self._source.etag

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes, a piece at a time, once."""
        if self._opening:
            yield self._opening
        async for chunk in self._chunks:
            yield chunk
