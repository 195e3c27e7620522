"""What all demonstration data sets have in common: file meta, patients, UIDs that are the same in every run."""

import io
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

_NAMESPACE: Final = uuid.UUID("9d3b0a52-6a4e-4a37-9d10-3f3f6f0f5c11")
ISSUER: Final = "DEMO"


@dataclass(frozen=True, slots=True)
class Study:
    """A study: what to call it, and its data sets."""

    title: str
    data_sets: Sequence[Dataset]

    @property
    def study_instance_uid(self) -> str:
        """Of all its data sets."""
        return str(self.data_sets[0].StudyInstanceUID)


def uid(*names: object) -> str:
    """A UID of these names: the same in every run, so that a second one finds its studies there."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, '/'.join(map(str, names))).int}"


def patient(number: int, name: str, birth: str, sex: str, *, study: str, date: str, description: str) -> dict[str, Any]:
    """The attributes of a patient and a study."""
    return {
        "PatientName": name,
        "PatientID": f"{ISSUER}-{number:03}",
        "IssuerOfPatientID": ISSUER,
        "PatientBirthDate": birth,
        "PatientSex": sex,
        "StudyInstanceUID": uid(study),
        "StudyID": str(number),
        "StudyDate": date,
        "StudyTime": "101500",
        "SeriesDate": date,
        "ContentDate": date,
        "SeriesTime": "101500",
        "ContentTime": "101500",
        "StudyDescription": description,
        "AccessionNumber": f"{ISSUER}{number:05}",
        "ReferringPhysicianName": "",
    }


def data_set(
    sop_class: str, modality: str, shared: dict[str, Any], *, series: int, number: int, syntax: str, **more: Any
) -> FileDataset:
    """A data set with its file meta information, in a series of `shared`'s study."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.TransferSyntaxUID = UID(syntax)
    made = FileDataset(io.BytesIO(), Dataset(), file_meta=meta, preamble=bytes(128))
    made.SpecificCharacterSet = "ISO_IR 192"
    attributes = {
        "SOPClassUID": sop_class,
        "SOPInstanceUID": uid(shared["StudyInstanceUID"], series, number),
        "SeriesInstanceUID": uid(shared["StudyInstanceUID"], series),
        "SeriesNumber": series,
        "InstanceNumber": number,
        "Modality": modality,
        "Manufacturer": "Demonstration",
        "ManufacturerModelName": "Phantom",
        "DeviceSerialNumber": "1",
        "SoftwareVersions": "1",
        **shared,
        **more,
    }
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


def plain(sop_class: str, modality: str, shared: dict[str, Any], **more: Any) -> FileDataset:
    """The only data set of the first series, uncompressed."""
    return data_set(sop_class, modality, shared, series=1, number=1, syntax=ExplicitVRLittleEndian, **more)


def item(**attributes: Any) -> Dataset:
    """An item of a sequence."""
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence."""
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def reference(referenced: Dataset) -> Dataset:
    """An item that refers to an instance."""
    return item(ReferencedSOPClassUID=referenced.SOPClassUID, ReferencedSOPInstanceUID=referenced.SOPInstanceUID)


def part10(made: Dataset) -> bytes:
    """The file."""
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
