"""Feedback as Parquet, for retraining (docs/api/feedback.md): one row for each prediction, or for each pair of a read.

The writer is an extra of this program: `pip install 'serverless-dicom-command[parquet]'`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from dicom_cli.outcomes import CommandFailed, ExitCode

_OF_MODEL: Final = (
    "model",
    "version",
    "predictedAt",
    "studyUid",
    "seriesUids",
    "prediction",
    "outcome",
    "outcomeSource",
    "delta",
    "agree",
    "patientPseudonym",
)
_OF_READER: Final = ("report", "study", "text", "outcome", "strength", "date", "outcomeText", "knownBy")
_NUMBERS: Final = frozenset({"delta"})
_BOOLEANS: Final = frozenset({"agree"})
_METADATA: Final = "dicom.feedback"
"""Key of what the answer says beside its rows: summaries and the token of what comes next; coverage and warnings."""


def predictions(lines: Iterable[bytes], out: Path) -> str:
    """Write the lines of a model; the token of what comes after them. Raises CommandFailed."""
    documents = [json.loads(line) for line in lines if line.strip()]
    summaries = [each["summary"] for each in documents if "summary" in each]
    rows = [{**each, "seriesUids": " ".join(each.get("seriesUids", ()))} for each in documents if "summary" not in each]
    _write(rows, _OF_MODEL, {"summaries": summaries}, out)
    return str(summaries[-1].get("next", "")) if summaries else ""


def cases(document: Mapping[str, Any], out: Path) -> None:
    """Write the cases of a reader: a row for each outcome, and one for a read that has none. Raises CommandFailed."""
    rows = []
    for case in document["cases"]:
        read = {name: case.get(name) for name in ("report", "study", "text")}
        rows += [{**read, **each, "text": read["text"], "outcomeText": each.get("text")} for each in case["outcomes"]]
        rows += [] if case["outcomes"] else [read]
    _write(rows, _OF_READER, {name: each for name, each in document.items() if name != "cases"}, out)


def _write(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], beside: Mapping[str, Any], out: Path) -> None:
    try:
        from arro3.core import Array, DataType, Field, Schema, Table
        from arro3.io import write_parquet
    except ImportError:
        remedy = "pip install 'serverless-dicom-command[parquet]'"
        raise CommandFailed(f"Parquet needs an extra of this program: {remedy}", ExitCode.WRONG_USE) from None
    types = {"number": DataType.float64(), "boolean": DataType.bool(), "text": DataType.utf8()}
    arrays: dict[str, Any] = {}
    fields = []
    for name in columns:
        kind, values = _column(name, [row.get(name) for row in rows])
        arrays[name] = Array(values, type=types[kind])
        fields.append(Field(name, types[kind]))
    table = Table.from_pydict(arrays, schema=Schema(fields))
    write_parquet(table, out, key_value_metadata={_METADATA: json.dumps(beside, ensure_ascii=False)})


def _column(name: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
    """The type of a column, and its values: predictions and outcomes have that of what they are."""
    given = [each for each in values if each is not None]
    if name in _BOOLEANS or (given and all(isinstance(each, bool) for each in given)):
        return "boolean", list(values)
    numeric = given and all(isinstance(each, int | float) and not isinstance(each, bool) for each in given)
    if name in _NUMBERS or numeric:
        return "number", [None if each is None else float(each) for each in values]
    return "text", [each if each is None or isinstance(each, str) else json.dumps(each) for each in values]
