"""The members of a cohort definition and what each may hold (cohorts §8.2, COH-17). Pure.

The schema is closed: an unknown name is an error. What spans members is checked in `checks.py`.
"""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)

from shared.cohorts.definition.durations import Duration

DEFAULT_PATIENTS: Final = 10_000
"""Members of a cohort unless the definition says otherwise: enough for a study, too few to copy a hospital."""
MOST_PATIENTS: Final = 100_000
MOST_ENTRIES: Final = 100
"""Entries of a list: far above what anybody asks, and a bound of the work for each patient."""
MOST_CODES: Final = 1000

DEFAULT_OF: Final = ("onset", "recorded")
DEFAULT_VERIFICATION_NOT: Final = ("refuted", "entered-in-error")
DEFAULT_MEDICATION_NOT: Final = ("cancelled", "draft", "entered-in-error")
DEFAULT_COLLECTED_NOT: Final = ("entered-in-error",)
DEFAULT_REPORT_STATUS: Final = ("final", "amended", "corrected", "appended")

type Verification = Literal["unconfirmed", "provisional", "differential", "confirmed", "refuted", "entered-in-error"]
type MedicationStatus = Literal[
    "active", "on-hold", "cancelled", "completed", "entered-in-error", "stopped", "draft", "unknown"
]
type ReportStatus = Literal[
    "registered",
    "partial",
    "preliminary",
    "final",
    "amended",
    "corrected",
    "appended",
    "cancelled",
    "entered-in-error",
    "unknown",
]
type DateKind = Literal["onset", "recorded"]


def _day(text: str) -> str:
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise ValueError("it must be an existing day as YYYY-MM-DD")


def _duration(text: str) -> str:
    Duration.parse(text)
    return text


type Day = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
    AfterValidator(_day),
    Field(examples=["2026-06-30"]),
]
"""A day that exists."""
type DurationText = Annotated[
    str,
    StringConstraints(pattern=r"^P([0-9]+Y)?([0-9]+M)?([0-9]+W)?([0-9]+D)?$", max_length=32),
    AfterValidator(_duration),
    Field(examples=["P2Y"]),
]
type Term = Annotated[str, StringConstraints(min_length=1, max_length=400)]
type Modality = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9_]{1,16}$"), Field(examples=["CT"])]
"""A code of DICOM's modalities (PS3.3 §C.7.3.1.1.1)."""

type _Some[T] = Annotated[list[T], Field(min_length=1, max_length=MOST_ENTRIES)]


class Member(BaseModel):
    """A part of a definition: closed, never changed, of exactly the types that are named."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


def _or_any(value: object) -> str:
    return "<any>" if isinstance(value, str) else "<object>"


type _OrAny[T] = Annotated[
    Annotated[Literal["any"], Tag("<any>")] | Annotated[T, Tag("<object>")], Discriminator(_or_any)
]
"""`any`, or an object that narrows."""


def _one_or_list(value: object) -> str:
    return "<text>" if isinstance(value, str) else "<list>"


type _OneOrList = Annotated[
    Annotated[Term, Tag("<text>")] | Annotated[_Some[Term], Tag("<list>")], Discriminator(_one_or_list)
]


class Coding(Member):
    """A code of a system."""

    system: Annotated[str, StringConstraints(min_length=1, max_length=400)]
    code: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    display: Annotated[str, StringConstraints(max_length=400)] | None = None


class Expand(Member):
    """A value set that a terminology server expands."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=2000)]


def _required(*names: str) -> dict[str, Any]:
    return {"anyOf": [{"required": [name]} for name in names]}


class Code(Member):
    """The kind of a thing: alternatives of which one must be met (COH-26)."""

    model_config = ConfigDict(json_schema_extra=_required("valueSet", "codes", "text", "expand"))

    value_set: Annotated[_OneOrList | None, Field(alias="valueSet")] = None
    codes: Annotated[list[Coding], Field(min_length=1, max_length=MOST_CODES)] | None = None
    text: _OneOrList | None = None
    expand: Expand | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.value_set is None and self.codes is None and self.text is None and self.expand is None:
            raise ValueError("it needs at least one of valueSet, codes, text and expand")
        return self

    @property
    def value_sets(self) -> tuple[str, ...]:
        """The names of value sets."""
        return _listed(self.value_set)

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts."""
        return _listed(self.text)


def _listed(value: str | list[str] | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)


class Window(Member):
    """A closed window of days (COH-18)."""

    model_config = ConfigDict(json_schema_extra=_required("within", "since", "until"))

    within: DurationText | None = None
    since: Day | None = None
    until: Day | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.within is not None and (self.since is not None or self.until is not None):
            raise ValueError("it has either within, or since and until")
        if self.within is None and self.since is None and self.until is None:
            raise ValueError("it needs within, since or until")
        return self


class ConditionWindow(Window):
    """A window of a condition, and which of its dates lies in it."""

    of: Annotated[list[DateKind], Field(min_length=1, max_length=2)] | None = None

    @property
    def kinds(self) -> tuple[DateKind, ...]:
        """The dates, in their order of preference."""
        return tuple(dict.fromkeys(self.of)) if self.of is not None else DEFAULT_OF


class AfterDiagnosis(Member):
    """A later day than the diagnosis (COH-23)."""

    after: Literal["diagnosis"]


def _study_window(value: object) -> str:
    if isinstance(value, str):
        return "<any>"
    after = "after" in value if isinstance(value, Mapping) else isinstance(value, AfterDiagnosis)
    return "<after>" if after else "<object>"


type StudyWindow = Annotated[
    Annotated[Literal["any"], Tag("<any>")]
    | Annotated[AfterDiagnosis, Tag("<after>")]
    | Annotated[Window, Tag("<object>")],
    Discriminator(_study_window),
]

type _Age = Annotated[int, Field(ge=0, le=150)]


class Age(Member):
    """Completed years on a day."""

    model_config = ConfigDict(
        json_schema_extra=_required("gt", "ge", "lt", "le")
        | {"allOf": [{"not": {"required": ["gt", "ge"]}}, {"not": {"required": ["lt", "le"]}}]}
    )

    gt: _Age | None = None
    ge: _Age | None = None
    lt: Annotated[int, Field(ge=1, le=150)] | None = None
    le: _Age | None = None
    at: Literal["asOf", "diagnosis", "study"] = "asOf"

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.gt is not None and self.ge is not None:
            raise ValueError("it has at most one of gt and ge")
        if self.lt is not None and self.le is not None:
            raise ValueError("it has at most one of lt and le")
        if self.least is None and self.most is None:
            raise ValueError("it needs at least one of gt, ge, lt and le")
        return self

    @property
    def least(self) -> int | None:
        """The lowest age that is meant."""
        return self.gt + 1 if self.gt is not None else self.ge

    @property
    def most(self) -> int | None:
        """The highest age that is meant."""
        return self.lt - 1 if self.lt is not None else self.le


class Patient(Member):
    """Criteria about the patient."""

    age: Age | None = None
    gender: Literal["any", "male", "female", "other", "unknown"] = "any"


class VerificationFilter(Member):
    """Verification statuses that do not count."""

    not_: Annotated[list[Verification], Field(alias="not", max_length=6)] = list(DEFAULT_VERIFICATION_NOT)


class Condition(Member):
    """A condition that the patient has."""

    code: Code
    when: _OrAny[ConditionWindow] = "any"
    verification: VerificationFilter = VerificationFilter()


class Medication(Member):
    """A drug that was prescribed (COH-20)."""

    code: Code
    when: _OrAny[Window] = "any"
    not_status: Annotated[list[MedicationStatus], Field(alias="notStatus", max_length=8)] = list(DEFAULT_MEDICATION_NOT)


class NoCondition(Member):
    """A condition that the patient does not have."""

    not_: Annotated[Condition, Field(alias="not")]


class NoMedication(Member):
    """A drug that was not prescribed."""

    not_: Annotated[Medication, Field(alias="not")]


def _negated(value: object) -> str:
    negated = "not" in value if isinstance(value, Mapping) else isinstance(value, NoCondition | NoMedication)
    return "<not>" if negated else "<object>"


type ConditionEntry = Annotated[
    Annotated[Condition, Tag("<object>")] | Annotated[NoCondition, Tag("<not>")], Discriminator(_negated)
]
type MedicationEntry = Annotated[
    Annotated[Medication, Tag("<object>")] | Annotated[NoMedication, Tag("<not>")], Discriminator(_negated)
]
type Modalities = Annotated[
    Annotated[Literal["any"], Tag("<any>")] | Annotated[_Some[Modality], Tag("<object>")], Discriminator(_or_any)
]
type BodySite = _OrAny[Code]


class NoStudy(Member):
    """Imaging that the patient does not have (COH-22)."""

    modality: Modalities = "any"
    body_site: Annotated[BodySite, Field(alias="bodySite")] = "any"
    when: StudyWindow = "any"

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.modality == "any" and self.body_site == "any" and self.when == "any":
            raise ValueError("it needs a modality, a bodySite or a when other than any")
        return self


class Imaging(Member):
    """The studies of the patient."""

    required: bool = True
    modality: Modalities = "any"
    body_site: Annotated[BodySite, Field(alias="bodySite")] = "any"
    when: StudyWindow = "any"
    not_: Annotated[NoStudy | None, Field(alias="not")] = None


class Reports(Member):
    """Reports that are collected."""

    linked_to: Annotated[Literal["studies"], Field(alias="linkedTo")] = "studies"
    status: Annotated[list[ReportStatus], Field(min_length=1, max_length=10)] = list(DEFAULT_REPORT_STATUS)
    link_by_day: Annotated[bool, Field(alias="linkByDay")] = False


class CollectedMedications(Member):
    """Medications that are collected."""

    when: _OrAny[Window] = "any"
    not_status: Annotated[list[MedicationStatus], Field(alias="notStatus", max_length=8)] = list(DEFAULT_COLLECTED_NOT)


class Collect(Member):
    """The lists that each member comes with, beside what made it one (COH-25)."""

    studies: Literal["matching", "all"] | None = None
    reports: Reports | None = None
    medications: CollectedMedications | None = None
    conditions: Literal["matching", "all"] = "matching"


class Consent(Member):
    """The Consent to research that is required of a patient."""

    mode: Literal["ignore", "require"] = "ignore"


class Limits(Member):
    """Bounds of the result."""

    patients: Annotated[int, Field(ge=1, le=MOST_PATIENTS)] = DEFAULT_PATIENTS


class CohortDefinition(Member):
    """The criteria of a cohort, and the data that are collected of its members."""

    version: Literal[1]
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    as_of: Annotated[Day | None, Field(alias="asOf")] = None
    patient: Patient = Patient()
    conditions: _Some[ConditionEntry] | None = None
    medications: _Some[MedicationEntry] | None = None
    imaging: Imaging | None = None
    collect: Collect = Collect()
    consent: Consent = Consent()
    limits: Limits = Limits()

    @property
    def required_conditions(self) -> list[Condition]:
        """The entries that are no `not`."""
        return [each for each in self.conditions or [] if isinstance(each, Condition)]
