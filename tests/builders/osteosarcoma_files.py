"""The files of cohorts §9.2: twenty studies of the patients of `osteosarcoma`, with a dose SR in the first."""

from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.builders import osteosarcoma
from tests.builders.datasets import part10, set_pixels

IMAGE_CLASSES = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4"}
DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.67"
UNKNOWN = 15
"""The study of a patient whom the EHR does not know."""
STUDIES = range(1, 21)


def study_uid(number: int) -> str:
    """Of a study."""
    return f"2.25.7000.{number}"


def files(number: int) -> Iterator[bytes]:
    """The files of one study."""
    for instance in (1, 2):
        yield part10(image(number, instance))
    if number == 1:
        yield part10(dose_report())


def image(number: int, instance: int) -> Dataset:
    """One image."""
    dataset = _of_study(number)
    modality = osteosarcoma.STUDIES[number][1]
    dataset.SOPClassUID = IMAGE_CLASSES[modality]
    dataset.SOPInstanceUID = f"{study_uid(number)}.1.{instance}"
    dataset.Modality = modality
    dataset.SeriesInstanceUID = f"{study_uid(number)}.1"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, instance
    dataset.SeriesDescription = "Axial 5 mm"
    set_pixels(dataset, rows=16, columns=16, bits=8)
    return dataset


def _of_study(number: int) -> Dataset:
    of, modality, started = osteosarcoma.STUDIES[number]
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.Manufacturer = "Acceptance"
    dataset.StudyInstanceUID = study_uid(number)
    dataset.FrameOfReferenceUID = f"{study_uid(number)}.9"
    day, _, time = started.partition("T")
    dataset.StudyDate = day.replace("-", "")
    if time:
        dataset.StudyTime = time[:8].replace(":", "")
        dataset.TimezoneOffsetFromUTC = time[8:].replace(":", "")
    dataset.StudyID = str(number)
    dataset.AccessionNumber = f"A-{number}"
    dataset.StudyDescription = "CT chest follow-up" if number == 2 else f"{modality} chest"
    known = number != UNKNOWN
    dataset.PatientID = f"COH-{of:03}" if known else "COH-099"
    dataset.PatientName = f"Family{of}^G" if known else "Unknown^U"
    dataset.PatientSex = osteosarcoma.patient(of)["gender"][0].upper() if known else "O"
    return dataset


def dose_report() -> Dataset:
    """The X-Ray Radiation Dose SR of study 1."""
    dataset = _of_study(1)
    dataset.SOPClassUID = DOSE_SR
    dataset.SOPInstanceUID = "2.25.7000.1.2.1"
    dataset.Modality = "SR"
    dataset.SeriesInstanceUID = "2.25.7000.1.2"
    dataset.SeriesNumber, dataset.InstanceNumber = 2, 1
    dataset.SeriesDescription = "Dose report"
    dataset.ContentDate, dataset.ContentTime = "20250212", "093100"
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "UNVERIFIED"
    dataset.ValueType = "CONTAINER"
    dataset.ConceptNameCodeSequence = Sequence([_code("113701", "DCM", "X-Ray Radiation Dose Report")])
    dataset.ContinuityOfContent = "SEPARATE"
    accumulated = [
        _number("113812", "Total Number of Irradiation Events", 1, "{events}"),
        _number("113813", "CT Dose Length Product Total", 250.5, "mGy.cm"),
    ]
    body = _code("113691", "DCM", "IEC Body Dosimetry Phantom")
    dose = [
        _number("113830", "Mean CTDIvol", 7.5, "mGy"),
        _item("CONTAINS", "CODE", "113835", "CTDIw Phantom Type", ConceptCodeSequence=[body]),
        _number("113838", "DLP", 250.5, "mGy.cm"),
    ]
    chest = _code("51185008", "SCT", "Chest")
    event = [
        _item("CONTAINS", "CODE", "123014", "Target Region", ConceptCodeSequence=[chest]),
        _item("CONTAINS", "UIDREF", "113769", "Irradiation Event UID", UID="2.25.7000.901"),
        _container("113829", "CT Dose", dose),
    ]
    tomography, device = _code("77477000", "SCT", "Computed tomography"), _code("121007", "DCM", "Device")
    dataset.ContentSequence = Sequence(
        [
            _item("HAS CONCEPT MOD", "CODE", "121058", "Procedure reported", ConceptCodeSequence=[tomography]),
            _item("HAS OBS CONTEXT", "CODE", "121005", "Observer Type", ConceptCodeSequence=[device]),
            _item("HAS OBS CONTEXT", "UIDREF", "121012", "Device Observer UID", UID="2.25.7000.900"),
            _item("CONTAINS", "DATETIME", "113809", "Start of X-Ray Irradiation", DateTime="20250212093005"),
            _item("CONTAINS", "DATETIME", "113810", "End of X-Ray Irradiation", DateTime="20250212093015"),
            _container("113811", "CT Accumulated Dose Data", accumulated),
            _container("113819", "CT Acquisition", event),
        ]
    )
    return dataset


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _item(relationship: str, kind: str, code: str, meaning: str, **values: Any) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relationship, kind
    item.ConceptNameCodeSequence = Sequence([_code(code, "DCM", meaning)])
    for keyword, value in values.items():
        setattr(item, keyword, Sequence(value) if isinstance(value, list) else value)
    return item


def _container(code: str, meaning: str, content: list[Dataset]) -> Dataset:
    return _item("CONTAINS", "CONTAINER", code, meaning, ContinuityOfContent="SEPARATE", ContentSequence=content)


def _number(code: str, meaning: str, value: float, unit: str) -> Dataset:
    measured = Dataset()
    measured.NumericValue = str(value)
    measured.MeasurementUnitsCodeSequence = Sequence([_code(unit, "UCUM", unit)])
    return _item("CONTAINS", "NUM", code, meaning, MeasuredValueSequence=[measured])
