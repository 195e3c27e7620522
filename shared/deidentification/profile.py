"""PS3.15 §E.2, §E.3 Choices of a request for de-identification (DEID-1)."""

from dataclasses import dataclass
from enum import StrEnum


class Option(StrEnum):
    """An option of the profile, as requests name it."""

    DATES = "retainLongitudinalModified"
    PATIENT = "retainPatientCharacteristics"
    DEVICE = "retainDevice"
    PRIVATE = "retainSafePrivate"
    DESCRIPTORS = "cleanDescriptors"
    GRAPHICS = "cleanGraphics"
    STRUCTURE = "cleanStructuredContent"


class Subjects(StrEnum):
    """The PatientID of the results: a pseudonym, or none."""

    MAP = "map"
    DROP = "drop"


class BurnedIn(StrEnum):
    """The treatment of instances whose pixels are suspected to show text (DEID-6)."""

    REFUSE = "refuse"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Profile:
    """The Basic Application Level Confidentiality Profile with options."""

    options: frozenset[Option] = frozenset()
    subjects: Subjects = Subjects.MAP
    burned_in: BurnedIn = BurnedIn.REFUSE

    @property
    def codes(self) -> list[tuple[str, str]]:
        """Value and meaning of the codes of scheme DCM that say what was done (PS3.16 CID 7050), in ascending order."""
        return [("113100", "Basic Application Confidentiality Profile"), *sorted(_CODES[one] for one in self.options)]


_CODES = {
    Option.GRAPHICS: ("113103", "Clean Graphics Option"),
    Option.STRUCTURE: ("113104", "Clean Structured Content Option"),
    Option.DESCRIPTORS: ("113105", "Clean Descriptors Option"),
    Option.DATES: ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    Option.PATIENT: ("113108", "Retain Patient Characteristics Option"),
    Option.DEVICE: ("113109", "Retain Device Identity Option"),
    Option.PRIVATE: ("113111", "Retain Safe Private Option"),
}
