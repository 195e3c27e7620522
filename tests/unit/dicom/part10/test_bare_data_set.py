"""Files without preamble or file meta information are told from other files, and become Part 10 files."""

import io
import struct
import warnings
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from shared.dicom.part10.bare_data_set import OPENING_BYTES, completion
from shared.dicom.part10.file_reader import read_whole
from tests.builders.files import file


def data_set(sop_class="1.2.840.10008.5.1.4.1.1.7"):
    found = Dataset()
    found.SpecificCharacterSet = "ISO_IR 100"
    found.SOPClassUID, found.SOPInstanceUID = sop_class, "1.2.3.4"
    found.StudyInstanceUID, found.SeriesInstanceUID = "1.2.3", "1.2.3.5"
    found.PatientID, found.PatientName = "P1", "Test^Name"
    return found


def written(found, syntax):
    stream = io.BytesIO()
    pydicom.dcmwrite(
        stream,
        found,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
        enforce_file_format=False,
    )
    return stream.getvalue()


@pytest.mark.spec("IMP-4")
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("sop_class", ["1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.2.1"])
def test_a_data_set_alone_gets_the_file_meta_information_of_its_coding(syntax, sop_class):
    bare = written(data_set(sop_class), syntax)
    found = completion(bare[:OPENING_BYTES])
    assert "file meta information" in found.added
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = pydicom.dcmread(io.BytesIO(found.prefix + bare))
    assert read.file_meta.TransferSyntaxUID == syntax
    assert (read.file_meta.MediaStorageSOPClassUID, read.file_meta.MediaStorageSOPInstanceUID) == (
        read.SOPClassUID,
        read.SOPInstanceUID,
    )
    assert read.PatientID == "P1"
    assert read_whole(found.prefix + bare).transfer_syntax_uid == syntax


@pytest.mark.spec("IMP-4")
@pytest.mark.parametrize("cut", [128, 132])
def test_file_meta_information_without_preamble_gets_one(cut):
    whole = file().data
    found = completion(whole[cut:])
    assert found.added == "the preamble"
    assert found.prefix + whole[cut:] == bytes(128) + whole[128:]


def test_a_sample_without_preamble_is_recognized():
    opening = Path(get_testdata_file("rtstruct.dcm")).read_bytes()[:OPENING_BYTES]
    assert "Implicit VR Little Endian" in completion(opening).added


@pytest.mark.parametrize(
    "opening",
    [
        b"",
        b"\x08",
        b"hello, this is a text",
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        b"PK\x03\x04" + bytes(200),
        b"%PDF-1.7" + bytes(200),
        b"\xff\xd8\xff\xe0" + bytes(200),
        b"\x08\x00" + bytes(200),
        struct.pack("<HHL", 8, 5, 1 << 30) + bytes(200),
        struct.pack("<HHL", 8, 0x16, 4) + b"1.2 " + struct.pack("<HHL", 0x10, 0x10, 4) + b"ABCD",
        written(data_set(), ExplicitVRLittleEndian)[:30],
        file().data,
    ],
)
def test_what_is_no_bare_data_set_is_left_alone(opening):
    assert completion(opening) is None


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x08\0\x05\0", b"\x08\0\x05\0CS\x0a\0", b"\0\x08\0\x05CS"]))
def test_no_bytes_take_the_recognition_out_of_its_way(data, beginning):
    found = completion(beginning + data)
    assert found is None or found.prefix[128:132] == b"DICM"
