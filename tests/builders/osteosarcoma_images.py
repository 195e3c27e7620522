"""The DICOM files of cohorts §9.2: twenty studies of two images each, and one dose report."""

from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from shared.dicom.identifiers import InstanceIdentifier
from tests.builders.datasets import part10, set_pixels
from tests.builders.osteosarcoma import patient, study

SOP_CLASSES = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4"}
_DOSE_REPORT = "1.2.840.10008.5.1.4.1.1.88.67"
_OFFSETS = {1: "+0100", 2: "+0200", 3: "+0100", 5: "+0000"}
_SEXES = {"female": "F", "male": "M"}


def files(*numbers: int) -> Iterator[tuple[InstanceIdentifier, bytes]]:
    """The files of some studies, or of all of them."""
    for number in numbers or range(1, 21):
        for at in (1, 2):
            yield _named(_image(number, at))
        if number == 1:
            yield _named(_dose_report())


def _named(dataset: Dataset) -> tuple[InstanceIdentifier, bytes]:
    uids = InstanceIdentifier(dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
    return uids, part10(dataset)


def _of_study(number: int) -> Dataset:
    found, dataset = study(number), Dataset()
    of = found["subject"]["reference"].removeprefix("Patient/pat-")
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientID = f"COH-{int(of):03}"
    dataset.PatientName, dataset.PatientSex = "Unknown^U", "O"
    if of != "99":
        dataset.PatientName = f"Family{of}^G"
        dataset.PatientSex = _SEXES[patient(int(of))["gender"]]
    day, _, time = found["started"].partition("T")
    dataset.StudyDate = day.replace("-", "")
    dataset.StudyTime = time[:8].replace(":", "")
    if number in _OFFSETS:
        dataset.TimezoneOffsetFromUTC = _OFFSETS[number]
    dataset.AccessionNumber, dataset.StudyID = f"A-{number}", str(number)
    dataset.StudyInstanceUID = f"2.25.7000.{number}"
    dataset.StudyDescription = found["description"]
    dataset.ReferringPhysicianName = ""
    dataset.PatientBirthDate = ""
    dataset.Manufacturer = "Acceptance"
    return dataset


def _image(number: int, at: int) -> Dataset:
    dataset = _of_study(number)
    modality = study(number)["modality"][0]["code"]
    dataset.Modality, dataset.SOPClassUID = modality, SOP_CLASSES[modality]
    dataset.SeriesInstanceUID = f"{dataset.StudyInstanceUID}.1"
    dataset.SOPInstanceUID = f"{dataset.SeriesInstanceUID}.{at}"
    dataset.SeriesDescription, dataset.SeriesNumber, dataset.InstanceNumber = "Axial 5 mm", 1, at
    dataset.FrameOfReferenceUID = f"{dataset.StudyInstanceUID}.9"
    set_pixels(dataset, rows=16, columns=16, bits=16)
    return dataset


# ------------------------------------------------------------------------------------------------------- dose report


def _dose_report() -> Dataset:
    dataset = _of_study(1)
    dataset.Modality, dataset.SOPClassUID = "SR", _DOSE_REPORT
    dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "2.25.7000.1.2", "2.25.7000.1.2.1"
    dataset.SeriesDescription, dataset.SeriesNumber, dataset.InstanceNumber = "Dose report", 2, 1
    dataset.ContentDate, dataset.ContentTime = "20250212", "093100"
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "UNVERIFIED"
    dataset.ReferencedPerformedProcedureStepSequence = Sequence()
    dataset.PerformedProcedureCodeSequence = Sequence()
    dataset.ValueType, dataset.ContinuityOfContent = "CONTAINER", "SEPARATE"
    dataset.ConceptNameCodeSequence = _coded("113701", "DCM", "X-Ray Radiation Dose Report")
    accumulated = [
        _number("113812", "Total Number of Irradiation Events", "1", "{events}"),
        _number("113813", "CT Dose Length Product Total", "250.5", "mGy.cm"),
    ]
    dose = [
        _number("113830", "Mean CTDIvol", "7.5", "mGy"),
        _code("113835", "CTDIw Phantom Type", ("113691", "DCM", "IEC Body Dosimetry Phantom")),
        _number("113838", "DLP", "250.5", "mGy.cm"),
    ]
    acquisition = [
        _code("123014", "Target Region", ("51185008", "SCT", "Chest")),
        _item("UIDREF", "113769", "Irradiation Event UID", UID="2.25.7000.901"),
        _container("113829", "CT Dose", dose),
    ]
    observer = {"RelationshipType": "HAS OBS CONTEXT"}
    dataset.ContentSequence = Sequence(
        [
            _code(
                "121058",
                "Procedure reported",
                ("77477000", "SCT", "Computed tomography"),
                RelationshipType="HAS CONCEPT MOD",
            ),
            _code("121005", "Observer Type", ("121007", "DCM", "Device"), **observer),
            _item("UIDREF", "121012", "Device Observer UID", UID="2.25.7000.900", **observer),
            _item("DATETIME", "113809", "Start of X-Ray Irradiation", DateTime="20250212093005"),
            _item("DATETIME", "113810", "End of X-Ray Irradiation", DateTime="20250212093015"),
            _container("113811", "CT Accumulated Dose Data", accumulated),
            _container("113819", "CT Acquisition", acquisition),
        ]
    )
    return dataset


def _coded(value: str, scheme: str, meaning: str) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])


def _item(kind: str, code: str, meaning: str, **values: Any) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", kind
    item.ConceptNameCodeSequence = _coded(code, "DCM", meaning)
    for name, value in values.items():
        setattr(item, name, value)
    return item


def _code(code: str, meaning: str, value: tuple[str, str, str], **values: Any) -> Dataset:
    return _item("CODE", code, meaning, ConceptCodeSequence=_coded(*value), **values)


def _number(code: str, meaning: str, value: str, unit: str) -> Dataset:
    measured = Dataset()
    measured.NumericValue = value
    measured.MeasurementUnitsCodeSequence = _coded(unit, "UCUM", unit)
    return _item("NUM", code, meaning, MeasuredValueSequence=Sequence([measured]))


def _container(code: str, meaning: str, items: list[Dataset]) -> Dataset:
    return _item("CONTAINER", code, meaning, ContinuityOfContent="SEPARATE", ContentSequence=Sequence(items))
