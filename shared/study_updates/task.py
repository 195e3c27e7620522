"""The task of an update, and its progress, as its operation keeps them (azure-apis §5, §6). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.dicom.identifiers import InstanceIdentifier
from shared.dicom.part10.attribute_changes import AttributeChanges, ModificationRecord
from shared.operations.model import Document

_MOST_LINES = 5
"""Instances that are named of a study that failed (UPD-31)."""
_MOST_LEFT = 500
"""Instances that are named of those that did not go back."""
_MOST_STUDIES = 200
"""Studies that are named: the results are one document."""


@dataclass(frozen=True, slots=True)
class UpdateTask:
    """The input of an operation."""

    namespace: str
    """The data partition."""
    studies: Sequence[str]
    values: Mapping[str, Sequence[object]]
    """New values by tag (8 hex digits), in the DICOM JSON model."""
    record: Mapping[str, Any] | None = None
    """The fields of a ModificationRecord, if one is to be written."""
    only: Mapping[str, str] = field(default_factory=dict)
    """Instances are updated only if their data sets have these values, by tag."""
    series: Sequence[str] = ()
    """Series that move into another study; none: all instances stay what they are, or go back."""
    into: str = ""
    """The study that instances move into."""
    reverts: str = ""
    """The operation whose work is undone."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """The part of the results beside the outcome."""

    def document(self) -> Document:
        """As the operation keeps it."""
        return {
            "namespace": self.namespace,
            "studies": list(self.studies),
            "values": {tag: list(values) for tag, values in self.values.items()},
            "record": self.record,
            "only": dict(self.only),
            "series": list(self.series),
            "into": self.into,
            "reverts": self.reverts,
            "told": dict(self.told),
        }

    @staticmethod
    def of(document: Document) -> "UpdateTask":
        """The task in the input of an operation."""
        return UpdateTask(
            document["namespace"],
            document["studies"],
            document["values"],
            document.get("record"),
            document.get("only") or {},
            document.get("series") or (),
            document.get("into") or "",
            document.get("reverts") or "",
            document.get("told") or {},
        )

    def changes(self) -> AttributeChanges:
        """The change to each file."""
        record = None
        if self.record is not None:
            fields = {
                **self.record,
                "former_identifiers": tuple(int(tag, 16) for tag in self.record["former_identifiers"]),
            }
            record = ModificationRecord(**fields)
        return AttributeChanges({int(tag, 16): values for tag, values in self.values.items()}, record)


@dataclass(slots=True)
class Progress:
    """The progress of an update, and its results."""

    study: int = 0
    """The number of the study that it works on, from 0."""
    stage: str = "prepare"
    """`prepare`, `commit` or `discard`."""
    processed: int = 0
    updated: int = 0
    failed: int = 0
    instances: int = 0
    errors: list[str] = field(default_factory=list)
    left: list[list[str]] = field(default_factory=list)
    """Instances that did not become again what they were: study, series, instance."""
    left_count: int = 0

    def checkpoint(self) -> Document:
        """As the operation keeps it."""
        return {name: getattr(self, name) for name in Progress.__slots__}

    @staticmethod
    def of(document: Document) -> "Progress":
        """The progress in a checkpoint; none if that is empty."""
        progress = Progress(**document)
        progress.errors, progress.left = list(progress.errors), list(progress.left)
        return progress

    def results(self) -> Document:
        """The results of the operation (azure-apis §5)."""
        counted: dict[str, Any] = {
            "studyProcessed": self.processed,
            "studyUpdated": self.updated,
            "studyFailed": self.failed,
            "instanceUpdated": self.instances,
        }
        if self.left_count:
            names = ("studyInstanceUid", "seriesInstanceUid", "sopInstanceUid")
            counted["instanceNotReverted"] = self.left_count
            counted["notReverted"] = [dict(zip(names, uids, strict=True)) for uids in self.left]
        return {**counted, "errors": self.errors} if self.errors else counted

    def leave(self, instances: Sequence[InstanceIdentifier]) -> None:
        """Instances did not become again what they were (MRG-9)."""
        self.left_count += len(instances)
        for each in instances[: _MOST_LEFT - len(self.left)]:
            self.left.append([each.study_instance_uid, each.series_instance_uid, each.sop_instance_uid])

    def fail(self, study: str, instances: Mapping[str, str]) -> None:
        """A study could not be updated: `instances` says of some of them why (UPD-31)."""
        self.failed += 1
        if self.failed > _MOST_STUDIES:
            return
        self.errors.append(f"Failed to update study {study}.")
        named = list(instances.items())
        self.errors += [f"Instance {uid}: {reason}" for uid, reason in named[:_MOST_LINES]]
        if len(named) > _MOST_LINES:
            self.errors.append(f"More instances of study {study} could not be updated.")

    def next_study(self) -> None:
        """Go on with the next study."""
        self.study, self.stage = self.study + 1, "prepare"
        self.processed += 1
