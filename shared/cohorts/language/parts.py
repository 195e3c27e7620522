"""The meaning of the phrases of a question, before they are one definition. Pure."""

from dataclasses import dataclass, field
from typing import Any, Literal

from shared.cohorts.language.dictionary import Concept

type Reason = Literal["unknown", "notSupported", "negation", "alternative", "language"]
"""Why words are refused (NL-11)."""


@dataclass(slots=True)
class Part:
    """Words that say one thing, by the numbers of their lexemes."""

    words: set[int] = field(default_factory=set)
    path: str = ""

    @property
    def start(self) -> int:
        """Its first word."""
        return min(self.words)

    def last_before(self, at: int) -> int:
        """Its last word before a place; -1 where all of it comes later."""
        return max((each for each in self.words if each < at), default=-1)


@dataclass(slots=True)
class AgePart(Part):
    """Bounds of the age; the comparisons as they are written."""

    lower: tuple[str, int] | None = None
    upper: tuple[str, int] | None = None
    at: str = "asOf"


@dataclass(slots=True)
class SexPart(Part):
    """A gender."""

    value: str = "any"


@dataclass(slots=True)
class TimePart(Part):
    """A window."""

    window: dict[str, str] = field(default_factory=dict)
    """Members of WHEN, or `after`."""


@dataclass(slots=True)
class Event(Part):
    """A part that has a time of its own: a diagnosis, a drug, a study; or a report, which has none."""

    negated: bool = False
    has_verb: bool = False
    hangs: bool = False
    """It follows a verb of another kind (NL-15)."""
    phrase: int = 0
    """The noun phrase that it belongs to."""
    when: dict[str, Any] = field(default_factory=dict)
    when_words: set[int] = field(default_factory=set)
    excluded: list[str] | None = None
    """Statuses that do not count; None: the default."""
    status_words: set[int] = field(default_factory=set)


@dataclass(slots=True)
class DiagnosisPart(Event):
    """A diagnosis: alternatives of which one is met."""

    concepts: list[Concept] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    """`of` of the window."""
    kind_words: set[int] = field(default_factory=set)


@dataclass(slots=True)
class DrugPart(Event):
    """A named drug, or alternatives."""

    concepts: list[Concept] = field(default_factory=list)
    returned: bool = False
    """It stands where the question says what to return."""


@dataclass(slots=True)
class DrugsPart(Event):
    """Drugs in general: collected."""


@dataclass(slots=True)
class StudyPart(Event):
    """Imaging."""

    modalities: list[str] = field(default_factory=list)
    """Empty: any."""
    sites: list[Concept] = field(default_factory=list)
    required: bool = True
    collected: bool = False
    with_item: bool = False
    """It follows `with`: a criterion, unless it is one of a list of what can only be collected."""
    whole: bool = False
    """All studies, matching or not."""
    reference: bool = False
    """It only refers to the studies that match."""


@dataclass(slots=True)
class ReportPart(Event):
    """Reports: collected."""

    status: list[str] | None = None


@dataclass(slots=True)
class DiagnosesPart(Part):
    """All diagnoses: collected."""


PRIORITY: tuple[type[Event], ...] = (DiagnosisPart, StudyPart, DrugPart, DrugsPart, ReportPart)
"""To which event of one noun phrase a time belongs (NL-3)."""
