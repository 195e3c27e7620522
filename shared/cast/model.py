"""The data of a study, as far as they are mapped (dicomcast §4): between reading DICOM and writing FHIR. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.cast.values import DataSet


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """A value that was not written as it is, or not at all. At most one for each study, tag and kind (CAST-ER-5)."""

    tag: str
    kind: str
    """Such as `malformed`, `name-differs`: never the value."""


@dataclass(frozen=True, slots=True)
class RefusedInstance:
    """An instance that is left out because of a value (dicomcast §5.1 Validation modes)."""

    series_instance_uid: str
    sop_instance_uid: str
    tag: str
    reason: str


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance of a series."""

    uid: str
    sop_class: str
    number: int | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """A series with at least one instance."""

    uid: str
    attributes: DataSet
    instances: Sequence[Instance]


@dataclass(frozen=True, slots=True)
class DoseReport:
    """A dose SR or a measurement report: the Observations that it asks for, without references."""

    sop_instance_uid: str
    observations: Sequence[Mapping[str, Any]]
    device: Mapping[str, Any] = field(default_factory=dict)
    """The Device that its measurements name; {}: none."""


@dataclass(frozen=True, slots=True)
class Study:
    """A study as it is now. Without series it is empty: deleted, or never there."""

    uid: str
    attributes: DataSet
    """Mapped attributes of the study level: the latest non-empty values where the index tells them."""
    series: Sequence[Series]
    reports: Sequence[DoseReport] = ()
    notes: frozenset[Note] = frozenset()
    refused: Sequence[RefusedInstance] = ()

    @property
    def instances(self) -> int:
        """The number of instances that can be written."""
        return sum(len(each.instances) for each in self.series)

    @property
    def is_empty(self) -> bool:
        """Whether DICOM has no instance of it, not even one that is refused."""
        return not self.series and not self.refused


@dataclass(frozen=True, slots=True)
class Summary:
    """The answer to a search for a study and its series: latest non-empty values (CAST-RD-1)."""

    study: DataSet = field(default_factory=dict)
    series: Mapping[str, DataSet] = field(default_factory=dict)
    """By SeriesInstanceUID."""
