"""A big-endian object and its little-endian twin look alike: pictures, frames, values, whole objects."""

import io
import struct

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from shared.dicom.part10.reencoding import data_set_of
from tests.builders.images import Image, new_uid
from tests.builders.pictures import EBE, ELE, RLE, data_set, file, identifier_of, ramp
from tests.builders.retrieve import DICOM, OCTETS, multipart_of, parts

PAIRS = [
    ("MR_small.dcm", "MR_small_bigendian.dcm"),
    ("MR_small.dcm", "MR_small_expb.dcm"),
    ("SC_rgb_small_odd.dcm", "SC_rgb_small_odd_big_endian.dcm"),
    ("liver_1frame.dcm", "liver_expb_1frame.dcm"),
    ("rtdose_1frame.dcm", "rtdose_expb_1frame.dcm"),
    ("rtdose.dcm", "rtdose_expb.dcm"),
]


def words(values):
    return struct.pack(f"<{len(values)}H", *values)


def color_tables(dataset, *, bits, segmented):
    """Red, green and blue tables of 256 entries, each of its own."""
    prefix = "Segmented" if segmented else ""
    for at, color in enumerate(("Red", "Green", "Blue")):
        dataset.add_new(f"{color}PaletteColorLookupTableDescriptor", "US", [256, 0, bits])
        top = 255 if bits == 8 else 65535
        if segmented:
            # a discrete segment of one entry, a line to the top, a line back
            numbers = [0, 1, at * 40, 1, 100, top, 1, 155, at * 70]
            data = bytes(numbers) + b"\0" if bits == 8 else words(numbers)
        elif bits == 8:
            data = bytes((n * (at + 1)) % 256 for n in range(256))
        else:
            data = words([(n * 257 * (at + 1)) % 65536 for n in range(256)])
        dataset.add_new(f"{prefix}{color}PaletteColorLookupTableData", "OW", data)
    return dataset


def lookup(descriptor, values):
    item = Dataset()
    item.add_new("LUTDescriptor", "US", descriptor)
    item.add_new("LUTData", "OW", words(values))
    return Sequence([item])


def of(pixels, vr=None, frames=1, **overrides):
    dataset = data_set(pixels, frames=frames, **overrides)
    if vr:
        dataset["PixelData"].VR = vr
    return dataset


def single_bits():
    dataset = data_set(np.zeros((3, 4, 6), "u1"), frames=3)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 1, 0
    dataset.PixelData = bytes(range(9, 19))[:10]
    dataset["PixelData"].VR = "OW"
    return dataset


def floats(keyword, vr, kind):
    dataset = data_set(ramp(bits=16))
    del dataset.PixelData
    dataset.BitsAllocated = 8 * np.dtype(kind).itemsize
    dataset.add_new(keyword, vr, np.linspace(-4, 9, 40 * 56).astype(kind).tobytes())
    for gone in ("BitsStored", "HighBit", "PixelRepresentation"):
        del dataset[gone]
    return dataset


def with_icon():
    icon = Dataset()
    icon.Rows, icon.Columns, icon.BitsAllocated = 2, 3, 8
    icon.add_new("PixelData", "OW", b"abcdef")
    dataset = data_set(ramp(bits=32))
    dataset.IconImageSequence = [icon]
    return dataset


def with_overlay():
    dataset = data_set(ramp())
    for number, vr, value in (
        (0x10, "US", 40),
        (0x11, "US", 56),
        (0x40, "CS", "G"),
        (0x100, "US", 1),
        (0x102, "US", 0),
    ):
        dataset.add_new(0x60000000 | number, vr, value)
    dataset.add_new(0x60003000, "OW", bytes(range(140)) * 2)
    return dataset


ODD_SIZE = np.arange(45, dtype="u1").reshape(3, 3, 5)
SUBSAMPLED = of(ramp(4, 6, samples=3), "OW", PhotometricInterpretation="YBR_FULL_422")
SUBSAMPLED.PixelData = bytes(range(48))
TWINS = {
    "8 bits in bytes": of(ramp()),
    "8 bits in words": of(ramp(), "OW"),
    "8 bits in words, frames of odd size": of(ODD_SIZE, "OW", frames=3),
    "8 bits in words, color": of(ramp(samples=3), "OW"),
    "8 bits in words, planes": of(ramp(samples=3), "OW", PlanarConfiguration=1),
    "8 bits in words, YBR": of(ramp(samples=3), "OW", PhotometricInterpretation="YBR_FULL"),
    "8 bits in words, chrominance halved": SUBSAMPLED,
    "8 bits signed": of(ramp(signed=True), "OW"),
    "16 bits": of(ramp(bits=16)),
    "16 bits, MONOCHROME1": of(ramp(bits=16), PhotometricInterpretation="MONOCHROME1"),
    "16 bits in OB": of(ramp(bits=16), "OB"),
    "12 of 16 bits, signed": of(ramp(bits=12, signed=True), bits=12),
    "16 bits, color": of(ramp(bits=16, samples=3)),
    "32 bits": of(ramp(bits=32)),
    "32 bits, signed": of(ramp(bits=32, signed=True)),
    "32 bits, frames": of(np.stack([ramp(bits=32), ramp(bits=32)[::-1]]), frames=2),
    "single bits in words": single_bits(),
    "floats": floats("FloatPixelData", "OF", "<f4"),
    "doubles": floats("DoubleFloatPixelData", "OD", "<f8"),
    "an icon of other words": with_icon(),
    "palette of 8 bits": color_tables(of(ramp(), "OW", photometric="PALETTE COLOR"), bits=8, segmented=False),
    "palette of 16 bits": color_tables(of(ramp(), photometric="PALETTE COLOR"), bits=16, segmented=False),
    "palette of 16 bits for 16-bit pixels": color_tables(
        of(ramp().astype("u2"), photometric="PALETTE COLOR"), bits=16, segmented=False
    ),
    "segmented palette of 8 bits": color_tables(of(ramp(), "OW", photometric="PALETTE COLOR"), bits=8, segmented=True),
    "segmented palette of 16 bits": color_tables(of(ramp(), photometric="PALETTE COLOR"), bits=16, segmented=True),
    "modality table": of(ramp(), ModalityLUTSequence=lookup([256, 0, 16], [(n * n) % 65536 for n in range(256)])),
    "VOI table": of(ramp(), "OW", VOILUTSequence=lookup([256, 0, 16], [65535 - 200 * n for n in range(256)])),
    "overlay": with_overlay(),
}


async def stored(service, dataset):
    """The twins, little-endian first."""
    pair = []
    for syntax in (ELE, EBE):
        dataset.SOPInstanceUID, dataset.StudyInstanceUID = new_uid(), new_uid()
        pair.append(file(dataset, syntax))
        await service.archive.store(pair[-1])
    return pair


async def same(service, pair, path, accept):
    one, other = [await service.get(f"{each.path}/{path}", accept) for each in pair]
    assert one.status == other.status == 200
    return [await service.body(f"{each.path}/{path}", accept) for each in pair]


@pytest.mark.spec("REND-13", "FRM-5")
@pytest.mark.parametrize("name", TWINS)
async def test_pictures_and_frames_of_twins_are_alike(service, name):
    dataset = TWINS[name]
    pair = await stored(service, dataset)
    last = int(dataset.get("NumberOfFrames", 1))
    for number in (1, last):
        for path, accept in (
            (f"frames/{number}", OCTETS),
            (f"frames/{number}/rendered", "image/png"),
            (f"frames/{number}/thumbnail", "image/png"),
        ):
            one, other = await same(service, pair, path, accept)
            assert one == other


@pytest.mark.spec("REND-13", "BULK-2")
@pytest.mark.parametrize("name", TWINS)
async def test_values_of_twins_are_alike(service, name):
    dataset = TWINS[name]
    pair = await stored(service, dataset)
    for element in dataset:
        if element.VR in {"OW", "OB", "OF", "OD"}:
            one, other = await same(service, pair, f"bulkdata/{element.tag:08X}", OCTETS)
            assert one == other == element.value


@pytest.mark.spec("REND-13", "WADO-14")
@pytest.mark.parametrize("name", TWINS)
async def test_a_big_endian_object_in_little_endian_is_its_twin(service, name):
    twin, big = await stored(service, TWINS[name])
    written = pydicom.dcmread(io.BytesIO(await service.body(big.path, DICOM)))
    assert written.file_meta.TransferSyntaxUID == ELE
    expected = pydicom.dcmread(io.BytesIO(twin.data))
    expected.SOPInstanceUID, expected.StudyInstanceUID = written.SOPInstanceUID, written.StudyInstanceUID
    assert written == expected


@pytest.mark.spec("REND-13", "WADO-13")
async def test_frames_of_twins_are_compressed_alike(service):
    pair = await stored(service, TWINS["8 bits in words, frames of odd size"])
    one, other = [await service.body(f"{each.path}/frames/2,3", multipart_of("image/dicom-rle", RLE)) for each in pair]
    assert parts(one) == parts(other)


@pytest.mark.spec("REND-13", "FRM-5")
@pytest.mark.parametrize(("little", "big"), PAIRS)
async def test_twins_that_others_wrote_are_alike(service, little, big):
    pair = []
    for name in (little, big):
        dataset = pydicom.dcmread(get_testdata_file(name, download=False))
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = new_uid()
        stream = io.BytesIO()
        dataset.save_as(stream, enforce_file_format=True)
        pair.append(Image(identifier_of(dataset), dataset.file_meta.TransferSyntaxUID, stream.getvalue()))
        await service.archive.store(pair[-1])
    for path, accept in (("frames/1", OCTETS), ("rendered", "image/png"), ("bulkdata/7FE00010", OCTETS)):
        one, other = await same(service, pair, path, accept)
        assert one == other


@pytest.mark.spec("WADO-14")
def test_the_words_of_an_icon_are_those_of_the_icon():
    written, start = data_set_of(file(TWINS["an icon of other words"], EBE).data, odd=False, limit=1 << 20)
    assert b"abcdef" in written[start:]
