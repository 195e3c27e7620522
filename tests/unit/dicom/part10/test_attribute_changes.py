"""PS3.10 §7 A file with other values and other UIDs, compared with what pydicom reads of it."""

from io import BytesIO

import pytest
from pydicom import Dataset, Sequence, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from shared.dicom.part10.attribute_changes import (
    AttributeChanges,
    CannotChange,
    ModificationRecord,
    MoreNeeded,
    changed_file,
)
from shared.dicom.part10.file_meta import IMPLEMENTATION_CLASS_UID
from shared.dicom.part10.file_reader import Part10Reader
from shared.dicom.part10.uid_changes import UidChanges
from tests.builders.images import EBE, ELE, ILE

SYNTAXES = [ELE, ILE, EBE, DeflatedExplicitVRLittleEndian]
NAME, COMMENTS = 0x00100010, 0x00104000
RECORD = ModificationRecord("Us", "20240131120000+0000", "CORRECT", (0x00100020, 0x00100021))
UIDS = UidChanges({"1.2.1": "2.25.11", "1.2.1.1": "2.25.111", "1.2.1.2": "2.25.112345"}, "1.2", "3.4")
"""Series 1.2.1 with two instances leaves study 1.2."""


def data_set(**attributes) -> Dataset:
    one = Dataset()
    one.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    one.SOPInstanceUID, one.StudyInstanceUID, one.SeriesInstanceUID = "1.2.1.1", "1.2", "1.2.1"
    one.PatientName, one.PatientID = "Doe^Jane", "4711"
    one.Rows = 2
    one.PixelData = b"1234"
    one["PixelData"].VR = "OW"
    for keyword, value in attributes.items():
        setattr(one, keyword, value)
    return one


def written(one: Dataset, syntax: str) -> bytes:
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = syntax
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID
    stream = BytesIO()
    dcmwrite(stream, one, enforce_file_format=True)
    return stream.getvalue()


def changed(data: bytes, changes: AttributeChanges) -> Dataset:
    """What the new file holds; what is told of it is what a reader finds in it."""
    reader = Part10Reader(strict=False)
    reader.feed(data)
    file = changed_file(data, len(data), changes, reader.finish().attributes)
    new = file.head + data[file.copied_from :]
    again = Part10Reader(strict=False)
    again.feed(new)
    attributes = again.finish().attributes
    assert {key: attributes[key] for key in file.attributes} == file.attributes
    return dcmread(BytesIO(new))


def without(one: Dataset, *keywords: str) -> Dataset:
    copy = Dataset({element.tag: element for element in one})
    for keyword in keywords:
        del copy[keyword]
    return copy


def references(*uids: str, undefined: bool = False) -> Sequence:
    items = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", uid
        item.is_undefined_length_sequence_item = undefined
        items.append(item)
    return Sequence(items)


def series(uid: str, *instances: str) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID, item.ReferencedSOPSequence = uid, references(*instances)
    return item


def evidence(study: str, *members: Dataset) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID, item.ReferencedSeriesSequence = study, Sequence(members)
    return item


@pytest.mark.spec("UPD-20", "UPD-21", "UPD-22")
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_values_are_set_added_and_emptied_and_all_else_stays(syntax):
    one = data_set(PatientAddress="Street")
    values = {NAME: [{"Alphabetic": "Roe^Jane"}], COMMENTS: ["new"], 0x00101040: []}
    new = changed(written(one, syntax), AttributeChanges(values))
    assert (new.PatientName, new.PatientComments, new.PatientAddress) == ("Roe^Jane", "new", "")
    assert new.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    left = ("PatientName", "PatientAddress")
    assert without(new, *left, "PatientComments") == without(one, *left)


@pytest.mark.spec("MRG-4")
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_replaced_is_recorded(syntax):
    data = written(data_set(), syntax)
    changes = AttributeChanges({NAME: [{"Alphabetic": "Roe^Jane"}], 0x00100020: ["4712"], COMMENTS: ["x"]}, RECORD)
    new = changed(data, changes)
    [item] = new.OriginalAttributesSequence
    [before] = item.ModifiedAttributesSequence
    assert [element.keyword for element in before] == ["PatientName", "PatientID"]
    assert (item.ModifyingSystem, item.SourceOfPreviousValues) == ("Us", "")
    assert [item.PatientID for item in new.OtherPatientIDsSequence] == ["4711"]


def test_a_part_of_the_file_is_enough_if_it_reaches_as_far_as_the_changes():
    data = written(data_set(PixelData=bytes(10_000)), ELE)
    changes = AttributeChanges({NAME: []})
    head = data[:1000]
    file = changed_file(head, len(data), changes, {})
    assert dcmread(BytesIO(file.head + data[file.copied_from :])).PixelData == bytes(10_000)
    with pytest.raises(MoreNeeded):
        changed_file(data[:300], len(data), changes, {})
    with pytest.raises(MoreNeeded):
        changed_file(written(data_set(), DeflatedExplicitVRLittleEndian)[:-4], 10_000, changes, {})


@pytest.mark.parametrize("cut", [100, 350])
def test_a_file_that_cannot_be_read_cannot_be_changed(cut):
    data = written(data_set(), ELE)[:cut]
    with pytest.raises(CannotChange):
        changed_file(data, len(data), AttributeChanges({0x00280011: []}, uids=UIDS), {})


def test_a_value_without_a_way_to_be_written_cannot_be_set_beside_other_text():
    data = written(data_set(SpecificCharacterSet="ISO_IR 100", PatientAddress="Größe"), ELE)
    metadata = {"00101040": {"vr": "LO", "Value": ["Größe"]}}
    with pytest.raises(CannotChange):
        changed_file(data, len(data), AttributeChanges({NAME: [{"Alphabetic": "山田"}]}), metadata)


@pytest.mark.spec("MRG-3")
@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_uids_change_at_every_level(syntax, undefined):
    one = data_set(
        ReferencedImageSequence=references("1.2.1.2", "9.9", undefined=undefined),
        FrameOfReferenceUID="1.2",
        CurrentRequestedProcedureEvidenceSequence=Sequence(
            [evidence("1.2", series("1.2.1", "1.2.1.2")), evidence("5.6", series("5.6.1", "5.6.1.1"))]
        ),
    )
    for keyword in ("ReferencedImageSequence", "CurrentRequestedProcedureEvidenceSequence"):
        one[keyword].is_undefined_length = undefined
    new = changed(written(one, syntax), AttributeChanges({}, uids=UIDS))

    assert (new.SOPInstanceUID, new.StudyInstanceUID, new.SeriesInstanceUID) == ("2.25.111", "3.4", "2.25.11")
    assert new.file_meta.MediaStorageSOPInstanceUID == "2.25.111"
    assert [item.ReferencedSOPInstanceUID for item in new.ReferencedImageSequence] == ["2.25.112345", "9.9"]
    assert new.FrameOfReferenceUID == "1.2"
    moved, other = new.CurrentRequestedProcedureEvidenceSequence
    assert moved == evidence("3.4", series("2.25.11", "2.25.112345"))
    assert other == evidence("5.6", series("5.6.1", "5.6.1.1"))
    left = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
    changed_ones = (*left, "ReferencedImageSequence", "CurrentRequestedProcedureEvidenceSequence")
    assert without(new, *changed_ones) == without(one, *changed_ones)


@pytest.mark.spec("MRG-3")
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_an_item_about_series_that_move_and_series_that_stay_becomes_two(syntax):
    members = (series("1.2.1", "1.2.1.1"), series("1.2.2", "1.2.2.1"))
    one = data_set(CurrentRequestedProcedureEvidenceSequence=Sequence([evidence("1.2", *members)]))
    new = changed(written(one, syntax), AttributeChanges({}, uids=UIDS))
    staying, moved = new.CurrentRequestedProcedureEvidenceSequence
    assert staying == evidence("1.2", members[1])
    assert moved == evidence("3.4", series("2.25.11", "2.25.111"))


@pytest.mark.spec("MRG-3", "MRG-4")
def test_the_old_uids_are_recorded_and_what_was_recorded_before_stays():
    data = written(data_set(), ELE)
    first = changed_file(data, len(data), AttributeChanges({}, RECORD, UIDS), {})
    once = first.head + data[first.copied_from :]
    back = UidChanges({new: old for old, new in UIDS.uids.items()}, "3.4", "1.2")
    new = changed(once, AttributeChanges({}, RECORD, back))
    recorded = [item.ModifiedAttributesSequence[0] for item in new.OriginalAttributesSequence]
    assert [item.SOPInstanceUID for item in recorded] == ["1.2.1.1", "2.25.111"]
    assert [item.StudyInstanceUID for item in recorded] == ["1.2", "3.4"]
    assert "OtherPatientIDsSequence" not in new
