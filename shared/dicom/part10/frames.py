"""The places of the frames of an instance in its file (PS3.5 §8, §A.4; CON-4, FRM-7)."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

_ITEM = b"\xfe\xff\x00\xe0"
_CODESTREAM_STARTS = (b"\xff\xd8", b"\xff\x4f\xff\x51")  # SOI of JPEG and JPEG-LS; SOC and SIZ of JPEG 2000
_MAX_FRAMES = 1 << 22  # of a packed table


@dataclass(frozen=True, slots=True)
class FrameTable:
    """The byte ranges of the frames of one instance, in frame order.

    Native pixel data: frame n (from 0) is `bits` bits that start `bits * n` bits after byte `first`; a frame of 1-bit
    pixels need not start on a byte boundary. Encapsulated pixel data: frame n occupies the file's bytes
    [offsets[n], offsets[n + 1]), which include the item headers of its fragments.
    """

    count: int
    first: int = 0
    bits: int = 0
    offsets: tuple[int, ...] = ()

    @property
    def encapsulated(self) -> bool:
        """Whether the pixel data are encapsulated (compressed)."""
        return bool(self.offsets)


def native_frames(
    *, count: int | None, first: int, length: int, pixels: int, samples: int, bits_allocated: int, subsampled: bool
) -> FrameTable | None:
    """The table of native pixel data of `length` bytes from byte `first` of the file; None if no frame is whole.

    `count` is how many frames are said to be there, of which those count that are whole (FRM-12); None: as many as the
    length tells (FRM-11). `pixels` is Rows times Columns. `subsampled` says that the photometric interpretation halves
    the chrominance (PS3.3 §C.7.6.3.1.2, YBR_FULL_422); data that nevertheless have all samples are taken as they are.
    """
    bits = pixels * samples * bits_allocated
    if subsampled and samples == 3 and not _fills(count, bits, length):
        bits = bits // 3 * 2
    if bits < 1 or (count is not None and count < 1):
        return None
    whole = length * 8 // bits
    if count is None and whole > 1 and _padded(whole - 1, bits) == length:
        whole -= 1  # frames so small that the padding is as large as one
    whole = whole if count is None else min(count, whole)
    return FrameTable(count=whole, first=first, bits=bits) if whole else None


def _padded(count: int, bits: int) -> int:
    """Bytes of `count` native frames of so many bits (PS3.5 §8.1.1)."""
    return (count * bits + 15) // 16 * 2


def _fills(count: int | None, bits: int, length: int) -> bool:
    """Whether so many frames of so many bits fill `length` bytes; None: whether no number of smaller ones does."""
    if count is not None:
        return length // 2 == (count * bits + 15) // 16
    smaller = bits // 3 * 2
    return length * 8 // max(smaller, 1) < 1 or _padded(length * 8 // smaller, smaller) != length


def encapsulated_frames(
    *,
    count: int | None,
    fragments: Sequence[int],
    codestreams: Sequence[int],
    end: int,
    offset_tables: Sequence[Sequence[int]],
    one_each: bool = False,
) -> FrameTable | None:
    """The table of encapsulated pixel data, or None where nothing says which fragments make up a frame.

    `count` is how many frames are said to be there, of which those count that are (FRM-12); None: as many as there are
    (FRM-11). `fragments` are the file offsets of the item headers after the one of the basic offset table, `end` is
    where the last fragment ends. `codestreams` says of each whether it begins a codestream, empty: nobody knows;
    `one_each`, that each is a frame. `offset_tables` are tried in turn; their entries count from the first fragment.
    """
    if not fragments or (count is not None and count < 1):
        return None
    if count == 1:
        return FrameTable(count=1, offsets=(fragments[0], end))
    if count == len(fragments):
        return FrameTable(count=count, offsets=(*fragments, end))
    known = set(fragments)
    candidates = []
    for table in offset_tables:
        offsets = [fragments[0] + offset for offset in table]
        ascending = all(map(int.__lt__, offsets, offsets[1:]))
        if offsets and offsets[0] == fragments[0] and ascending and known.issuperset(offsets):
            candidates.append(offsets)
    each = []
    if one_each:
        each.append(list(fragments))
    starts = [offset for offset, starts in zip(fragments, codestreams, strict=False) if starts]
    if starts and starts[0] == fragments[0]:
        each.append(starts)
    candidates += each
    if count is None:
        offsets = candidates[0] if candidates else [fragments[0]]
        return FrameTable(count=len(offsets), offsets=(*offsets, end))
    for offsets in candidates:
        if len(offsets) == count:
            return FrameTable(count=count, offsets=(*offsets, end))
    fewer = next((offsets for offsets in each if len(offsets) == len(fragments) < count), None)
    return FrameTable(count=len(fewer), offsets=(*fewer, end)) if fewer else None


def starts_codestream(fragment: bytes) -> bool:
    """Whether a fragment that begins with these (4 or more) bytes begins a JPEG, JPEG-LS or JPEG 2000 codestream."""
    return fragment.startswith(_CODESTREAM_STARTS)


def native_frame(table: FrameTable, number: int) -> tuple[int, int, int]:
    """Where frame `number` (from 0) of native pixel data is: file offset, bytes to read, bits of the first to skip.

    The bits are counted from the least significant one (PS3.5 §8.1.1); not 0 only for pixels of 1 bit.
    """
    start = table.bits * number
    offset, shift = divmod(start, 8)
    return table.first + offset, (shift + table.bits + 7) // 8, shift


def encapsulated_frame(table: FrameTable, number: int) -> tuple[int, int]:
    """Where frame `number` (from 0) of encapsulated pixel data is: file offset and bytes, item headers included."""
    return table.offsets[number], table.offsets[number + 1] - table.offsets[number]


def shifted(table: FrameTable, distance: int) -> FrameTable:
    """The table of the same pixel data that begin so many bytes later in their file."""
    if table.encapsulated:
        return FrameTable(count=table.count, offsets=tuple(offset + distance for offset in table.offsets))
    return FrameTable(count=table.count, first=table.first + distance, bits=table.bits)


def strip_items(data: bytes) -> bytes:
    """The codestream of one encapsulated frame: its fragments joined, without item headers (FRM-5).

    Raises:
        ValueError: `data` is not a run of whole items.
    """
    parts = []
    position = 0
    while position < len(data):
        if data[position : position + 4] != _ITEM or len(data) < position + 8:
            raise ValueError("not an item")
        end = position + 8 + int.from_bytes(data[position + 4 : position + 8], "little")
        if end > len(data):
            raise ValueError("an item longer than the frame")
        parts.append(data[position + 8 : end])
        position = end
    return parts[0] if len(parts) == 1 else b"".join(parts)


def pack(table: FrameTable) -> bytes:
    """The table as bytes, for storage: a kind and its numbers, those of encapsulated frames deflated."""
    if not table.encapsulated:
        return b"N" + struct.pack("<QQQ", table.count, table.first, table.bits)
    lengths = [after - before for before, after in zip(table.offsets, table.offsets[1:], strict=False)]
    return b"E" + zlib.compress(struct.pack(f"<{len(lengths) + 1}Q", table.offsets[0], *lengths))


def unpack(data: bytes) -> FrameTable:
    """The table that `pack` made these bytes of.

    Raises:
        ValueError: it did not.
    """
    kind, body = data[:1], data[1:]
    if kind == b"N" and len(body) == 24:
        count, first, bits = struct.unpack("<QQQ", body)
        return FrameTable(count=count, first=first, bits=bits)
    if kind == b"E":
        try:
            inflater = zlib.decompressobj()
            numbers = inflater.decompress(body, 8 * _MAX_FRAMES)
        except zlib.error:
            numbers = b""
        if len(numbers) >= 16 and len(numbers) % 8 == 0 and inflater.eof:
            position, *lengths = struct.unpack(f"<{len(numbers) // 8}Q", numbers)
            offsets = [position]
            for length in lengths:
                position += length
                offsets.append(position)
            return FrameTable(count=len(lengths), offsets=tuple(offsets))
    raise ValueError("not a frame table")
