"""ISO 15444-1 §A The headers of a JPEG 2000 codestream, and what its decoder would have to keep records of.

A decoder keeps a record of every tile, precinct and code block before it has decoded a single one, and visits every
packet. Their sizes are in the main header and may be said anew by the header of every tile-part, so all are read.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_MAX_MARKERS: Final = 4096
"""Marker segments of one header."""
_MAX_TILES: Final = 16_384
_MAX_TILE_PARTS: Final = 65_536
_FREE_RECORDS: Final = 65_536
_SAMPLES_PER_RECORD: Final = 128
"""Code blocks of 16 by 16 samples, the smallest that encoders make, come to 190 samples a record."""
_MAX_RECORDS: Final = 1 << 20
_MAX_PACKETS: Final = 1 << 20
_MAX_LEVELS: Final = 32
_WHOLE: Final = 15
"""The exponent of a precinct of the greatest size, which is the default."""

_COD, _COC, _POC, _SOT, _SOD, _EOC = 0xFF52, 0xFF53, 0xFF5F, 0xFF90, 0xFF93, 0xFFD9
_MAX_ORDER_CHANGES: Final = 32
"""Progression order changes (POC), each of which lets a decoder visit the packets again."""


class BadCodestream(Exception):
    """The bytes are not a whole codestream of the kind that they should be. The text names no values."""


@dataclass(frozen=True, slots=True)
class Header:
    """The content of the headers of a codestream."""

    columns: int
    rows: int
    components: int
    bits: int
    signed: bool
    irreversible: bool
    component_transform: bool


@dataclass(frozen=True, slots=True)
class _Tiles:
    """The tile grid: the size of a tile, at most that of the image, and the number of tiles."""

    width: int
    height: int
    count: int
    aligned: bool
    """Whether tiles begin at multiples of their size."""


@dataclass(frozen=True, slots=True)
class _Style:
    """The coding style of a component (ISO 15444-1 §A.6.1, §A.6.2)."""

    levels: int
    block_width: int
    block_height: int
    """Exponents of two."""
    precincts: tuple[tuple[int, int], ...]
    """Exponents of width and height, by resolution; empty: the greatest size."""

    def cost(self, tiles: _Tiles) -> tuple[int, int]:
        """Records and precincts of one component of one tile, at most."""
        records = precincts = 0
        for resolution in range(self.levels + 1):
            shift = self.levels - resolution
            wide, high = self.precincts[resolution] if self.precincts else (_WHOLE, _WHOLE)
            across = _cells(tiles.width, shift, wide, aligned=tiles.aligned)
            down = _cells(tiles.height, shift, high, aligned=tiles.aligned)
            bands, deeper = (3, 1) if resolution else (1, 0)
            width = max(min(self.block_width, wide - deeper), 0)
            height = max(min(self.block_height, high - deeper), 0)
            blocks = _cells(tiles.width, shift + deeper, width, aligned=tiles.aligned) * _cells(
                tiles.height, shift + deeper, height, aligned=tiles.aligned
            )
            precincts += across * down
            records += bands * (across * down + max(blocks, across * down))
        return records, precincts


def _cells(size: int, shift: int, exponent: int, *, aligned: bool) -> int:
    """The number of cells of `1 << exponent` samples in a tile of `size` samples, reduced by `1 << shift`."""
    unit = 1 << (shift + exponent)
    crossing = 0 if aligned and (size % unit == 0 or size < unit) else 1
    return -(-size // unit) + crossing


def read_header(data: bytes) -> Header:
    """The headers of a codestream, which begins with SOC and SIZ.

    Raises:
        BadCodestream: they are odd, or promise more records than an image of this size needs.
        struct.error: they are cut.
    """
    length, _, right, bottom, left, top, *grid = struct.unpack_from(">HHLLLLLLLL", data, 4)
    tile_width, tile_height, tile_left, tile_top = grid
    (count,) = struct.unpack_from(">H", data, 40)
    columns, rows = right - left, bottom - top
    components = [struct.unpack_from(">BBB", data, 42 + 3 * n) for n in range(min(count, 8))]
    if columns < 1 or rows < 1 or not components or count > len(components) or not (tile_width and tile_height):
        raise BadCodestream("The size of the codestream is impossible.")
    if len(set(components)) > 1 or components[0][1:] != (1, 1):
        raise BadCodestream("The components of the codestream differ.")
    if tile_left > left or tile_top > top:
        raise BadCodestream("The tiles of the codestream are impossible.")
    tiles = _Tiles(
        min(tile_width, columns),
        min(tile_height, rows),
        -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height),
        aligned=not (left or top or tile_left or tile_top),
    )
    if tiles.count > _MAX_TILES:
        raise BadCodestream("The codestream has too many tiles.")
    transform, irreversible = _check_styles(data, 4 + length, tiles, count, columns * rows * count)
    depth = components[0][0]
    return Header(columns, rows, count, (depth & 0x7F) + 1, depth > 0x7F, irreversible, transform)


def _check_styles(data: bytes, at: int, tiles: _Tiles, components: int, samples: int) -> tuple[bool, bool]:
    """Whether the components are transformed together, and whether that loses something.

    Raises BadCodestream when any of the coding styles would need too many records or packets.
    """
    main: tuple[bool, bool] | None = None
    layers, order_changes = 1, 0
    styles: set[_Style] = set()
    for marker, start, end in _segments(data, at):
        if marker == _COD:
            style, _, several, multiple, wavelet = _coding_style(data, start, end)
            styles.add(style)
            layers = max(layers, several)
            if main is None:
                main = multiple == 1, wavelet == 0
        elif marker == _COC:
            styles.add(_component_style(data, start, end))
        elif marker == _POC:
            order_changes += max((end - start) // 7, 1)
    if main is None:
        raise BadCodestream("The codestream does not say how it is coded.")
    costs = [style.cost(tiles) for style in styles]
    records = max(cost[0] for cost in costs) * components * tiles.count
    packets = max(cost[1] for cost in costs) * components * tiles.count * layers
    if records > min(_FREE_RECORDS + samples // _SAMPLES_PER_RECORD, _MAX_RECORDS):
        raise BadCodestream("The codestream has too many precincts and blocks.")
    if packets > _MAX_PACKETS or order_changes > _MAX_ORDER_CHANGES:
        raise BadCodestream("The codestream has too many packets.")
    return main


def _segments(data: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Marker, and where its content begins and ends: of the main header, then of the header of each tile-part."""
    for part in range(_MAX_TILE_PARTS):
        begun = at
        length_of_part = 0
        for _ in range(_MAX_MARKERS):
            marker, length = struct.unpack_from(">HH", data, at)
            if marker == _SOT:
                if at != begun:  # the main header is over
                    break
                (length_of_part,) = struct.unpack_from(">L", data, at + 6)
            elif marker == _SOD or (marker == _EOC and at == begun):
                break
            if marker < 0xFF00 or length < 2:
                raise BadCodestream("A marker segment of the codestream is damaged.")
            yield marker, at + 4, at + 2 + length
            at += 2 + length
        else:
            raise BadCodestream("A header of the codestream has too many marker segments.")
        if part == 0:
            continue
        if length_of_part == 0:  # the last part reaches to the end
            return
        at = begun + length_of_part
        if at <= begun or at + 12 > len(data):
            return
    raise BadCodestream("The codestream has too many tile-parts.")


def _coding_style(data: bytes, start: int, end: int) -> tuple[_Style, int, int, int, int]:
    """COD: the style of all components; progression order, layers, component transform, wavelet."""
    scod, order, layers, multiple = struct.unpack_from(">BBHB", data, start)
    style, wavelet = _parameters(data, start + 5, end, precincts=bool(scod & 1))
    return style, order, layers, multiple, wavelet


def _component_style(data: bytes, start: int, end: int) -> _Style:
    """COC: the style of one of at most 256 components."""
    return _parameters(data, start + 2, end, precincts=bool(data[start + 1] & 1))[0]


def _parameters(data: bytes, at: int, end: int, *, precincts: bool) -> tuple[_Style, int]:
    levels, width, height, _, wavelet = struct.unpack_from(">BBBBB", data, at)
    if levels > _MAX_LEVELS:
        raise BadCodestream("The codestream has too many resolutions.")
    sizes: tuple[tuple[int, int], ...] = ()
    if precincts:
        found = data[at + 5 : min(at + 6 + levels, end)]
        if len(found) != levels + 1:
            raise BadCodestream("The codestream does not say how large its precincts are.")
        sizes = tuple((size & 15, size >> 4) for size in found)
    return _Style(levels, (width & 15) + 2, (height & 15) + 2, sizes), wavelet
