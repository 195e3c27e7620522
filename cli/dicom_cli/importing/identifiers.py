"""The identifiers in the header of a file, read on this machine, to ask a service for it and to report by study."""

import io
from dataclasses import dataclass
from typing import Final

import pydicom

from dicom_cli.importing.folder import LocalFile

_HEADER_BYTES: Final = 16 * 1024**2
"""How much of a file is read whose header has to be put together."""
_TAGS: Final = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID", "Modality"]


@dataclass(frozen=True, slots=True)
class Identifiers:
    """The UIDs of a file; empty where it has none."""

    study: str
    series: str
    sop_instance: str
    modality: str
    has_patient: bool
    """Whether there is a PatientID, which v2 asks for."""

    @property
    def complete(self) -> bool:
        """Whether all three UIDs are there."""
        return bool(self.study and self.series and self.sop_instance)


def identifiers(file: LocalFile) -> Identifiers | None:
    """Of a file; None if its header cannot be read."""
    try:
        with file.open() as stream:
            source = io.BytesIO(file.prefix + stream.read(_HEADER_BYTES)) if file.prefix else stream
            found = pydicom.dcmread(source, specific_tags=_TAGS, stop_before_pixels=True)
            study, series, sop_instance, patient, modality = (str(found.get(tag) or "").strip(" \0") for tag in _TAGS)
            return Identifiers(study, series, sop_instance, modality, has_patient=bool(patient))
    except Exception:  # noqa: BLE001 - damaged files make the reader raise nearly everything
        return None
