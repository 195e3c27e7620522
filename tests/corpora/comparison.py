"""One file stored, asked for in every form and compared with what others make of it."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import UID

from tests.conformance.exchange import DICOM, JSON, OCTETS, Exchange, Reply
from tests.oracles import pixels
from tests.oracles.data_sets import by_pydicom, differences

ELE, EBE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
TARGETS = {
    "JPEG lossless": "1.2.840.10008.1.2.4.57",
    "JPEG lossless SV1": "1.2.840.10008.1.2.4.70",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
    "HTJ2K": "1.2.840.10008.1.2.4.201",
    "HTJ2K RPCL": "1.2.840.10008.1.2.4.202",
    "RLE": "1.2.840.10008.1.2.5",
}
_CHARACTER_SET = "00080005"
_XML = "application/dicom+xml"
_DROPPED = re.compile(r"DICOM100: \(([0-9a-f]{4}),([0-9a-f]{4})\)")


class Refused(Exception):
    """The store refused the file; the text says why."""


class Different(Exception):
    """A check does not hold; the text says where."""


class Comparison:
    """The checks of one stored file. Each raises Different."""

    def __init__(self, exchange: Exchange, data: bytes) -> None:
        self._exchange, self._data = exchange, data
        self.dropped: set[str] = set()
        self._path = ""

    @contextmanager
    def stored(self) -> Iterator[None]:
        """The file is in the service, and afterwards nothing of it is. Raises Refused, Different."""
        reply = self._exchange.send("POST", "studies", JSON, self._data, Content_Type=DICOM)
        if reply.status_code not in {200, 202} or "00081198" in reply.json():
            raise Refused(f"{reply.status_code} {reply.text[:1000]}")
        [item] = reply.json()["00081199"]["Value"]
        self._path = item["00081190"]["Value"][0].partition("/v2/")[2]
        self.dropped = {(group + element).upper() for group, element in _DROPPED.findall(reply.text)}
        try:
            yield
        finally:
            deleted = self._exchange.send("DELETE", self._path)
            gone = self._exchange.get(f"{self._path}/metadata", JSON)
            if (deleted.status_code, gone.status_code) != (204, 404):
                raise Different(f"delete {deleted.status_code}, then metadata {gone.status_code}")

    @property
    def checks(self) -> dict[str, Callable[[], None]]:
        """By name. Those about pixels are there when the file has pixel data."""
        found = {
            "bytes": self.bytes,
            "metadata": self.metadata,
            "xml": self.xml,
            "bulk data": self.bulk_data,
            "default syntax": self.default_syntax,
        }
        if "PixelData" in self._source and "Rows" in self._source:
            found |= {
                "frames": self.frames,
                "explicit": self.explicit,
                "frame": self.frame,
                "rendered": self.rendered,
                "jpeg": self.jpeg,
                "thumbnail": self.thumbnail,
            }
            found |= {name: lambda uid=uid: self.transcoded(uid) for name, uid in TARGETS.items()}
        return found

    def _get(self, below: str = "", accept: str = "*/*") -> Reply:
        reply = self._exchange.get(self._path + below, accept)
        if reply.status_code != 200:
            raise Different(f"{below or 'instance'} as {accept}: {reply.status_code} {reply.text[:300]}")
        return reply

    @cached_property
    def _source(self) -> Dataset:
        return pixels.read(self._data)

    @cached_property
    def _syntax(self) -> UID:
        return UID(self._source.file_meta.TransferSyntaxUID)

    @cached_property
    def _attributes(self) -> dict[str, Any]:
        [found] = self._get("/metadata", JSON).json()
        return found

    @cached_property
    def _truth(self) -> dict[str, np.ndarray]:
        try:
            return pixels.decoded(self._source)
        except pixels.NoDecoder as error:
            raise Different(f"no decoder but ours: {error}") from error

    @cached_property
    def _explicit(self) -> Dataset:
        return pixels.read(self._get("", f"{DICOM}; transfer-syntax={ELE}").content)

    @cached_property
    def _pixels(self) -> np.ndarray:
        """All pixels of the file as Explicit VR Little Endian, which need no decoder."""
        try:
            return pixels.decoded(self._explicit)["numpy"]
        except pixels.NoDecoder as error:
            raise Different(f"Explicit VR Little Endian: {error}") from error

    @property
    def _tolerance(self) -> int:
        return pixels.LOSS if pixels.is_lossy(self._syntax) or "YBR" in self._source.PhotometricInterpretation else 0

    def bytes(self) -> None:
        """The file as stored, but for its preamble."""
        stored = self._get("", f"{DICOM}; transfer-syntax=*").content
        if stored != bytes(128) + self._data[128:]:
            raise Different(f"{len(stored)} bytes instead of {len(self._data)}")

    def metadata(self) -> None:
        """Every element, nested ones too, as pydicom reads it."""
        ours = _with_paths(self._attributes)
        theirs = self._without_dropped(by_pydicom(self._data), ours)
        if found := differences(ours, theirs):
            raise Different("; ".join(found[:5]))

    def _without_dropped(self, theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
        """Their elements but for those that the store named as left out (VAL-6, VAL-7).

        Nor are character sets: documents are in UTF-8, which ours say where the file said anything.
        """
        kept = {}
        for tag, element in theirs.items():
            if tag not in ours and (tag in self.dropped or tag == _CHARACTER_SET):
                continue
            items = zip(element.get("Value", []), ours.get(tag, {}).get("Value", []), strict=False)
            kept[tag] = ours[tag] if tag == _CHARACTER_SET else element
            if element["vr"] == "SQ" and element.get("Value"):
                rest = element["Value"][len(ours.get(tag, {}).get("Value", [])) :]
                kept[tag] = element | {"Value": [self._without_dropped(*pair) for pair in items] + rest}
        return kept

    def xml(self) -> None:
        """The same tags in the same order as the JSON."""
        body = self._get("/metadata", f'multipart/related; type="{_XML}"').content
        document = ET.fromstring(body[body.index(b"<?xml") : body.rindex(b">", 0, body.rindex(b"\r\n--")) + 1])
        if [element.get("tag") for element in document] != list(self._attributes):
            raise Different("other tags than in JSON")

    def bulk_data(self) -> None:
        """Every bulk value but the pixels is what stands in the file."""
        for uri, vr, value in _bulk_values(self._attributes, self._source):
            reply = self._exchange.get(uri.partition("/v2/")[2], OCTETS)
            wanted = _little(value, vr) if self._syntax == EBE else value
            if reply.status_code != 200 or reply.content.rstrip(b"\0") != wanted.rstrip(b"\0"):
                raise Different(f"{uri.partition('/bulkdata/')[2]}: {reply.status_code}, {len(reply.content)} bytes")

    def default_syntax(self) -> None:
        """A client that names no syntax gets a file that pydicom reads, with the same elements."""
        given = pixels.read(self._get("", DICOM).content)
        had, has = ({tag for tag in one.keys() - _PIXEL_TAGS if tag.element} for one in (self._source, given))
        if had != has:
            raise Different(f"elements: {sorted(map(str, had ^ has))[:5]}")

    def frames(self) -> None:
        """The first frame as stored."""
        stored = self._get("/frames/1", f"{OCTETS}; transfer-syntax=*").content
        if self._syntax.is_encapsulated:
            count = int(self._source.get("NumberOfFrames") or 1)
            expected = next(iter(generate_frames(self._source.PixelData, number_of_frames=count)))
        else:
            expected = self._source.PixelData[: len(stored)]
            if len(stored) == 0 or len(stored) > len(self._source.PixelData):
                raise Different(f"{len(stored)} bytes of {len(self._source.PixelData)}")
        if self._syntax != EBE and stored.rstrip(b"\0") != expected.rstrip(b"\0"):
            raise Different(f"{len(stored)} bytes instead of {len(expected)}")

    def explicit(self) -> None:
        """All pixels of the file as Explicit VR Little Endian, against each decoder."""
        for name, theirs in self._truth.items():
            if (off := pixels.apart(self._pixels, theirs)) > self._tolerance:
                raise Different(f"{name}: {self._pixels.shape} {theirs.shape}, {off} apart")

    def frame(self) -> None:
        """The first frame alone, decoded, is that of the file as Explicit VR Little Endian."""
        alone = self._get("/frames/1", f"{OCTETS}; transfer-syntax={ELE}").content
        whole = self._explicit.PixelData[: len(alone)]
        if self._source.BitsAllocated > 1 and alone != whole:
            raise Different(f"{len(alone)} bytes that are not those of the file")

    def transcoded(self, syntax: str) -> None:
        """All pixels in another syntax, read by each decoder, are those of Explicit VR Little Endian."""
        file = pixels.read(self._get("", f"{DICOM}; transfer-syntax={syntax}").content)
        if file.file_meta.TransferSyntaxUID != syntax:
            raise Different(f"is {file.file_meta.TransferSyntaxUID.name}")
        wanted = self._pixels
        try:
            found = pixels.decoded(file)
        except pixels.NoDecoder as error:
            raise Different(str(error)) from error
        for name, array in found.items():
            if (off := pixels.apart(array, wanted)) > 0:
                raise Different(f"{name}: {array.shape} {wanted.shape}, {off} apart")

    def _shown(self) -> np.ndarray:
        return pixels.shown(self._get("/rendered", "image/png").content)

    def rendered(self) -> None:
        """The picture against the pipeline of PS3.3 on each decoder's pixels."""
        ours = self._shown()
        for name, theirs in self._truth.items():
            wanted = pixels.picture(self._source, theirs[0])
            if ours.shape[:2] != wanted.shape[:2] and self._is_stretched:
                if ours.shape[0] * ours.shape[1] <= wanted.shape[0] * wanted.shape[1]:
                    raise Different(f"{ours.shape} of pixels that are not square")
            elif (off := pixels.apart(ours, wanted)) > (pixels.LOSS if self._tolerance else pixels.ROUNDING):
                raise Different(f"{name}: {ours.shape} {wanted.shape}, {off} apart")

    @property
    def _is_stretched(self) -> bool:
        shape = self._source.get("PixelAspectRatio") or self._source.get("PixelSpacing")
        return bool(shape) and float(shape[0]) != float(shape[1])

    def jpeg(self) -> None:
        """The JPEG shows what the PNG shows."""
        ours, exact = pixels.shown(self._get("/rendered", "image/jpeg").content), self._shown()
        if ours.shape != exact.shape or np.abs(ours - exact).mean() > 3:
            raise Different(f"{ours.shape} {exact.shape}")

    def thumbnail(self) -> None:
        """A small picture of the same shape."""
        small, whole = pixels.shown(self._get("/thumbnail", "image/jpeg").content), self._shown()
        if max(small.shape[:2]) > 200:
            raise Different(f"{small.shape}")
        if (
            abs(small.shape[0] / small.shape[1] - whole.shape[0] / whole.shape[1])
            > 0.2 * whole.shape[0] / whole.shape[1]
        ):
            raise Different(f"{small.shape} of {whole.shape}")


_PIXEL_TAGS = {
    0x7FE00010, 0x7FE00001, 0x7FE00002, 0x00280002, 0x00280004, 0x00280006, 0x00280100, 0x00280101, 0x00280102,
    0x00280103, 0x00282110, 0x00282112, 0x00282114, 0x00280008,
}  # fmt: skip  # a table


def _with_paths(attributes: dict[str, Any]) -> dict[str, Any]:
    """BulkDataURIs as the path of their element."""

    def changed(element: dict[str, Any]) -> dict[str, Any]:
        if "BulkDataURI" in element:
            return element | {"BulkDataURI": element["BulkDataURI"].partition("/bulkdata/")[2]}
        if element["vr"] == "SQ":
            return element | {"Value": [_with_paths(item) for item in element.get("Value", [])]}
        return element

    return {tag: changed(element) for tag, element in attributes.items()}


def _bulk_values(attributes: dict[str, Any], dataset: Dataset) -> Iterator[tuple[str, str, bytes]]:
    for tag, element in attributes.items():
        if element["vr"] == "SQ":
            items = dataset[int(tag, 16)].value
            for item, other in zip(element.get("Value", []), items, strict=True):
                yield from _bulk_values(item, other)
        elif "BulkDataURI" in element and tag != "7FE00010":
            value = dataset[int(tag, 16)].value
            if isinstance(value, bytes):
                yield element["BulkDataURI"], element["vr"], value


_WIDTHS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


def _little(value: bytes, vr: str) -> bytes:
    """A value of a big-endian file in little endian."""
    width = _WIDTHS.get(vr, 1)
    return np.frombuffer(value, f"u{width}").byteswap().tobytes()
