"""azure-apis §6.2 The attributes that an update may change, and their new values. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.dicom import validation
from shared.dicom.dictionary import tag_of, vr_of
from shared.dicom.part10.composer import CannotCompose, value_text

ALLOWED: Final = (
    *("AccessionNumber", "ReferringPhysicianName", "StudyDescription", "PatientName", "PatientID"),
    *("IssuerOfPatientID", "TypeOfPatientID", "PatientBirthDate", "PatientBirthTime", "PatientSex"),
    *("QualityControlSubject", "OtherPatientIDs", "OtherPatientNames", "PatientBirthName", "PatientAge"),
    *("PatientSize", "PatientWeight", "PatientAddress", "PatientMotherBirthName", "MilitaryRank"),
    *("BranchOfService", "MedicalRecordLocator", "CountryOfResidence", "RegionOfResidence"),
    *("PatientTelephoneNumbers", "EthnicGroup", "Occupation", "PatientReligiousPreference"),
    *("PatientSpeciesDescription", "PatientBreedDescription", "BreedRegistrationNumber", "ResponsiblePerson"),
    *("ResponsiblePersonRole", "ResponsibleOrganization", "PatientComments"),
    "ConfidentialityConstraintOnPatientDataDescription",
)
"""By keyword: all of them are text of one level, that of the patient or of the study."""

TAGS: Final = frozenset(f"{tag:08X}" for keyword in ALLOWED if (tag := tag_of(keyword)) is not None)
"""The same by tag."""

NOT_SUPPORTED: Final = "Updating the tag is not supported"
_MOST_VALUES: Final = 1000


def objection(key: str, element: Any) -> str | None:
    """Why an attribute cannot have what `element` of the DICOM JSON model says; None: it can (UPD-7)."""
    if key not in TAGS:
        return NOT_SUPPORTED
    if not isinstance(element, Mapping):
        return "The attribute is no object"
    tag = int(key, 16)
    vr = vr_of(tag) or ""
    values = element.get("Value", [])
    if element.get("vr", vr) != vr:
        return f"The value representation is {vr}"
    if not isinstance(values, list) or element.keys() - {"vr", "Value"}:
        return "The attribute has something else than values"
    if len(values) > _MOST_VALUES:
        return f"The attribute has more than {_MOST_VALUES} values"
    return _objection(tag, vr, values)


def _objection(tag: int, vr: str, values: Sequence[Any]) -> str | None:
    if vr == "PN" and not all(value is None or _is_name(value) for value in values):
        return "The value is no name: an object with Alphabetic, Ideographic or Phonetic"
    try:
        texts = [value_text(vr, [value]) for value in values]
    except CannotCompose:
        return f"The value does not suit VR {vr}"
    if vr != "LT" and any("\\" in text for text in texts):
        return "The value holds a backslash, which separates values"
    if not all(text.isprintable() or vr == "LT" for text in texts) or not _is_encodable(texts):
        return "The value holds control characters"
    return validation.multiplicity(tag, len(values)) or validation.strict(vr, texts)


def _is_name(value: Any) -> bool:
    groups = {"Alphabetic", "Ideographic", "Phonetic"}
    return (
        isinstance(value, Mapping)
        and not value.keys() - groups
        and all(isinstance(text, str) and "=" not in text for text in value.values())
    )


def _is_encodable(texts: Sequence[str]) -> bool:
    """Whether there is no half of a surrogate pair, which is no text."""
    return not any("\ud800" <= character <= "\udfff" for text in texts for character in text)
