"""The content of a folder and the outcome of its files, study by study."""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_COLUMNS: Final = (
    "study", "modalities", "series", "files", "bytes", "stored", "duplicate", "refused", "there", "missing",
)  # fmt: skip  # read at once: one item a line says no more


@dataclass(slots=True)
class StudyReport:
    """One study. `there` and `missing` are None where the service was not asked."""

    study: str
    modalities: set[str] = field(default_factory=set)
    series: set[str] = field(default_factory=set)
    files: int = 0
    length: int = 0
    states: Counter[str] = field(default_factory=Counter)
    there: int | None = None
    missing: int | None = None

    def row(self) -> Mapping[str, object]:
        """The study as a row of a table."""
        return dict(
            zip(
                _COLUMNS,
                (
                    self.study or "(not readable)",
                    " ".join(sorted(self.modalities)),
                    len(self.series),
                    self.files,
                    self.length,
                    self.states["stored"],
                    self.states["duplicate"],
                    self.states["refused"],
                    "" if self.there is None else self.there,
                    "" if self.missing is None else self.missing,
                ),
                strict=True,
            )
        )


def write_report(path: Path, studies: Iterable[StudyReport]) -> None:
    """The studies as a file of comma-separated values. It names studies: keep it as you keep the files."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        writer.writerows(study.row() for study in studies)
