"""PS3.15 §E.1.1 An instance de-identified, or refused with a reason (DEID-1 to DEID-7)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shared.deidentification.burned_in import findings, shows_face
from shared.deidentification.data_set import DataSetCleaner
from shared.deidentification.dummies import Element
from shared.deidentification.key import Key
from shared.deidentification.known_values import KnownValues
from shared.deidentification.profile import BurnedIn, Option, Profile, Subjects
from shared.deidentification.report import Deed, Finding, Report
from shared.deidentification.tables import named
from shared.deidentification.words import Texts
from shared.dicom.attributes import Attributes
from shared.dicom.elements import first_text
from shared.dicom.identifiers import InstanceIdentifier, trim_uid

_STUDY, _SERIES, _INSTANCE, _CLASS = "0020000D", "0020000E", "00080018", "00080016"
_PATIENT_NAME, _PATIENT_ID, _ISSUER = "00100010", "00100020", "00100021"
_IDENTITY_REMOVED, _METHOD, _METHOD_CODES = "00120062", "00120063", "00120064"
_LONGITUDINAL: Final = "00280303"
_METHOD_TEXT: Final = "DICOM PS3.15 Annex E, table of 2026c"
"""The edition of the profile; which options were used say the codes."""


@dataclass(frozen=True, slots=True)
class Deidentified:
    """An instance that names nobody."""

    attributes: Attributes
    """Its data set, ascending. A BulkDataURI is the path of the value in the source (`part10.bulk_data`)."""
    identifier: InstanceIdentifier
    """Its new UIDs."""
    report: Report
    spells_identity: Callable[[bytes], bool]
    """Whether bytes of numbers spell a name, an identifier or a date of the source."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An instance of which no result is made."""

    reason: Finding
    report: Report


def deidentify(attributes: Attributes, transfer_syntax_uid: str, profile: Profile, key: Key) -> Deidentified | Refused:
    """A data set without what identifies persons, under the pseudonyms of a key.

    `attributes` is what `part10.file_reader` reads, and is not changed. The same input has the same output.
    """
    report = Report()
    sop_class = _uid(attributes, _CLASS)
    known = named(sop_class)
    uids = [_uid(attributes, each) for each in (_STUDY, _SERIES, _INSTANCE)]
    if not sop_class or not all(uids):
        return _refused(Finding.NO_IDENTIFIER, report)
    if known is None:
        return _refused(Finding.UNKNOWN_CLASS, report)
    suspicions = findings(attributes, transfer_syntax_uid)
    if suspicions and profile.burned_in is BurnedIn.REFUSE:
        return _refused(suspicions[0], report)
    report.findings.update(suspicions)
    if shows_face(attributes):
        report.findings[Finding.RECOGNIZABLE] += 1

    patient = patient_of(attributes, uids[0])
    texts = Texts(KnownValues.of(attributes))
    cleaner = DataSetCleaner(profile, key, texts, key.days(patient), report)
    cleaned = cleaner.level(attributes, known)
    cleaned.update(_subject(profile, key.subject(patient)))
    cleaned.update(_statements(profile))
    report.note(_PATIENT_ID, Deed.REPLACED)
    study, series, instance = (key.uid(uid) for uid in uids)
    identifier = InstanceIdentifier(study, series, instance)
    return Deidentified(dict(sorted(cleaned.items())), identifier, report, texts.spelt)


def _refused(reason: Finding, report: Report) -> Refused:
    report.findings[reason] += 1
    return Refused(reason, report)


def _uid(attributes: Attributes, key: str) -> str:
    return trim_uid(first_text(attributes, key) or "").strip(" ")


def patient_of(attributes: Attributes, study: str) -> str:
    """The identity of a patient: identifier and issuer; where there is none, every study is one."""
    identifier, issuer = ((first_text(attributes, key) or "").strip(" \0") for key in (_PATIENT_ID, _ISSUER))
    return f"patient\0{issuer}\0{identifier}" if identifier else f"study\0{study}"


def _subject(profile: Profile, pseudonym: str) -> dict[str, Element]:
    """PatientName and PatientID, which every instance has (PS3.3 §C.7.1.1)."""
    if profile.subjects is Subjects.DROP:
        return {_PATIENT_NAME: {"vr": "PN"}, _PATIENT_ID: {"vr": "LO"}}
    return {
        _PATIENT_NAME: {"vr": "PN", "Value": [{"Alphabetic": pseudonym}]},
        _PATIENT_ID: {"vr": "LO", "Value": [pseudonym]},
    }


def _statements(profile: Profile) -> dict[str, Element]:
    """The attributes that say that and how an instance was de-identified (§E.1.1, DEID-7)."""
    dates = "MODIFIED" if Option.DATES in profile.options else "REMOVED"
    codes = [
        {
            "00080100": {"vr": "SH", "Value": [value]},
            "00080102": {"vr": "SH", "Value": ["DCM"]},
            "00080104": {"vr": "LO", "Value": [meaning]},
        }
        for value, meaning in profile.codes
    ]
    return {
        _IDENTITY_REMOVED: {"vr": "CS", "Value": ["YES"]},
        _METHOD: {"vr": "LO", "Value": [_METHOD_TEXT]},
        _METHOD_CODES: {"vr": "SQ", "Value": codes},
        _LONGITUDINAL: {"vr": "CS", "Value": [dates]},
    }
