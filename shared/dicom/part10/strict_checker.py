"""The strict checker of the Store transaction over the elements of a data set, at every level (VAL-3 to VAL-7)."""

from collections.abc import Sequence
from typing import Any

from shared.dicom.part10.model import InvalidPart10, Violation
from shared.dicom.part10.value_representations import ValueRepresentation
from shared.dicom.plain_values import PLAIN_DECIMALS
from shared.dicom.validation import explain, multiplicity, strict

_MOST = 1 << 18  # violations in one file: more are hostile


class StrictChecker:
    """Collects violations, one for each element. `path` is where the element is (see Violation)."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []

    def text(self, tag: int, vr: ValueRepresentation, path: str, text: str) -> None:
        """Judges a text element; `text` is all its values as stored."""
        values = text.split("\\") if vr.several else [text]
        plain = vr.name == "DS" and PLAIN_DECIMALS(text)
        explanation = None if plain or all(map(vr.plainly_valid, values)) else strict(vr.name, values)
        if explanation is None and text.strip(" \0") and (problem := multiplicity(tag, len(values))):
            explanation = explain(vr.name, problem)
        if explanation is not None:
            self._add(tag, vr, path, explanation)

    def count(self, tag: int, vr: ValueRepresentation, path: str, values: Sequence[Any], *, complete: bool) -> None:
        """Judges how many values an element of binary numbers has; `complete`: all its bytes belong to one."""
        problem = multiplicity(tag, len(values)) if complete else f"its length is not a multiple of {vr.size} bytes"
        if problem:
            self._add(tag, vr, path, explain(vr.name, problem))

    def _add(self, tag: int, vr: ValueRepresentation, path: str, explanation: str) -> None:
        if len(self.violations) == _MOST:
            raise InvalidPart10("Too many elements are invalid.", final=True)
        self.violations.append(Violation(tag, vr.name, path, explanation))
