"""The labels of a study in its rows: the anchor holds them, so that every reader of the study has them (exchange §5).

They end with the study. While its anchor outlives the last instance, the summary says when that was deleted: labels of
before count no more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from shared.index.study_rows import StudyRows
from shared.index.summary import EMPTIED, Tally
from shared.index_schema.labels import label_postings
from shared.index_schema.postings import Postings
from shared.storage.ports import Entity, Value

LABELS: Final = "labels"
"""The property of the anchor that a study has once it was labelled, and the member of its document."""
_NUMBER, _VERSION = "labels_number", "labels_version"


@dataclass(frozen=True, slots=True)
class LabelRow:
    """The labels in an anchor."""

    labels: tuple[str, ...] = ()
    number: int = 0
    """Of the document that it stands for; 0 for none."""
    version: int = 0
    """Of that document."""

    def properties(self) -> dict[str, Value]:
        """The properties of the anchor."""
        return {LABELS: orjson.dumps(self.labels).decode(), _NUMBER: self.number, _VERSION: self.version}


def label_row_in(anchor: Entity | None) -> LabelRow | None:
    """The labels in an anchor; None if the study was never labelled."""
    if anchor is None or LABELS not in anchor.properties:
        return None
    properties: Mapping[str, Any] = anchor.properties
    return LabelRow(tuple(orjson.loads(properties[LABELS])), properties[_NUMBER], properties[_VERSION])


def emptied_in(tally: Tally) -> int:
    """The version of the change that has last taken the only instance of a study; 0 for none."""
    return int(tally.study.attributes.get(EMPTIED, ("0", ""))[0])


def labels_in(rows: StudyRows, tally: Tally) -> tuple[str, ...]:
    """The labels that a study has."""
    row = label_row_in(rows.anchor)
    return row.labels if row and row.version > emptied_in(tally) else ()


def posted_labels(rows: StudyRows, study: str, tally: Tally) -> Postings:
    """The postings of the labels that a study has."""
    return label_postings(rows.sort_key, study, labels_in(rows, tally))
