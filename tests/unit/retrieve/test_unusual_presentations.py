"""Images that say in unusual ways how they are to be shown: palettes, tables, profiles, windows of frames (REND-9)."""

import struct

import numpy as np
import pytest
from PIL import ImageCms
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.builders import pictures
from tests.builders.reading import OTHERS


def palette_image(bits, tables, pixels, *, first=0, count=None, segmented=False):
    dataset = pictures.data_set(pixels, photometric="PALETTE COLOR")
    for color, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        setattr(
            dataset,
            f"{color}PaletteColorLookupTableDescriptor",
            [count or len(table) // (1 if bits == 8 and isinstance(table, bytes) else 2), first, bits],
        )
        setattr(dataset, f"{color}PaletteColorLookupTableData", table)
    return dataset


def words(*values):
    return struct.pack(f"<{len(values)}H", *values)


@pytest.mark.spec("REND-9")
@pytest.mark.parametrize(
    ("bits", "entries", "shown"),
    [
        (16, [(0, 257, 65535), (0, 0, 200), (0, 255, 255)], [(0, 1, 255), (0, 0, 0), (0, 0, 0)]),
        (16, [(0, 100, 255), (0, 0, 200), (0, 255, 255)], [(0, 100, 255), (0, 0, 200), (0, 255, 255)]),
        (8, [(0, 100, 255), (0, 0, 200), (0, 255, 255)], [(0, 100, 255), (0, 0, 200), (0, 255, 255)]),
        (8, [(0, 25700, 65535), (0, 0, 51400), (0, 65535, 65535)], [(0, 100, 255), (0, 0, 200), (0, 255, 255)]),
    ],
    ids=["dark blue of 16 bits", "8 bits called 16", "8 bits in words", "16 bits called 8"],
)
async def test_palettes_whose_entries_are_not_as_wide_as_they_say(stored, bits, entries, shown):
    pixels = np.array([[0, 1], [2, 7]], np.uint8)  # what is beyond the table has its last entry
    dataset = palette_image(bits, [words(*each) for each in entries], pixels, count=3)
    picture = await (await stored(pictures.file(dataset))).pictures()
    for place, entry in (((0, 0), 0), ((0, 1), 1), ((1, 0), 2), ((1, 1), 2)):
        assert tuple(picture[place]) == tuple(color[entry] for color in shown)


async def test_palettes_of_bytes_of_odd_number(stored):
    pixels = np.array([[0, 1], [2, 2]], np.uint8)
    tables = [bytes((1, 2, 3, 0)), bytes((4, 5, 6, 0)), bytes((7, 8, 9, 0))]
    picture = await (await stored(pictures.file(palette_image(8, tables, pixels, count=3)))).pictures()
    assert picture.reshape(-1, 3).tolist() == [[1, 4, 7], [2, 5, 8], [3, 6, 9], [3, 6, 9]]


def lut(descriptor, values, *, kind="US"):
    item = Dataset()
    item.add_new(0x00283002, kind, descriptor)
    item.add_new(0x00283006, "OW", words(*values))
    item.ModalityLUTType = "HU"
    return item


@pytest.mark.spec("REND-9")
@pytest.mark.parametrize(
    ("descriptor", "values", "wanted"),
    [
        ([4, 0, 16], (0, 10, 20, 40), (0, 64, 128, 255)),
        ([4, 0, 8], (0, 1000, 2000, 4000), (0, 64, 128, 255)),  # entries wider than they say
        ([4, 1, 16], (0, 10, 20, 40), (0, 0, 128, 255)),  # begins at 1: values 0 and 1 have the first entry
        ([9, 0, 16], (0, 10, 20, 40), None),  # shorter than it says
        ([0, 0, 16], (0, 10, 20, 40), None),  # 65536 entries
        ([4, 0, 0], (0, 10, 20, 40), None),
        ([4, 0, 17], (0, 10, 20, 40), None),
        ([4, 0], (0, 10, 20, 40), None),
        ([2, 0, 16], (0, 10, 20, 40), (0, 255, 255, 255)),
    ],
)
@pytest.mark.parametrize("kind", ["modality", "voi"])
async def test_lookup_tables_whose_descriptor_is_wrong(stored, descriptor, values, wanted, kind):
    pixels = np.array([[0, 1], [2, 3]], np.uint8)
    sequence = "ModalityLUTSequence" if kind == "modality" else "VOILUTSequence"
    answers = await stored(pictures.file(pictures.data_set(pixels, **{sequence: Sequence([lut(descriptor, values)])})))
    shown = await answers.pictures()
    if wanted is None:
        assert shown is None
        return
    if kind == "modality":
        if descriptor[1] == 1:
            wanted = (0, 0, 128, 255)
            picked = [values[max(n - 1, 0)] for n in range(4)]
            wanted = tuple(round(255 * each / max(picked)) for each in picked)
        assert np.abs(shown.reshape(-1).astype(int) - np.array(wanted)).max() <= 1
    else:
        assert (np.diff(shown.reshape(-1).astype(int)) >= 0).all()


async def test_a_lookup_table_for_negative_values(stored):
    pixels = np.array([[-2, -1], [0, 1]], np.int16)
    item = lut([4, -2, 16], (0, 10, 20, 40), kind="SS")
    answers = await stored(pictures.file(pictures.data_set(pixels, ModalityLUTSequence=Sequence([item]))))
    assert (await answers.pictures()).reshape(-1).tolist() == [0, 64, 128, 255]


def profile(kind):
    if kind == "damaged":
        return b"not a profile at all" * 20
    made = ImageCms.ImageCmsProfile(
        ImageCms.createProfile("sRGB" if kind == "sRGB" else "LAB" if kind == "LAB" else "XYZ")
    )
    data = made.tobytes()
    return data + bytes(len(data) % 2)


@pytest.mark.parametrize("kind", ["sRGB", "LAB", "XYZ", "damaged", "cut"])
async def test_colour_profiles_of_every_kind(stored, kind):
    pixels = pictures.ramp(6, 8, samples=3)
    data = profile("sRGB")[:200] if kind == "cut" else profile(kind)
    answers = await stored(pictures.file(pictures.data_set(pixels, ICCProfile=data)))
    assert np.array_equal(await answers.pictures(), pixels)
    converted = await answers.picture(query="?iccprofile=srgb")
    if kind == "sRGB":
        assert np.abs(converted.astype(int) - pixels).max() <= 2
    else:
        assert converted is None
    assert await answers.picture(query="?iccprofile=yes") is not None
    assert await answers.picture(query="?iccprofile=no") is not None


@pytest.mark.spec("REND-9")
async def test_each_frame_has_its_own_rescale_and_window(stored):
    frame = np.array([[0, 10], [20, 40]], np.uint16)
    dataset = pictures.data_set(np.stack([frame] * 3), frames=3)
    groups = []
    for slope, center, width in ((1, 20, 40), (-1, -20, 40), (0, 0.5, 1)):
        group, change, voi = Dataset(), Dataset(), Dataset()
        change.RescaleSlope, change.RescaleIntercept, change.RescaleType = slope, 0, "US"
        voi.WindowCenter, voi.WindowWidth, voi.VOILUTFunction = center, width, "LINEAR_EXACT"
        group.PixelValueTransformationSequence, group.FrameVOILUTSequence = Sequence([change]), Sequence([voi])
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    dataset.RescaleSlope, dataset.RescaleIntercept = "1000", "5"  # of the whole image: not for frames with their own
    answers = await stored(pictures.file(dataset))
    assert (await answers.pictures(1)).reshape(-1).tolist() == [0, 64, 128, 255]
    assert (await answers.pictures(2)).reshape(-1).tolist() == [255, 191, 128, 0]
    assert (await answers.pictures(3)).reshape(-1).tolist() == [0, 0, 0, 0]
    assert await answers.others(np.stack([frame] * 3)) == set(OTHERS)


@pytest.mark.parametrize("slope", ["1e300", "-1e300", "1e-300"])
async def test_a_rescale_beyond_all_numbers(stored, slope):
    pixels = np.array([[0, 10], [20, 65535]], np.uint16)
    answers = await stored(pictures.file(pictures.data_set(pixels, RescaleSlope=slope, RescaleIntercept="1e308")))
    shown = await answers.pictures()
    assert shown is not None


async def test_padding_is_no_failure(stored):
    pixels = np.array([[-2000, -2000], [0, 100]], np.int16)
    dataset = pictures.data_set(pixels, WindowCenter="50.5", WindowWidth="101")
    dataset.add_new(0x00280120, "SS", -2000)
    dataset.add_new(0x00280121, "SS", -1500)
    answers = await stored(pictures.file(dataset))
    assert (await answers.pictures()).reshape(-1).tolist() == [0, 0, 0, 255]
    assert await answers.others(pixels) == set(OTHERS)


@pytest.mark.spec("REND-9")
@pytest.mark.parametrize("presentation", ["COLOR", "MONOCHROME"])
async def test_a_supplemental_palette_colours_what_is_above_it(stored, presentation):
    pixels = np.array([[0, 100], [200, 201]], np.uint8)
    tables = [words(0xFF00, 0x0000), words(0x0000, 0x8000), words(0x0000, 0xFF00)]
    dataset = palette_image(16, tables, pixels, first=200, count=2)
    dataset.PhotometricInterpretation, dataset.PixelPresentation = "MONOCHROME2", presentation
    dataset.WindowCenter, dataset.WindowWidth = "100.5", "201"
    answers = await stored(pictures.file(dataset))
    shown = await answers.pictures()
    if presentation == "COLOR":
        assert shown.shape == (2, 2, 3)
        assert shown.reshape(-1, 3).tolist()[2:] == [[255, 0, 0], [0, 128, 255]]
    else:
        assert shown.shape == (2, 2)
