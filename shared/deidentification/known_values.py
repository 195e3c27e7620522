"""The values of persons in a data set, so that they can be found again in texts that stay (DEID-5)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from shared.dicom.attributes import Attributes
from shared.dicom.person_names import words

_IDENTIFIERS: Final = frozenset(
    {
        "00080050",  # AccessionNumber
        "00100020",  # PatientID
        "00101000",  # OtherPatientIDs
        "00101001",  # OtherPatientNames, also where it is no PN
        "00101040",  # PatientAddress
        "00101050",  # InsurancePlanIdentification
        "00101090",  # MedicalRecordLocator
        "00102154",  # PatientTelephoneNumbers
        "00102155",  # PatientTelecomInformation
        "00200010",  # StudyID
        "00380010",  # AdmissionID
        "00380060",  # ServiceEpisodeID
        "00400009",  # ScheduledProcedureStepID
        "00400253",  # PerformedProcedureStepID
        "00401001",  # RequestedProcedureID
        "00402016",  # PlacerOrderNumberImagingServiceRequest
        "00402017",  # FillerOrderNumberImagingServiceRequest
        "00120040",  # ClinicalTrialSubjectID
        "00120042",  # ClinicalTrialSubjectReadingID
    }
)
_SHORTEST: Final = 2
"""Letters of a part of a name that is looked for: initials are everywhere."""
_MOST: Final = 512
"""Values of a kind that are looked for. A data set of more is not looked through: none of its texts stays."""


@dataclass(slots=True)
class KnownValues:
    """Names, identifiers and dates, each in the form in which texts are compared with it."""

    names: set[str] = field(default_factory=set)
    """Words of names, folded."""
    identifiers: set[str] = field(default_factory=set)
    """In lower case."""
    dates: set[str] = field(default_factory=set)
    """Eight digits."""
    too_many: bool = False
    """Whether there are more than can be looked for."""

    @classmethod
    def of(cls, attributes: Attributes) -> "KnownValues":
        """All that a data set has, at every level."""
        known = cls()
        for key, vr, value in _values(attributes):
            known._take(key, vr, value)
        return known

    def _take(self, key: str, vr: str, value: Any) -> None:
        if vr == "PN" or key == "00101001":
            groups = value.values() if isinstance(value, dict) else (value,)
            for group in groups:
                self._put(self.names, (word for word in words(str(group)) if len(word) >= _SHORTEST))
        elif key in _IDENTIFIERS:
            text = str(value).strip(" \0").lower()
            self._put(self.identifiers, (each for each in {text, *text.split()} if len(each) >= _SHORTEST))
        elif vr in {"DA", "DT"}:
            digits = str(value).replace(".", "")[:8]
            if len(digits) == 8 and digits.isdigit():
                self._put(self.dates, (digits,))

    def _put(self, into: set[str], values: Iterator[str] | tuple[str, ...]) -> None:
        if len(into) < _MOST:
            into.update(values)
        else:
            self.too_many = self.too_many or not into.issuperset(values)


def _values(attributes: Attributes) -> Iterator[tuple[str, str, Any]]:
    for key, element in attributes.items():
        for value in element.get("Value", ()):
            if element["vr"] == "SQ":
                yield from _values(value or {})
            elif value is not None:
                yield key, element["vr"], value
