"""The attributes that the index carries (storage §6.1; dicomweb §8.3, D-29). Pure.

One more attribute is one more line of `ADDED`. Nothing else changes: the next process that starts announces it to the
store, which gives it a number (`schema_registry`), and a re-index brings it into what was stored before. A custom
attribute comes the same way, but from a client of one store: it is what azure-apis §3 calls an extended query tag.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

type Level = Literal["study", "series", "instance"]

type IndexedValues = Mapping[str, str]
"""Tag (8 upper-case hex digits, or a path of them joined by dots) to the first value as DICOM text, padding kept."""

STUDY_INSTANCE_UID = "0020000D"
SERIES_INSTANCE_UID = "0020000E"
SOP_INSTANCE_UID = "00080018"
STUDY_DATE = "00080020"
ACCESSION_NUMBER = "00080050"
SOP_CLASS_UID = "00080016"
PATIENT_NAME = "00100010"
PATIENT_ID = "00100020"
MODALITY = "00080060"
MODALITIES_IN_STUDY = "00080061"
SCHEDULED_PROCEDURE_STEP_ID = "00400275.00400009"
REQUESTED_PROCEDURE_ID = "00400275.00401001"

UNREGISTERED = 2**31
"""Greater than the number of every schema."""

CUSTOM_VRS = frozenset(
    {"AE", "AS", "CS", "DA", "DT", "FD", "FL", "IS", "LO", "PN", "SH", "SL", "SS", "TM", "UI", "UL", "US"}
)
"""The VRs of attributes that clients may add: those whose values the index compares (azure-apis §3.3)."""


@dataclass(frozen=True, slots=True)
class IndexedAttribute:
    """An attribute that the rows of the index carry."""

    key: str
    """Under which rows carry it: its path; of a custom one a key of its own, because another one of the same path may
    follow it.
    """
    vr: str
    level: Level
    codes: tuple[str, ...] = ()
    """The lists that hold its values; none: compared on the rows only. No code is ever used for another attribute."""
    searchable: bool = True
    """False: carried because searches return it."""
    since: int = field(default=UNREGISTERED, kw_only=True)
    """The number of the first schema that has it: rows of a lower number do not carry it."""
    path: str = field(default="", kw_only=True)
    """Where a data set has it: tag, or tags joined by a dot, as in `AttributePath.key`. Of a private element the block
    does not count. Not given: the key.
    """
    creator: str = field(default="", kw_only=True)
    """The private creator; '' for elements of the standard."""
    enabled: bool = field(default=True, kw_only=True)
    """Whether searches may use it."""
    deleted: float = field(default=0.0, kw_only=True)
    """When it was deleted, in seconds since 1970; 0: it was not. Rows may still carry values of a deleted one, and its
    postings are there until it is `purged`.
    """
    purged: bool = field(default=False, kw_only=True)
    """Whether the postings of a deleted one have been removed."""
    erroneous: bool = field(default=False, kw_only=True)
    """Whether its re-index has met a value that is not valid: there may be errors of it (EQT-40)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", self.path or self.key)

    @property
    def custom(self) -> bool:
        """Whether a client of the store has added it, not a release."""
        return self.key != self.path


def custom_codes(key: str, vr: str) -> tuple[str, ...]:
    """The lists of a custom attribute. No key is ever given again, so neither are they."""
    return (f"{key}n", f"{key}w", f"{key}p") if vr == "PN" else (key,)


SCHEMA_1 = (
    IndexedAttribute(STUDY_INSTANCE_UID, "UI", "study", since=1),
    IndexedAttribute(STUDY_DATE, "DA", "study", ("sd",), since=1),
    IndexedAttribute("00080030", "TM", "study", ("st",), since=1),
    IndexedAttribute(ACCESSION_NUMBER, "SH", "study", ("an",), since=1),
    IndexedAttribute(MODALITIES_IN_STUDY, "CS", "study", ("mo",), since=1),
    IndexedAttribute("00080090", "PN", "study", ("rn", "rt", "re"), since=1),
    IndexedAttribute("00081030", "LO", "study", ("ds",), since=1),
    IndexedAttribute(PATIENT_NAME, "PN", "study", ("pn", "pt", "pe"), since=1),
    IndexedAttribute(PATIENT_ID, "LO", "study", ("pi",), since=1),
    IndexedAttribute("00100030", "DA", "study", ("bd",), since=1),
    IndexedAttribute("00200010", "SH", "study", ("si",), since=1),
    IndexedAttribute(SERIES_INSTANCE_UID, "UI", "series", ("su",), since=1),
    IndexedAttribute(MODALITY, "CS", "series", ("mo",), since=1),
    IndexedAttribute("00081090", "LO", "series", ("mm",), since=1),
    IndexedAttribute("00200011", "IS", "series", ("sn",), since=1),
    IndexedAttribute("00400244", "DA", "series", ("pd",), since=1),
    IndexedAttribute("00400245", "TM", "series", ("pm",), since=1),
    IndexedAttribute(SCHEDULED_PROCEDURE_STEP_ID, "SH", "series", ("ps",), since=1),
    IndexedAttribute(REQUESTED_PROCEDURE_ID, "SH", "series", ("rp",), since=1),
    IndexedAttribute(SOP_INSTANCE_UID, "UI", "instance", ("iu",), since=1),
    IndexedAttribute(SOP_CLASS_UID, "UI", "instance", since=1),
    IndexedAttribute("00200013", "IS", "instance", since=1),
    # Carried, so that the default and the `all` results need no metadata (dicomweb §8.5).
    IndexedAttribute("00080056", "CS", "study", searchable=False, since=1),
    IndexedAttribute("00080201", "SH", "study", searchable=False, since=1),
    IndexedAttribute("00081060", "PN", "study", searchable=False, since=1),
    IndexedAttribute("00081080", "LO", "study", searchable=False, since=1),
    IndexedAttribute("00100040", "CS", "study", searchable=False, since=1),
    IndexedAttribute("00101010", "AS", "study", searchable=False, since=1),
    IndexedAttribute("00101020", "DS", "study", searchable=False, since=1),
    IndexedAttribute("00101030", "DS", "study", searchable=False, since=1),
    IndexedAttribute("00102180", "SH", "study", searchable=False, since=1),
    IndexedAttribute("001021B0", "LT", "study", searchable=False, since=1),
    IndexedAttribute("00080021", "DA", "series", searchable=False, since=1),
    IndexedAttribute("00080031", "TM", "series", searchable=False, since=1),
    IndexedAttribute("0008103E", "LO", "series", searchable=False, since=1),
    IndexedAttribute("00200060", "CS", "series", searchable=False, since=1),
)
"""The attributes of rows without a number: schema 1. This table never changes."""

ADDED: tuple[IndexedAttribute, ...] = ()
"""The attributes that came later. A line that a release has had is not changed either; the store numbers the lines."""

SHARED_KEYS = ("00080005", "00080201")
"""Carried by rows of both levels, study and series: each level returns its own value."""

IDENTITY = frozenset({STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID, SOP_CLASS_UID, MODALITIES_IN_STUDY})
"""Known from the rows themselves or derived; never among the attributes of a row."""
