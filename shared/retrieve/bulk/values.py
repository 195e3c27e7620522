"""Retrieve Bulk Data (PS3.18 §10.4.1.1.5): values of an instance by their paths, each a range of its file (BULK-1).

The metadata document says which values there are; a walk over the headers of the file, a few bounded reads, says
where they are. Of a deflated file, which has no ranges, and of one of odd structure, the whole is read: their size is
limited.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from shared.dicom.attributes import Attributes
from shared.dicom.errors import DamagedPixelData
from shared.dicom.part10.bulk_data import (
    BULK_VRS,
    BulkValue,
    Walk,
    element_at,
    find_values,
    may_be_addressed,
)
from shared.dicom.part10.byte_order import swapped
from shared.dicom.part10.encoding import Coding
from shared.dicom.part10.file_meta import FileMeta
from shared.dicom.part10.file_reader import InvalidPart10
from shared.dicom.part10.tolerant_reader import locate
from shared.errors import NotAcceptable, NotFound
from shared.retrieve.deflated import inflated_data_set
from shared.retrieve.frames.frame_bytes import FragmentJoiner
from shared.retrieve.snapshot import Snapshot

_SMALL: Final = 1024 * 1024
"""Values up to this many bytes are read in one request, larger ones streamed."""
_FIRST_WINDOW: Final = 64 * 1024
_LARGEST_WINDOW: Final = 1024 * 1024
_MOST_WINDOWS: Final = 512

NO_VALUE: Final = "The instance has no bulk data at this path."


@dataclass(frozen=True, slots=True)
class LocatedValue:
    """A value that has been found."""

    path: str
    snapshot: Snapshot
    place: BulkValue
    made: bytes | None = None
    """The bytes that `place` counts in, made of the file; None: the file itself."""

    @property
    def size(self) -> int:
        """Bytes of the value as it is sent."""
        return self.place.size

    async def read(self, start: int = 0, end: int | None = None) -> bytes | AsyncIterator[bytes]:
        """The bytes [start, end) of a value in little endian (BULK-2), a large one as a stream that must be closed.

        Raises BlobNotFound; the stream raises DamagedPixelData.
        """
        end = self.size if end is None else end
        chunks = await _opened(self, start, end)
        return b"".join([chunk async for chunk in chunks]) if end - start <= _SMALL else chunks


async def find_value(snapshot: Snapshot, path: str) -> LocatedValue:
    """The value at `path`. Raises NotFound, DamagedPixelData, NotAcceptable, BlobNotFound."""
    attributes = await snapshot.attributes()
    element = element_at(attributes, path)
    if element is not None and names_value(attributes, path):
        found = (await find_all_values(snapshot, [path])).get(path)
        if found is not None and may_be_addressed(element["vr"], found.size):
            return found
    raise NotFound(NO_VALUE)


async def find_all_values(snapshot: Snapshot, paths: Iterable[str]) -> dict[str, LocatedValue]:
    """Where the values at `paths` are, in the order of the file; without those that the file does not have.

    Raises DamagedPixelData, NotAcceptable, BlobNotFound.
    """
    paths = list(paths)
    if not paths:
        return {}
    meta = FileMeta()
    meta.transfer_syntax_uid = snapshot.syntax
    if meta.deflated:
        data_set, places = await snapshot.using_whole(lambda data: _in_deflated(data, paths, meta))
        return {path: LocatedValue(path, snapshot, place, data_set) for path, place in places.items()}
    try:
        found = await _walk(snapshot, paths, meta)
    except InvalidPart10:
        found = {}
    located = {path: LocatedValue(path, snapshot, place) for path, place in found.items()}
    if missing := [path for path in paths if path not in found]:
        places = await snapshot.using_whole(lambda data: _in_odd(data, missing))
        located |= {path: LocatedValue(path, snapshot, place) for path, place in places.items()}
    return located


def _in_odd(data: bytes, paths: list[str], coding: Coding | None = None) -> dict[str, BulkValue]:
    try:
        return locate(data, paths, coding=coding)
    except InvalidPart10:
        raise DamagedPixelData from None


def _in_deflated(data: bytes, paths: list[str], meta: FileMeta) -> tuple[bytes, dict[str, BulkValue]]:
    data_set = inflated_data_set(data)
    try:
        found = _walked(find_values(paths, meta.coding, len(data_set), start=0), data_set)
    except InvalidPart10:
        found = {}
    missing = [path for path in paths if path not in found]
    return data_set, found | _in_odd(data_set, missing, meta.coding) if missing else found


async def _walk(snapshot: Snapshot, paths: list[str], meta: FileMeta) -> dict[str, BulkValue]:
    end = await _pixel_data_end(snapshot, paths)
    walk = find_values(paths, meta.coding, snapshot.length, pixel_data_end=end)
    window = _FIRST_WINDOW
    try:
        offset, need = next(walk)
        for _ in range(_MOST_WINDOWS):
            data = await snapshot.read(offset, max(need, window))
            window = min(2 * window, _LARGEST_WINDOW)
            offset, need = walk.send(data)
    except StopIteration as stop:
        found: dict[str, BulkValue] = stop.value
        return found
    walk.close()
    raise NotAcceptable("The bulk data of the instance are too far apart to be located.")


async def _pixel_data_end(snapshot: Snapshot, paths: list[str]) -> int | None:
    """Where the last fragment ends, if a value behind the pixel data may be asked for."""
    if all(path < "7FE00010" for path in paths):
        return None
    instance = snapshot.instance
    if instance.frames_in_blob:
        [(_, end)] = await snapshot.frame_ranges([instance.frames_in_blob - 1])
        return end
    return instance.frames.offsets[-1] if instance.frames is not None and instance.frames.encapsulated else None


async def _opened(value: LocatedValue, start: int, end: int) -> AsyncGenerator[bytes]:
    place = value.place
    if place.encapsulated and place.fragments == 1:  # one piece, after the header of its item
        place = BulkValue(place.offset + 8, place.size)
    if place.encapsulated:
        low, length = place.offset, place.length
    else:
        low = place.offset + start // place.word * place.word
        length = min(place.length, -(-end // place.word) * place.word) + place.offset - low
    skip = start if place.encapsulated else start % place.word
    if value.made is not None:
        source = _pieces(value.made, low, length)
    else:
        source = _streamed((await value.snapshot.open(low, length)).chunks(), length)
    if place.encapsulated:
        source = _without_item_headers(source)
    elif place.word > 1:
        source = _little_endian(source, place.word)
    return _cut(source, skip, end - start)


async def _pieces(data: bytes, start: int, length: int) -> AsyncGenerator[bytes]:
    view = memoryview(data)[start : start + length]
    for at in range(0, len(view), _SMALL):
        yield bytes(view[at : at + _SMALL])


async def _streamed(chunks: AsyncIterator[bytes], length: int) -> AsyncGenerator[bytes]:
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        yield chunk
    if received < length:
        raise DamagedPixelData


async def _without_item_headers(chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Fragments without the headers of their items."""
    joiner = FragmentJoiner()
    async with aclosing(chunks):
        async for chunk in chunks:
            for piece in joiner.feed(chunk):
                yield piece
    joiner.finish()


async def _little_endian(chunks: AsyncGenerator[bytes], size: int) -> AsyncGenerator[bytes]:
    """Words of `size` bytes with their bytes in the other order; what is left of an incomplete one as it is."""
    rest = b""
    async with aclosing(chunks):
        async for chunk in chunks:
            data = rest + chunk
            whole = len(data) - len(data) % size
            rest = data[whole:]
            if whole:
                yield swapped(memoryview(data)[:whole], size)
    if rest:
        yield rest


async def _cut(chunks: AsyncGenerator[bytes], skip: int, length: int) -> AsyncGenerator[bytes]:
    async with aclosing(chunks):
        async for chunk in chunks:
            piece = chunk[skip : skip + length]
            skip = max(0, skip - len(chunk))
            length -= len(piece)
            if piece:
                yield piece
            if not length:
                return


def names_value(attributes: Attributes, path: str) -> bool:
    """Whether the metadata know a value at `path` that may have an address of its own (BULK-1)."""
    element = element_at(attributes, path)
    if element is None:
        return False
    return "BulkDataURI" in element or (element["vr"] not in BULK_VRS and "Value" in element)


def _walked(walk: Walk[dict[str, BulkValue]], data: bytes) -> dict[str, BulkValue]:
    try:
        offset, need = next(walk)
        while True:
            offset, need = walk.send(data[offset : offset + max(need, _LARGEST_WINDOW)])
    except StopIteration as stop:
        found: dict[str, BulkValue] = stop.value
        return found
