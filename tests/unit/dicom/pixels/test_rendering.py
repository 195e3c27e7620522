"""Pictures: what pydicom's own functions make of the same pixels, within rounding."""

import io
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
from PIL import Image, ImageCms
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, convert_color_space
from pydicom.uid import UID

from shared.dicom.errors import Unconvertible
from shared.dicom.part10.file_reader import Part10Reader
from shared.dicom.part10.frames import encapsulated_frame, native_frame, strip_items
from shared.dicom.pixels.frame_decoding import Decoded, decode
from shared.dicom.pixels.image_pixels import image_pixels
from shared.dicom.pixels.lookup_tables import LookupTable
from shared.dicom.pixels.presentation import NO_TABLES, Window, needs_tables, presentation, tables_of
from shared.dicom.pixels.rendering import Viewport, encoded, fitted, in_srgb, picture
from tests.builders.codestreams import run_length
from tests.builders.pictures import ELE, JPEG, RLE, compressed, data_set, file, ramp

SAMPLES = Path(pydicom.data.__file__).parent / "test_files"
MONOCHROME = [
    "693_J2KI.dcm",
    "CT_small.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "examples_overlay.dcm",
    "rtdose_1frame.dcm",
    "JPEGLSNearLossless_08.dcm",
]


def rendered(data, number=1, window=None):
    reader = Part10Reader(strict=False)
    reader.feed(data)
    part10 = reader.finish()
    pixels = image_pixels(part10.attributes)
    if part10.frames.encapsulated:
        at, length = encapsulated_frame(part10.frames, number - 1)
        frame = strip_items(data[at : at + length])
    else:
        at, length, _ = native_frame(part10.frames, number - 1)
        frame = data[at : at + length]
    tables = tables_of(data) if needs_tables(part10.attributes) else NO_TABLES
    how = presentation(part10.attributes, number, tables)
    return picture(decode(frame, part10.transfer_syntax_uid, pixels), how, window)


def by_pydicom(dataset, *, windowed=True):
    """Modality and VOI as pydicom applies them, stretched to 8 bits."""
    values = apply_modality_lut(dataset.pixel_array, dataset)
    shown = apply_voi_lut(values, dataset).astype(float) if windowed else values.astype(float)
    if not windowed:
        low, high = shown.min(), shown.max()
    elif "VOILUTSequence" in dataset:
        low, high = 0, 2 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1
    else:
        slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
        bits = dataset.BitsStored
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dataset.PixelRepresentation else (0, 2**bits - 1)
        if "RescaleSlope" in dataset:
            low, high = low * slope + intercept, high * slope + intercept
    levels = np.rint((shown - low) / (high - low) * 255)
    return 255 - levels if dataset.PhotometricInterpretation == "MONOCHROME1" else levels


def difference(ours, theirs):
    return int(np.abs(ours.astype(int) - theirs.astype(int)).max())


@pytest.mark.spec("REND-9")
@pytest.mark.parametrize("name", MONOCHROME)
def test_samples_look_as_pydicom_shows_them(name):
    data = (SAMPLES / name).read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(io.BytesIO(data))
        assert difference(rendered(data), by_pydicom(dataset, windowed="WindowCenter" in dataset)) <= 1


@pytest.mark.spec("REND-9", "W-16")
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    ("array", "bits"),
    [(ramp(), 8), (ramp(bits=12), 12), (ramp(bits=12, signed=True), 12), (ramp(bits=16, signed=True), 16)],
)
def test_windows_of_every_function_are_applied_after_the_rescale(array, bits, photometric, function):
    span = int(array.max()) - int(array.min())
    dataset = data_set(
        array,
        bits=bits,
        photometric=photometric,
        RescaleSlope="1.5",
        RescaleIntercept="-20",
        WindowCenter=[str(round(float(array.mean()) * 1.5 - 20)), "1"],
        WindowWidth=[str(span // 2), "2"],
        VOILUTFunction=function,
    )
    one = file(dataset)
    assert difference(rendered(one.data), by_pydicom(pydicom.dcmread(io.BytesIO(one.data)))) <= 1


@pytest.mark.spec("REND-9")
def test_without_a_window_the_darkest_value_is_black_and_the_brightest_white():
    array = ramp(bits=16) // 7 + 1000
    shown = rendered(file(data_set(array)).data)
    assert (shown.min(), shown.max()) == (0, 255)
    assert difference(shown, (array - array.min()) / np.ptp(array) * 255) <= 1
    inverted = rendered(file(data_set(array, photometric="MONOCHROME1")).data)
    assert np.array_equal(inverted, 255 - shown)
    assert not rendered(file(data_set(np.full((4, 4), 77, np.uint8))).data).any()


@pytest.mark.spec("W-16")
def test_an_asked_window_replaces_that_of_the_image():
    array = ramp(bits=12, signed=True)
    own = data_set(array, bits=12, WindowCenter="0", WindowWidth="100")
    plain = data_set(array, bits=12)
    window = Window(50, 600, "LINEAR")
    asked = rendered(file(own).data, window=window)
    assert np.array_equal(asked, rendered(file(plain).data, window=window))
    assert not np.array_equal(asked, rendered(file(own).data))
    exact = pydicom.dcmread(io.BytesIO(file(data_set(array, bits=12, WindowCenter="50", WindowWidth="600")).data))
    assert difference(asked, by_pydicom(exact)) <= 1


def lut(first, bits, entries, **attributes):
    item = pydicom.Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.LUTData = np.asarray(entries, "<u2").tobytes()
    item["LUTData"].VR = "OW"
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


@pytest.mark.spec("REND-9")
def test_lookup_tables_come_before_windows():
    array = ramp()
    entries = [(255 - n) ** 2 // 4 for n in range(256)]
    voi = data_set(array, WindowCenter="1", WindowWidth="2", VOILUTSequence=[lut(0, 14, entries)])
    one = file(voi)
    assert difference(rendered(one.data), by_pydicom(pydicom.dcmread(io.BytesIO(one.data)))) <= 1
    modality = data_set(array, ModalityLUTSequence=[lut(10, 16, entries[:200], ModalityLUTType="US")], RescaleSlope="9")
    one = file(modality)
    values = apply_modality_lut(array, pydicom.dcmread(io.BytesIO(one.data))).astype(float)
    assert difference(rendered(one.data), np.rint((values - values.min()) / np.ptp(values) * 255)) <= 1


@pytest.mark.spec("REND-9")
def test_each_frame_is_shown_as_its_functional_groups_say():
    def group(slope, center, width):
        item = pydicom.Dataset()
        transformation, window = pydicom.Dataset(), pydicom.Dataset()
        transformation.RescaleSlope, transformation.RescaleIntercept = slope, "0"
        window.WindowCenter, window.WindowWidth = center, width
        item.PixelValueTransformationSequence = [transformation]
        item.FrameVOILUTSequence = [window]
        return item

    array = np.stack([ramp(), ramp(), ramp()])
    groups = [group("1", "100", "50"), group("2", "200", "100"), pydicom.Dataset()]
    shared = group("1", "128", "256")
    dataset = data_set(
        array, frames=3, PerFrameFunctionalGroupsSequence=groups, SharedFunctionalGroupsSequence=[shared]
    )
    one = file(dataset)
    first, second, third = (rendered(one.data, number) for number in (1, 2, 3))
    expected = np.clip((ramp() - 99.5) / 49 + 0.5, 0, 1) * 255
    assert difference(first, np.rint(expected)) <= 1
    assert difference(second, np.rint(np.clip((ramp() * 2.0 - 199.5) / 99 + 0.5, 0, 1) * 255)) <= 1
    assert difference(third, ramp()) <= 1


@pytest.mark.spec("REND-9")
@pytest.mark.parametrize(
    "name",
    [
        "examples_rgb_color.dcm",
        "examples_ybr_color.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "SC_rgb_dcmtk_+eb+cy+np.dcm",
        "examples_jpeg2k.dcm",
        "SC_rgb_rle_16bit.dcm",
        "SC_rgb_small_odd_jpeg.dcm",
    ],
)
def test_colours_look_as_pydicom_shows_them(name):
    data = (SAMPLES / name).read_bytes()
    dataset = pydicom.dcmread(io.BytesIO(data))
    expected = dataset.pixel_array
    if dataset.get("NumberOfFrames", 1) > 1:
        expected = expected[0]
    if dataset.BitsStored > 8:
        expected = expected >> (dataset.BitsStored - 8)
    assert difference(rendered(data), expected) <= 1


def test_partial_range_colours_use_their_range():
    array = np.zeros((4, 4, 3), np.uint8)
    array[..., 0], array[..., 1:] = 16, 128
    array[0, 0, 0] = 235
    shown = rendered(file(data_set(array, photometric="YBR_PARTIAL_422", BitsStored=8)).data)
    assert shown[0, 0].tolist() == [255, 255, 255]
    assert shown[1, 1].tolist() == [0, 0, 0]


@pytest.mark.spec("REND-9")
def test_native_colour_of_every_arrangement_looks_alike():
    array = np.stack([ramp(), ramp()[::-1], ramp() // 2], axis=-1)
    planes = data_set(np.ascontiguousarray(np.moveaxis(array, -1, 0)).reshape(array.shape), PlanarConfiguration=1)
    assert np.array_equal(rendered(file(data_set(array)).data), array)
    assert np.array_equal(rendered(file(planes).data), array)
    ybr = convert_color_space(array, "RGB", "YBR_FULL")
    assert difference(rendered(file(data_set(ybr, photometric="YBR_FULL")).data), array) <= 2


@pytest.mark.spec("REND-9")
def test_palettes_give_their_colours():
    data = (SAMPLES / "examples_palette.dcm").read_bytes()
    dataset = pydicom.dcmread(io.BytesIO(data))
    colors = apply_color_lut(dataset.pixel_array, dataset)
    assert difference(rendered(data), colors >> 8 if colors.max() > 255 else colors) <= 1


@pytest.mark.parametrize("bits", [8, 16])
def test_segmented_palettes_are_spelt_out(bits):
    words = [0, 2, 0, 10, 1, 4, 50, 2, 2] + ([0, 0] if bits == 16 else [0, 0, 0, 0]) + [0, 1, 200]
    data = np.asarray(words, "<u2" if bits == 16 else "u1").tobytes()
    dataset = data_set(ramp(rows=1, columns=14, bits=8) // 20, photometric="PALETTE COLOR")
    dataset.PixelData = bytes(range(14))
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(ELE)
    for color in ("Red", "Green", "Blue"):
        setattr(dataset, f"{color}PaletteColorLookupTableDescriptor", [13, 0, bits])
        name = f"Segmented{color}PaletteColorLookupTableData"
        setattr(dataset, name, data + bytes(len(data) % 2))
        dataset[name].VR = "OW"
    one = file(dataset)
    shown = rendered(one.data)[0, :, 0]
    first = [0, 10, 20, 30, 40, 50]
    again = [0, 10, 20, 30, 40, 50]
    assert shown.tolist() == [*first, *again, 200, 200]


@pytest.mark.spec("REND-6")
def test_what_has_no_palette_or_is_unknown_cannot_be_shown():
    for changes in ({"photometric": "PALETTE COLOR"}, {"photometric": "CMYK"}):
        with pytest.raises(Unconvertible):
            rendered(file(data_set(ramp(), **changes)).data)
    with pytest.raises(Unconvertible):
        rendered(file(data_set(ramp(samples=3), photometric="HSV")).data)
    damaged = data_set(ramp(), VOILUTSequence=[lut(0, 8, range(10), LUTDescriptor=[200, 0, 8])])
    with pytest.raises(Unconvertible):
        rendered(file(damaged).data)


def test_floating_point_pixels_are_shown():
    values = np.linspace(-3.5, 8.25, 48).reshape(6, 8).astype("<f4")
    dataset = data_set(ramp(6, 8, bits=16))
    del dataset.PixelData, dataset.BitsStored, dataset.HighBit
    dataset.BitsAllocated = 32
    dataset.FloatPixelData = values.tobytes()
    shown = rendered(file(dataset).data)
    assert difference(shown, np.rint((values - values.min()) / np.ptp(values) * 255)) <= 1


def test_a_lookup_table_goes_on_beyond_its_ends():
    table = LookupTable(10, 8, (1, 2, 3))
    assert table.applied_to(np.array([-5, 10, 11, 12, 99])).tolist() == [1, 1, 2, 3, 3]


# ---------------------------------------------------------------------------------------------------------- pictures


@pytest.mark.spec("W-16")
@pytest.mark.parametrize(
    ("viewport", "size"),
    [
        (Viewport(28, 28), (28, 20)),
        (Viewport(112, 200), (112, 80)),
        (Viewport(1000, 20), (28, 20)),
        (Viewport(10, 10, (0, 0, 20, 40)), (5, 10)),
        (Viewport(56, 40, (50, 30, None, None)), (24, 40)),
        (Viewport(1, 1), (1, 1)),
    ],
)
def test_a_viewport_scales_down_and_up_and_keeps_the_shape(viewport, size):
    assert fitted(ramp(), viewport).size == size
    assert fitted(ramp(samples=3), viewport).size == size


def test_a_region_shows_its_part_and_negative_sizes_flip_it():
    array = ramp()
    part = np.asarray(fitted(array, Viewport(10, 20, (5, 6, 10, 20))))
    assert np.array_equal(part, array[6:26, 5:15])
    flipped = np.asarray(fitted(array, Viewport(10, 20, (5, 6, 10, 20), True, True)))
    assert np.array_equal(flipped, array[6:26, 5:15][::-1, ::-1])
    with pytest.raises(Unconvertible):
        fitted(array, Viewport(10, 10, (100, 100, 5, 5)))


@pytest.mark.spec("REND-1", "REND-4")
@pytest.mark.parametrize("samples", [1, 3])
def test_pictures_are_what_they_say(samples):
    array = ramp(samples=samples)
    image = fitted(array, None)
    files = {name: encoded(image, f"image/{name}", 100) for name in ("jpeg", "png", "gif")}
    for name, data in files.items():
        read = Image.open(io.BytesIO(data))
        assert (read.format.lower(), read.size) == (name, (56, 40))
        assert difference(np.asarray(read.convert("RGB" if samples == 3 else "L")), array) <= (
            0 if name == "png" else 40
        )
    noise = fitted(np.random.default_rng(1).integers(0, 256, (64, 64), np.uint8), None)
    sizes = [len(encoded(noise, "image/jpeg", quality)) for quality in (1, 50, 100)]
    assert sizes == sorted(sizes)
    assert len(encoded(noise, "image/png", 1)) == len(encoded(noise, "image/png", 100))


def test_profiles_are_embedded_and_colours_are_converted():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    crayons = (SAMPLES / "crayons.icc").read_bytes()
    image = fitted(ramp(samples=3), None)
    for media_type in ("image/jpeg", "image/png"):
        assert Image.open(io.BytesIO(encoded(image, media_type, 100, crayons))).info["icc_profile"] == crayons
    same, described = in_srgb(image, None)
    assert same is image
    assert described[36:40] == b"acsp"
    with pytest.raises(Unconvertible):
        in_srgb(image, b"no profile")
    assert profile[36:40] == b"acsp"


def test_the_profile_of_an_optical_path_is_found():
    crayons = (SAMPLES / "crayons.icc").read_bytes()
    path = pydicom.Dataset()
    path.ICCProfile = crayons
    one = file(data_set(ramp(samples=3), OpticalPathSequence=[path]))
    assert tables_of(one.data).profile.rstrip(b"\0") == crayons.rstrip(b"\0")


def test_decoded_samples_are_not_changed_by_showing_them():
    array = ramp(samples=3)
    array.flags.writeable = False
    pixels = image_pixels(
        {
            "7FE00010": {"vr": "OW"},
            **{
                key: {"vr": "US", "Value": [value]}
                for key, value in (("00280002", 3), ("00280010", 40), ("00280011", 56), ("00280100", 8))
            },
        }
    )
    assert np.array_equal(picture(Decoded(array, pixels, lossy=False), presentation({}, 1, NO_TABLES)), array)


def test_a_jfif_marker_says_how_colours_are_coded_whatever_the_data_set_says():
    import imagecodecs

    array = np.stack([ramp() // 2, np.full_like(ramp(), 200), ramp()[::-1] // 3], axis=-1).astype(np.uint8)
    jfif = bytes(imagecodecs.jpeg8_encode(array, level=98))
    assert jfif[6:11] == b"JFIF\0"
    for photometric in ("RGB", "YBR_FULL_422"):
        one = compressed(data_set(array, photometric=photometric), JPEG, [jfif])
        assert difference(rendered(one.data), array) <= 8
    bare = jfif[:2] + jfif[4 + int.from_bytes(jfif[4:6], "big") :]
    one = compressed(data_set(array, photometric="RGB"), JPEG, [bare])
    assert difference(rendered(one.data), array) > 50  # as the data set says, where nothing else does


@pytest.mark.parametrize(("zeros", "readable"), [(0, True), (1, True), (2, True), (7, True), (40, False)])
def test_zeros_behind_the_segments_of_a_frame_are_no_samples(zeros, readable):
    array = ramp().astype(np.uint8)
    one = compressed(data_set(array), RLE, [run_length(array) + bytes(zeros)])
    if readable:
        assert difference(rendered(one.data), rendered(file(data_set(array)).data)) == 0
    else:
        with pytest.raises(Unconvertible):
            rendered(one.data)
