"""The bulk values of a store request, kept until the files that they belong to are composed (STOW-16).

They come in any order and of any size, so they wait on disk, in a file without a name that is gone with the request.
"""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from shared.dicom.media_types import OCTET_STREAM
from shared.dicom.part10.composer import BulkPart, CannotCompose, Reference
from shared.dicom.reasons import FailureReason
from shared.errors import TooLarge, Unavailable

_HELD: Final = 4 * 1024**2
"""Bytes that wait in memory before the file is used."""
_PIECE: Final = 1024**2
_FREE: Final = 64 * 1024**2
"""Bytes that files may take from the parts of a request whatever their number is: a profile of colours is shared."""
_TIMES: Final = 4
"""Beyond those, the bytes that files may take for each one that was sent: else a request of some megabytes would store
terabytes.
"""
_HEAD, _TAIL = 4, 8


class BulkSpool:
    """Parts by location. `begin`, `write` and `end` for each; then `find` and `read`."""

    def __init__(self, max_part_bytes: int) -> None:
        self._max = max_part_bytes
        self._file = tempfile.SpooledTemporaryFile(max_size=_HELD)  # noqa: SIM115 - closed by __exit__
        self._on_disk = False
        self._places: dict[str, list[tuple[int, BulkPart]]] = {}
        self._location = ""
        self._labels = OCTET_STREAM, ""
        self._start = self._end = self._claimed = 0
        self._head = self._tail = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def begin(self, location: str, media_type: str = OCTET_STREAM, transfer_syntax_uid: str = "") -> None:
        """A part begins."""
        self._location = location
        self._labels = media_type, transfer_syntax_uid
        self._start = self._end
        self._head = self._tail = b""

    async def write(self, data: bytes) -> None:
        """The next bytes of the part. Raises TooLarge, and Unavailable when the disk is full."""
        self._end += len(data)
        if self._end - self._start > self._max:
            raise TooLarge(f"A bulk value of the request is larger than {self._max} bytes.", where="request body")
        if len(self._head) < _HEAD:
            self._head = (self._head + data)[:_HEAD]
        self._tail = (self._tail + data[-_TAIL:])[-_TAIL:]
        self._on_disk = self._on_disk or self._end > _HELD
        try:
            if self._on_disk:
                await asyncio.to_thread(self._file.write, data)
            else:
                self._file.write(data)
        except OSError:
            raise Unavailable("Temporary storage is full: the bulk values of the request cannot be held.") from None

    def end(self) -> None:
        """The part is complete."""
        part = BulkPart(self._end - self._start, self._head, self._tail, *self._labels)
        self._places.setdefault(self._location, []).append((self._start, part))

    def find(self, location: str) -> list[BulkPart]:
        """The parts with this location, in the order in which they came."""
        return [part for _, part in self._places.get(location, ())]

    def claim(self, references: Iterable[Reference]) -> None:
        """Count the bytes that a file takes from the parts. Raises CannotCompose for too many."""
        wanted = self._claimed + sum(self._places[each.uri][each.number][1].length for each in references)
        if wanted > max(_FREE, _TIMES * self._end):
            raise CannotCompose(
                "The metadata refer to the bulk values of the request too often.", FailureReason.OUT_OF_RESOURCES
            )
        self._claimed = wanted

    def peek(self, location: str, number: int, offset: int, length: int) -> bytes:
        """Some bytes of a part; fewer where it ends."""
        position, part = self._places[location][number]
        return self._read(position + offset, max(min(length, part.length - offset), 0))

    def narrow(self, location: str, number: int, start: int) -> None:
        """The part begins `start` bytes later: what comes before is no part of the value."""
        position, part = self._places[location][number]
        head = self._read(position + start, _HEAD)
        narrowed = replace(part, length=part.length - start, head=head)
        self._places[location][number] = position + start, narrowed

    async def read(self, reference: Reference) -> AsyncGenerator[bytes]:
        """The bytes of a part that `find` has shown."""
        position, part = self._places[reference.uri][reference.number]
        left = part.length
        while left:
            piece = await asyncio.to_thread(self._read, position, min(left, _PIECE))
            if not piece:
                raise Unavailable("The bulk values of the request are gone.")
            yield piece
            position += len(piece)
            left -= len(piece)

    def _read(self, position: int, length: int) -> bytes:
        self._file.seek(position)
        return self._file.read(length)
