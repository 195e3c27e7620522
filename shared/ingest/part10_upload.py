"""Takes in one Part 10 file while it arrives: reads its header, clears its preamble, passes its bytes on to a blob.

Memory is bounded whatever the size of the file: bytes are held back only until the UIDs are known, which the name of
the blob needs, and a first stretch of the file for the second opinion on one that the reader refuses.
"""

from collections.abc import Callable
from typing import Final

from shared import telemetry
from shared.dicom.identifiers import InstanceIdentifier, is_uid
from shared.dicom.part10.bare_data_set import OPENING_BYTES
from shared.dicom.part10.file_reader import InvalidPart10, Part10, Part10Reader, bare_references
from shared.errors import TooLarge, Unavailable
from shared.ingest import parsing
from shared.ingest.instance_validation import KEPT_TEXT
from shared.memory_budget import Lease
from shared.storage.ports import BlobUpload

_PREAMBLE_BYTES: Final = 128
_MAGIC: Final = b"DICM"
_OPENING_BYTES: Final = _PREAMBLE_BYTES + len(_MAGIC)

HELD_BYTES: Final = 16 * 1024**2
"""Bytes that are kept of a file that reads well, in case that it reads badly later on."""
HELD_BYTES_UNREADABLE: Final = 64 * 1024**2
"""Bytes that are kept of a file that the reader has refused, or whose UIDs are not known yet."""

type OpenUpload = Callable[[InstanceIdentifier], tuple[str, BlobUpload]]
"""Names the blob of an instance and starts its upload."""


class Part10Upload:
    """One file on its way in. `write` its bytes, then `finish`; `abort` at any time.

    Nothing becomes visible: the upload, if there is one, is committed by whoever takes it.
    """

    def __init__(self, open_upload: OpenUpload, *, strict: bool, max_bytes: int, clear_preamble: bool) -> None:
        self.length = 0
        """Bytes received so far."""
        self.fault: InvalidPart10 | None = None
        """The fault of the file, once it has been refused."""
        self.references: tuple[str | None, str | None] = (None, None)
        """Its SOP class and instance, as far as a file that is refused says them (STOW-37)."""
        self._open_upload = open_upload
        self._max_bytes = max_bytes
        self._clear_preamble = clear_preamble
        self._head: bytes | None = b""
        """The beginning, until it shows what it is; then None."""
        self._reader: Part10Reader | None = Part10Reader(strict=strict, keep_text=KEPT_TEXT)
        self._strict = strict
        self._held: list[bytes] | None = []
        self._named: InstanceIdentifier | None = None
        self._blob = ""
        self._upload: BlobUpload | None = None
        self._arriving, self._holding, self._odd = (
            Lease(budget) for budget in (parsing.ARRIVING, parsing.HELD, parsing.ODD)
        )

    @property
    def hopeless(self) -> bool:
        """Whether the file will be refused, whatever follows: there is no use in receiving the rest."""
        return self._reader is None and self._held is None

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes. Waits while the store is slower than the sender. Raises TooLarge, Unavailable."""
        self.length += len(chunk)
        if self.length > self._max_bytes:
            raise TooLarge(f"An instance of the request is larger than {self._max_bytes} bytes.", where="request body")
        if self._head is None:
            await self._take(chunk)
            return
        self._head = self._head + chunk if self._head else chunk
        if len(self._head) >= _OPENING_BYTES:
            await self._take(self._opening())

    async def finish(self) -> Part10 | None:
        """The file is complete: what it holds, or None if it is not a readable Part 10 file. Raises Unavailable.

        The memory that it takes counts as taken until `abort`.
        """
        if self._head is not None:
            await self._take(self._opening())
        part10: Part10 | None = None
        if self._reader is not None:
            try:
                part10 = await parsing.finish(self._reader)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the reader, the others must not fail
                await self._refuse(error)
        if part10 is None and self._held is not None and self.length > _OPENING_BYTES:
            try:
                part10 = await parsing.read_tolerantly(self._held, self._odd, strict=self._strict)
            except InvalidPart10 as error:
                self.fault = _bare(error)
        if part10 is None:
            await self.abort()
        return part10

    async def take_upload(self, identifier: InstanceIdentifier) -> tuple[str, BlobUpload] | None:
        """The blob's name and its upload, all bytes written but not committed; the caller answers for it from now on.

        None if the file turned out to be another instance than its beginning said, and is too large to begin again.
        """
        if self._named != identifier:
            await self._drop_upload()
            if self._held is None:
                return None
            await self._begin_upload(identifier)
        upload, self._upload, self._held = self._upload, None, None
        return (self._blob, upload) if upload is not None else None

    async def abort(self) -> None:
        """Forget the file. Safe to call twice, and after `take_upload`."""
        self._held = None
        await self._discard_reader()
        for lease in (self._arriving, self._holding, self._odd):
            lease.shrink()
        await self._drop_upload()

    def _opening(self) -> bytes:
        """The beginning of the file, without what a preamble may hide (P-6)."""
        head, self._head = self._head or b"", None
        if self._clear_preamble and head[_PREAMBLE_BYTES:_OPENING_BYTES] == _MAGIC and any(head[:_PREAMBLE_BYTES]):
            return bytes(_PREAMBLE_BYTES) + head[_PREAMBLE_BYTES:]
        return head

    async def _take(self, chunk: bytes) -> None:
        if self._reader is not None:
            try:
                await parsing.feed(self._reader, chunk, self._arriving)
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 - as above
                await self._refuse(error, chunk)
        if self._held is not None:
            self._held.append(chunk)
        if self._upload is not None:
            await self._upload.write(chunk)
        elif self._named is None and self._reader is not None and self._reader.identifier is not None:
            await self._begin_upload(self._reader.identifier)
        readable = self._named is not None and self._reader is not None
        if self.length > (HELD_BYTES if readable else HELD_BYTES_UNREADABLE):
            self._held = None
            self._holding.shrink()
        elif self.length > HELD_BYTES and self._held is not None:
            await self._holding.grow(HELD_BYTES_UNREADABLE - HELD_BYTES)
        if self._held is None and not readable:
            await self.abort()  # it will be refused: there is no use in writing the rest

    async def _refuse(self, error: Exception, chunk: bytes = b"") -> None:
        """The reader has given the file up at `chunk`. What it holds is of no more use if nobody else could read it."""
        if self._reader is not None:
            self.references = self._reader.references
        if self.references == (None, None):
            self.references = bare_references(b"".join((*(self._held or ())[:1], chunk))[:OPENING_BYTES])
        await self._discard_reader()
        if isinstance(error, InvalidPart10):
            self.fault = _bare(error)
            if error.final:
                self._held = None
                self._holding.shrink()
        else:
            telemetry.failure("reader-failed", error)

    async def _discard_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await parsing.discard(reader)
        self._arriving.shrink()

    async def _begin_upload(self, identifier: InstanceIdentifier) -> None:
        self._named = identifier
        uids = (identifier.study_instance_uid, identifier.series_instance_uid, identifier.sop_instance_uid)
        if not all(map(is_uid, uids)):
            return  # It will be refused: its UIDs can name no blob.
        self._blob, self._upload = self._open_upload(identifier)
        for piece in self._held or ():
            await self._upload.write(piece)

    async def _drop_upload(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            await upload.abort()


def _bare(error: InvalidPart10) -> InvalidPart10:
    """The fault without its traceback, which holds on to all that was being read."""
    error.__context__ = error.__cause__ = None
    return error.with_traceback(None)
