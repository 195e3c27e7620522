"""The report of a de-identification, in numbers and tags: never a value (DEID-9)."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Deed(StrEnum):
    """The fate of an element that did not stay as it was."""

    REMOVED = "removed"
    EMPTIED = "emptied"
    REPLACED = "replaced"
    """By a dummy, a pseudonym or a moved date."""
    CLEANED = "cleaned"
    """Words of it were taken out."""
    IDENTIFIED = "identified"
    """It named the subject, or had a date or an identifier of the study (DEID-5)."""


class Finding(StrEnum):
    """The part of a result that somebody has to look at, or why there is none."""

    BURNED_IN = "burnedInAnnotation"
    HABITUAL_TEXT = "habitualBurnedInText"
    SCREEN = "screenSave"
    EMBEDDED_OVERLAY = "overlayInPixelData"
    DOCUMENT = "encapsulatedDocument"
    SOUND = "recordedVoice"
    RECOGNIZABLE = "recognizableVisualFeatures"
    SLIDE_LABEL = "slideLabel"
    TRAILING_BYTES = "bytesAfterPixelData"
    COMMENTS = "commentsInFrames"
    """Bytes beside the pictures of compressed frames, which were blanked."""
    UNEXAMINED = "unexaminedPixelData"
    """Pixel data or waveforms of which nobody can tell whether there is something else in them."""
    UNKNOWN_CLASS = "unknownSopClass"
    NO_IDENTIFIER = "missingIdentifiers"
    UNREADABLE = "unreadable"


@dataclass(slots=True)
class Report:
    """The report about one instance; `add` makes one about many."""

    deeds: Counter[tuple[str, Deed]] = field(default_factory=Counter)
    """Elements by tag and deed, at all levels of nesting. Of private elements the tag as in the file."""
    findings: Counter[Finding] = field(default_factory=Counter)
    """Instances by what was found in them."""

    def note(self, key: str, deed: Deed) -> None:
        """Counts an element."""
        self.deeds[key, deed] += 1

    def add(self, other: "Report") -> None:
        """Counts what another report has, too."""
        self.deeds += other.deeds
        self.findings += other.findings
