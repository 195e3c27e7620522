"""The report of a migration: for people, and as JSON (MIG-9). It names UIDs and files, no patient."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dicom_cli.migrate.labels import Labelled
from dicom_cli.migrate.model import State
from dicom_cli.migrate.state import MigrationState
from dicom_cli.outcomes import ExitCode

_LISTED: Final = 20


@dataclass(slots=True)
class Report:
    """The report of one migration, or of those of several data partitions."""

    source: str
    destination: str
    seconds: float = 0.0
    studies: int = 0
    instances: int = 0
    length: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    syntaxes: dict[str, int] = field(default_factory=dict)
    faults: list[dict[str, str]] = field(default_factory=list)
    other_counts: list[dict[str, Any]] = field(default_factory=list)
    """Studies with another number of instances at the destination."""
    passed_over: list[dict[str, str]] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    labelled: Labelled = field(default_factory=Labelled)
    tells_undated: bool = True
    """Whether the source has told all studies without a date."""

    @classmethod
    def of(cls, state: MigrationState, source: str, destination: str, seconds: float) -> "Report":
        """The report of a state."""
        studies, instances, length = state.totals()
        report = cls(source, destination, seconds, studies, instances, length, state.counts(), state.syntaxes())
        report.faults = [
            {
                "study": each.place.study,
                "series": each.place.series,
                "instance": each.place.sop,
                **({"file": each.name} if each.name else {}),
                "state": each.state.value,
                "reason": each.reason,
            }
            for each in state.faults()
        ]
        report.passed_over = [{"file": name, "reason": reason} for name, reason in state.passed_over()]
        return report

    @property
    def code(self) -> ExitCode:
        """0 only if all that was found is equal at the destination."""
        if self.counts.get(State.DIFFERENT, 0) or self.other_counts:
            return ExitCode.DIFFERENT
        arrived = self.counts.get(State.EQUAL, 0) + self.counts.get(State.DELETED, 0)
        whole = arrived == self.instances and self.tells_undated and not self.labelled.without
        return ExitCode.DONE if whole else ExitCode.SOME_FAILED

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "source": self.source,
            "destination": self.destination,
            "seconds": round(self.seconds, 1),
            "studies": self.studies,
            "instances": self.instances,
            "bytes": self.length,
            "states": {each.value: self.counts.get(each, 0) for each in State},
            "transferSyntaxes": self.syntaxes,
            "faults": self.faults,
            "studiesWithOtherCounts": self.other_counts,
            "passedOver": self.passed_over,
            "tagsAdded": self.tags,
            "studiesLabelled": self.labelled.studies,
            "studiesWithoutTheirLabels": self.labelled.without,
            "tellsStudiesWithoutDate": self.tells_undated,
        }

    def lines(self) -> Sequence[str]:
        """For people."""
        states = ", ".join(f"{count:,} {name}" for name, count in sorted(self.counts.items()))
        found = f"{self.studies:,} studies, {self.instances:,} instances, {self.length / 1e6:,.1f} MB"
        faults = [
            f"{each['state']}: {each.get('file') or each['instance']}: {each['reason']}"
            for each in self.faults[:_LISTED]
        ]
        others = [
            f"study {each['study']}: {each['source']} instances at the source, {each['destination']} at the destination"
            for each in self.other_counts[:_LISTED]
        ]
        labels = [f"study {each}: without its labels" for each in self.labelled.without[:_LISTED]]
        untold = [] if self.tells_undated else ["The source ignores offset: studies without a date may be missing."]
        passed = [f"passed over: {each['file']}: {each['reason']}" for each in self.passed_over[:_LISTED]]
        return [f"{found}: {states or 'nothing'}; {self.seconds:,.0f} s.", *untold, *faults, *others, *labels, *passed]

    def write(self, path: Path) -> None:
        """Write the document."""
        path.write_text(json.dumps(self.document(), indent=2) + "\n", encoding="utf-8")
