"""Files composed of metadata and bulk values: what they hold is what the metadata said."""

import copy
import io

import orjson
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from shared.dicom.part10.composer import BulkPart, CannotCompose, Reference, compose
from shared.dicom.part10.file_reader import Part10Reader
from shared.dicom.reasons import FailureReason
from tests.builders import datasets
from tests.builders.images import ELE, JPEG, image

pytestmark = pytest.mark.spec("STOW-16")


def read(data):
    reader = Part10Reader(strict=True)
    reader.feed(data)
    return reader.finish()


def composed(metadata, bulk=None):
    """The file of `metadata` with the values in `bulk`: by location, bytes or a list of them."""
    values = {uri: each if isinstance(each, list) else [each] for uri, each in (bulk or {}).items()}

    def find(uri):
        return [BulkPart(len(value), value[:4], value[-8:]) for value in values.get(uri, [])]

    pieces = compose(metadata, find)
    return b"".join(values[one.uri][one.number] if isinstance(one, Reference) else one for one in pieces)


def metadata_of(data):
    file = read(data)
    return orjson.loads(orjson.dumps({**file.attributes, **file.file_meta}))


def refused(metadata, bulk=None):
    with pytest.raises(CannotCompose) as error:
        composed(metadata, bulk)
    return error.value.reason


def element(vr, *values):
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


MINIMAL = {
    "00080016": element("UI", "1.2.840.10008.5.1.4.1.1.2"),
    "00080018": element("UI", "1.2.3.4"),
    "0020000D": element("UI", "1.2"),
    "0020000E": element("UI", "1.2.3"),
}


def test_a_file_comes_back_from_its_metadata_and_pixels():
    dataset = datasets.ct(PatientName="Ünal^Ö=山", ImageComments="two\r\nlines \\ of text")
    inner = Dataset()
    inner.SpecificCharacterSet = "ISO_IR 100"
    inner.TextValue = "größer"
    inner.ReferencedFrameNumber = [1, 2]
    dataset.ContentSequence = [inner, Dataset()]
    dataset.PurposeOfReferenceCodeSequence = []
    dataset.FrameIncrementPointer = 0x00181063
    dataset.RealWorldValueSlope = 1.5
    dataset.SimpleFrameList = [1, 70000]
    data = datasets.part10(datasets.add_private(dataset, 2))
    metadata = metadata_of(data)
    file = composed(metadata, {"7FE00010": dataset.PixelData})
    found, original = read(file), read(data)
    assert found.transfer_syntax_uid == ELE
    assert found.attributes.pop("0040A730") == {
        "vr": "SQ",
        "Value": [
            {key: value for key, value in original.attributes.pop("0040A730")["Value"][0].items() if key != "00080005"},
            {},
        ],
    }
    assert found.attributes == original.attributes
    assert found.violations == ()
    assert dcmread(io.BytesIO(file)).PixelData == dataset.PixelData
    assert file[:132] == bytes(128) + b"DICM"


def test_the_file_meta_information_is_the_services_own_but_for_who_sent_it():
    meta = {
        "00020010": element("UI", ELE),
        "00020012": element("UI", "9.9.9"),
        "00020016": element("AE", "MODALITY"),
    }
    found = read(composed({**MINIMAL, **meta})).file_meta
    assert found["00020010"] == element("UI", ELE)
    assert found["00020016"] == element("AE", "MODALITY")
    assert found["00020012"]["Value"] != ["9.9.9"]
    assert found["00020002"] == MINIMAL["00080016"]
    assert found["00020003"] == MINIMAL["00080018"]


@pytest.mark.spec("STOW-16", "W-15")
def test_the_transfer_syntax_is_named_or_there_are_no_pixels():
    assert read(composed(MINIMAL)).transfer_syntax_uid == ELE
    pixels = {"7FE00010": {"vr": "OW", "BulkDataURI": "p"}}
    assert refused({**MINIMAL, **pixels}, {"p": b"12"}) is FailureReason.CANNOT_UNDERSTAND
    jpip = {"00020010": element("UI", "1.2.840.10008.1.2.4.95")}
    assert refused({**MINIMAL, **jpip}) is FailureReason.TRANSFER_SYNTAX_NOT_SUPPORTED


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"])
def test_uncompressed_values_come_in_little_endian_and_stay_so(syntax):
    pixels = {"7FE00010": {"vr": "OW", "BulkDataURI": "p"}, "00020010": element("UI", syntax)}
    found = read(composed({**MINIMAL, **pixels}, {"p": b"\1\0\2\0"}))
    assert found.transfer_syntax_uid == ELE
    assert found.pixel_data.length == 4


def test_the_frames_of_compressed_pixels_become_fragments():
    one = image(syntax=JPEG, frames=3)
    metadata = metadata_of(one.data)
    file = read(composed(metadata, {"7FE00010": list(one.frames)}))
    assert file.transfer_syntax_uid == JPEG
    assert file.frames.count == 3
    odd = composed(metadata, {"7FE00010": [frame + b"\xd9" for frame in one.frames]})
    assert read(odd).frames.count == 3


@pytest.mark.parametrize("closed", [True, False])
def test_pixels_that_are_in_items_already_stay_there(closed):
    one = image(syntax=JPEG, frames=3)
    original = read(one.data)
    end = original.frames.offsets[-1] + (8 if closed else 0)
    value = one.data[original.pixel_data.offset : end]
    file = composed(metadata_of(one.data), {"7FE00010": value})
    start = read(file).pixel_data.offset
    assert file[start:] == one.data[original.pixel_data.offset : original.frames.offsets[-1] + 8]


@pytest.mark.spec("GEN-14")
@pytest.mark.parametrize(
    ("vr", "values", "text"),
    [
        ("DS", [1.5, -3, 0.1 + 0.2, 1e-30, "1.50"], "1.5\\-3\\0.3\\1e-30\\1.50"),
        ("DS", [-1.2345678901234567e-100], "-1.23456789e-100"),
        ("DS", [20000000000.0, 1e300], "20000000000\\1e+300"),
        ("IS", [1, 2.0, "3"], "1\\2\\3"),
        ("LO", ["a", None, "b"], "a\\\\b"),
        ("PN", [{"Alphabetic": "A^B", "Phonetic": "C"}, None, "D"], "A^B==C\\\\D"),
        ("SH", [5], "5"),
    ],
)
def test_values_are_written_as_dicom_writes_them(vr, values, text):
    file = composed({**MINIMAL, "00091001": element(vr, *values)})
    dataset = dcmread(io.BytesIO(file))
    raw = dataset.get_item(0x00091001).value.decode()
    assert raw.rstrip(" ") == text
    assert all(len(each) <= 16 for each in raw.rstrip(" ").split("\\") if vr == "DS")


def test_keys_of_any_order_and_group_lengths_do_not_matter():
    metadata = {**MINIMAL, "00080000": element("UL", 5), "00080005": element("CS", "ISO_IR 100")}
    found = read(composed(dict(reversed(metadata.items())))).attributes
    assert list(found) == sorted({*MINIMAL, "00080005"})


def test_text_beyond_ascii_is_utf_8_whatever_the_metadata_say_of_it():
    metadata = {**MINIMAL, "00080005": element("CS", "ISO_IR 100"), "00100020": element("LO", "Ü")}
    found = read(composed(metadata)).attributes
    assert found["00080005"] == element("CS", "ISO_IR 192")
    assert found["00100020"] == element("LO", "Ü")


def test_a_value_that_is_too_long_for_its_vr_is_of_unknown_vr():
    found = read(composed({**MINIMAL, "00091001": element("LO", "x" * 70_000)})).attributes
    assert found["00091001"]["vr"] == "UN"


def test_a_missing_vr_is_that_of_the_dictionary():
    found = read(composed({**MINIMAL, "00100020": {"Value": ["1"]}})).attributes
    assert found["00100020"] == element("LO", "1")


def test_inline_and_nested_values_are_taken_in():
    nested = {"00420011": {"vr": "OB", "BulkDataURI": "d"}}
    metadata = {**MINIMAL, "0040A730": element("SQ", nested), "00281221": {"vr": "OW", "InlineBinary": "AQIDBA=="}}
    file = composed(metadata, {"d": b"odd"})
    dataset = dcmread(io.BytesIO(file))
    assert dataset.ContentSequence[0].EncapsulatedDocument == b"odd\0"
    assert dataset.get_item(0x00281221).value == b"\1\2\3\4"


@pytest.mark.parametrize(
    "wrong",
    [
        {"00420011": {"vr": "OB", "BulkDataURI": "elsewhere"}},
        {"00420011": {"vr": "OB", "BulkDataURI": 5}},
        {"00420011": {"vr": "OB", "BulkDataURI": "twice"}},
        {"00420011": {"vr": "OB", "InlineBinary": "%"}},
        {"00420011": {"vr": "OB", "InlineBinary": 5}},
        {"00420011": {"vr": "OB", "Value": [1]}},
        {"Nonsense": {"vr": "LO"}},
        {"0010002": {"vr": "LO"}},
        {"FFFEE000": {"vr": "LO"}},
        {"00100020": {"vr": "XX"}},
        {"00100020": {"vr": ["LO"]}},
        {"00100020": 5},
        {"00100020": {"vr": "LO", "Value": "text"}},
        {"00100020": {"vr": "LO", "Value": [{}]}},
        {"00100020": {"vr": "LO", "Value": [True]}},
        {"00280010": {"vr": "US", "Value": [70000]}},
        {"00280010": {"vr": "US", "Value": [1.5]}},
        {"00280010": {"vr": "US", "Value": ["x"]}},
        {"00280010": {"vr": "US", "Value": [None]}},
        {"00280010": {"vr": "US", "Value": [True]}},
        {"00280009": {"vr": "AT", "Value": ["xyz"]}},
        {"00280009": {"vr": "AT", "Value": [5]}},
        {"0040A730": {"vr": "SQ", "Value": [5]}},
        {"00280010": {"vr": "US", "Value": [2**70]}},
        {"00020010": element("UI", JPEG), "7FE00010": {"vr": "OB", "InlineBinary": "AQI="}},
    ],
)
def test_what_cannot_be_encoded_fails_with_its_instance(wrong):
    assert refused({**MINIMAL, **wrong}, {"twice": [b"a", b"b"]}) is FailureReason.CANNOT_UNDERSTAND


def test_hostile_nesting_fails_with_its_instance():
    deep = copy.copy(MINIMAL)
    for _ in range(100):
        deep = {"0040A730": element("SQ", deep)}
    assert refused({**MINIMAL, **deep}) is FailureReason.CANNOT_UNDERSTAND


def test_more_values_than_a_reader_takes_are_not_encoded_first():
    assert refused({**MINIMAL, "00280009": element("UL", *[1] * 262_145)}) is FailureReason.CANNOT_UNDERSTAND
