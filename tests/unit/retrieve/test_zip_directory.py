"""The DICOMDIR of archives, as readers of file-sets see it."""

import io
import zipfile

import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.fileset import FileSet

from shared.dicom.identifiers import is_uid
from shared.dicom.part10.media_directory import KEYS, VRS, record_type
from shared.retrieve.instances import zip_directory
from shared.retrieve.instances.zip_directory import new_directory_uid
from tests.builders import datasets
from tests.builders.http import content, field
from tests.builders.images import ILE, J2K_LOSSLESS, image, new_uid
from tests.builders.service import PARTITION
from tests.unit.retrieve.test_instances import scope
from tests.unit.retrieve.test_zip import ZIP, stored

SR, KO, PLAN, DOSE = (f"1.2.840.10008.5.1.4.1.1.{each}" for each in ("88.33", "88.59", "481.5", "481.2"))


async def archive_of(service, path, accept=ZIP):
    response = await service.get(path, accept, "dicomdir=true")
    found = zipfile.ZipFile(io.BytesIO(await content(response)))
    assert response.status == 200
    assert found.testzip() is None
    return found


def read(found):
    """The directory itself, records linked: by type, level and order."""
    data = found.read("DICOMDIR")
    directory = dcmread(DicomBytesIO(data))
    offsets = {item.seq_item_tell: item for item in directory.DirectoryRecordSequence}

    def level(offset):
        members = []
        while offset:
            item = offsets.pop(offset)
            members.append((item, level(item.OffsetOfReferencedLowerLevelDirectoryEntity)))
            offset = item.OffsetOfTheNextDirectoryRecord
        return members

    tree = level(directory.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity)
    assert directory.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity == tree[-1][0].seq_item_tell
    assert offsets == {}, "every record is reached once"
    return directory, tree


@pytest.mark.spec("ZIP-4")
async def test_readers_of_file_sets_find_every_file(service, tmp_path):
    study, series = new_uid(), new_uid()
    images = [
        image(study, series, InstanceNumber=1, PatientName="Müller^Jörg", SeriesNumber=3, StudyID="S1"),
        image(study, series, InstanceNumber=2, syntax=ILE, PatientName="Müller^Jörg"),
        image(study, PatientName="Müller^Jörg", Modality="MR"),
    ]
    path = await stored(service, *images)

    found = await archive_of(service, path)
    found.extractall(tmp_path)
    file_set = FileSet(tmp_path / "DICOMDIR")
    file_set._stage[
        "t"
    ].cleanup()  # a folder for changes, which pydicom leaves to the garbage collector, with a warning

    assert len(file_set) == 3
    assert {str(one.load().SOPInstanceUID) for one in file_set} == {one.identifier.sop_instance_uid for one in images}
    assert file_set.find_values("PatientName") == ["Müller^Jörg"]
    assert set(file_set.find_values("SeriesInstanceUID")) == {one.identifier.series_instance_uid for one in images}
    for one in images:
        [member] = file_set.find(SOPInstanceUID=one.identifier.sop_instance_uid)
        assert (tmp_path / member.path).read_bytes() == one.data


@pytest.mark.spec("ZIP-4")
async def test_records_are_linked_by_level_and_name_files_as_media_have_them(service):
    study, series = new_uid(), new_uid()
    images = [image(study, series, InstanceNumber=number) for number in range(3)] + [image(study)]
    found = await archive_of(service, await stored(service, *images))

    directory, [(patient, [(its_study, its_series)])] = read(found)

    assert directory.file_meta.MediaStorageSOPClassUID == "1.2.840.10008.1.3.10"
    assert directory.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert (patient.DirectoryRecordType, its_study.DirectoryRecordType) == ("PATIENT", "STUDY")
    assert its_study.StudyInstanceUID == study
    assert sorted(len(files) for _, files in its_series) == [1, 3]
    files = [record for _, members in its_series for record, nothing in members]
    assert all(record.RecordInUseFlag == 0xFFFF for record in files)
    assert {record.DirectoryRecordType for record in files} == {"IMAGE"}
    assert sorted(set(found.namelist()) - {"DICOMDIR"}) == sorted("/".join(record.ReferencedFileID) for record in files)
    for record in files:
        assert all(len(each) <= 8 and each.isalnum() and each.upper() == each for each in record.ReferencedFileID)
        instance = dcmread(DicomBytesIO(found.read("/".join(record.ReferencedFileID))))
        assert record.ReferencedSOPInstanceUIDInFile == instance.SOPInstanceUID
        assert record.ReferencedSOPClassUIDInFile == instance.SOPClassUID
        assert record.ReferencedTransferSyntaxUIDInFile == instance.file_meta.TransferSyntaxUID
        assert str(record.InstanceNumber or 0) == str(instance.get("InstanceNumber") or 0)


@pytest.mark.spec("ZIP-4", "ZIP-3")
async def test_records_say_the_syntax_that_files_have_in_the_archive(service):
    path = await stored(service, image(size=(16, 16)))
    found = await archive_of(service, path, f"{ZIP}; transfer-syntax={J2K_LOSSLESS}")

    _, [(_, [(_, [(_, [(record, _)])])])] = read(found)
    assert record.ReferencedTransferSyntaxUIDInFile == J2K_LOSSLESS


@pytest.mark.spec("ZIP-4")
async def test_objects_that_are_no_images_have_records_of_their_own_with_keys_of_their_metadata(service):
    study = new_uid()
    code = datasets.Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "121070", "DCM", "Befund ä"
    values = {"CompletionFlag": "COMPLETE", "VerificationFlag": "UNVERIFIED", "ContentDate": "20260102"}
    report = image(study, frames=0, SOPClassUID=SR, ConceptNameCodeSequence=[code], **values)
    selection = image(study, frames=0, SOPClassUID=KO)
    plan = image(study, frames=0, SOPClassUID=PLAN, RTPlanLabel="Plan 1")
    found = await archive_of(service, await stored(service, report, selection, plan))

    _, [(_, [(_, series)])] = read(found)
    records = {record.DirectoryRecordType: record for _, members in series for record, _ in members}

    assert records.keys() == {"SR DOCUMENT", "KEY OBJECT DOC", "RT PLAN"}
    assert records["SR DOCUMENT"].CompletionFlag == "COMPLETE"
    assert records["SR DOCUMENT"].ConceptNameCodeSequence[0].CodeMeaning == "Befund ä"
    assert "VerificationDateTime" not in records["SR DOCUMENT"]
    assert records["KEY OBJECT DOC"].ContentTime is None or records["KEY OBJECT DOC"].ContentTime == ""
    assert records["RT PLAN"].RTPlanLabel == "Plan 1"


@pytest.mark.spec("ZIP-4", "STOW-50")
@pytest.mark.parametrize(("longest", "most", "kept"), [(600, 10_000, 2), (10_000, 500, 1)])
async def test_what_records_take_of_metadata_is_bounded_and_no_file_is_left_out(
    service, monkeypatch, longest, most, kept
):
    monkeypatch.setattr(zip_directory, "_LONGEST_RECORD", longest)
    monkeypatch.setattr(zip_directory, "_MOST_OF_RECORDS", most)
    study, codes = new_uid(), []
    for number in range(200):
        code = datasets.Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = str(number), "DCM", "x"
        codes.append(code)
    reports = [
        image(study, frames=0, SOPClassUID=SR, ConceptNameCodeSequence=codes[:count], InstanceNumber=count)
        for count in (1, 1, 200)
    ]
    found = await archive_of(service, await stored(service, *reports))

    _, [(_, [(_, series)])] = read(found)
    records = [record for _, members in series for record, _ in members]
    assert len(records) == 3
    assert sum(record.DirectoryRecordType == "SR DOCUMENT" for record in records) == kept
    assert {record.ReferencedSOPInstanceUIDInFile for record in records} == {
        one.identifier.sop_instance_uid for one in reports
    }


@pytest.mark.spec("ZIP-4")
async def test_keys_that_are_missing_are_empty_and_no_file_is_left_out(service):
    one = image()
    path = await stored(service, one)
    found = await archive_of(service, path)

    _, [(patient, [(study, [(series, [(record, _)])])])] = read(found)
    for item, kind in ((patient, "PATIENT"), (study, "STUDY"), (series, "SERIES"), (record, "IMAGE")):
        assert {f"{element.tag:08X}" for element in item if element.tag.group >= 8} - {"00080005"} == set(KEYS[kind])


@pytest.mark.spec("ZIP-4", "ZIP-6")
async def test_what_is_deleted_meanwhile_is_not_in_the_directory(service):
    study = new_uid()
    images = [image(study, size=(1200, 1200)) for _ in range(3)]
    path = await stored(service, *images)
    response = await service.get(path, ZIP, "dicomdir=true")
    begun = await anext(response.body)
    gone = next(one for one in reversed(images) if one.identifier.sop_instance_uid.encode() not in begun)
    blob = await service.archive.blob_of(gone)
    await service.archive.index.delete(PARTITION, scope(gone, "instance"))
    await service.archive.blobs.delete(blob)

    found = zipfile.ZipFile(io.BytesIO(begun + b"".join([piece async for piece in response.body])))

    _, [(_, [(_, series)])] = read(found)
    listed = {record.ReferencedSOPInstanceUIDInFile for _, members in series for record, _ in members}
    assert listed == {one.identifier.sop_instance_uid for one in images if one is not gone}
    assert "MISSING.txt" in found.namelist()


@pytest.mark.spec("ZIP-7", "ZIP-4")
async def test_head_tells_the_length_with_the_directory(service):
    study = new_uid()
    path = await stored(service, image(study), image(study, frames=0, SOPClassUID=SR), image(study))
    response = await service.get(path, ZIP, "dicomdir=true", method="HEAD")
    body = await content(await service.get(path, ZIP, "dicomdir=true"))

    assert field(response, "content-length") == str(len(body))


async def test_many_records_are_made_a_few_at_a_time(service, monkeypatch):
    monkeypatch.setattr(zip_directory, "_TOGETHER", 4)
    study = new_uid()
    path = await stored(service, *[image(study, new_uid() if number % 7 else None) for number in range(30)])

    _, [(_, [(_, series)])] = read(await archive_of(service, path))

    assert sum(len(members) for _, members in series) == 30


@pytest.mark.parametrize(
    ("sop_class", "kind"),
    [
        ("1.2.840.10008.5.1.4.1.1.2", "IMAGE"),
        ("1.2.840.10008.5.1.4.1.1.66", "RAW DATA"),
        ("1.2.840.10008.5.1.4.1.1.66.4", "IMAGE"),
        ("1.2.840.10008.5.1.4.1.1.66.3", "REGISTRATION"),
        ("1.2.840.10008.5.1.4.1.1.11.1", "PRESENTATION"),
        ("1.2.840.10008.5.1.4.1.1.9.1.1", "WAVEFORM"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "ENCAP DOC"),
        ("1.2.840.10008.5.1.4.1.1.4.2", "SPECTROSCOPY"),
        ("1.2.840.10008.5.1.4.1.1.4", "IMAGE"),
        (SR, "SR DOCUMENT"),
        (KO, "KEY OBJECT DOC"),
        (DOSE, "RT DOSE"),
        ("1.2.3", "IMAGE"),
        ("", "IMAGE"),
    ],
)
def test_the_type_of_a_record_is_that_of_the_object(sop_class, kind):
    assert record_type(sop_class) == kind


def test_every_key_that_may_be_missing_has_a_value_representation():
    assert set().union(*KEYS.values()) - VRS.keys() == {"00081115", "0040A030"}


@pytest.mark.spec("ZIP-4", "ZIP-7")
def test_the_uid_of_a_directory_is_valid_and_always_as_long():
    uids = {new_directory_uid() for _ in range(200)}

    assert all(map(is_uid, uids))
    assert {len(uid) for uid in uids} == {44}
    assert not any(uid.startswith("2.25.0") for uid in uids)
