"""The files of a result: the manifest, and its tables as CSV (cohorts §8.5)."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_COLUMNS: Mapping[str, Sequence[str]] = {
    "patients": ("id", "age"),
    "studies": ("patient", "id", "uid", "modality", "started", "instances", "retrieve"),
    "reports": ("patient", "study", "id", "link"),
    "medications": ("patient", "id", "system", "code", "status", "authoredOn"),
}


def write_result(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write `manifest.json` and one CSV file for each kind of thing that was collected."""
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(folder / "manifest.json", json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    rows: dict[str, list[Mapping[str, Any]]] = {name: [] for name in _COLUMNS}
    for patient in manifest["patients"]:
        rows["patients"].append(patient)
        who = {"patient": patient["id"]}
        for study in patient.get("studies", ()):
            rows["studies"].append({**who, **study, "modality": " ".join(study.get("modality", ()))})
            rows["reports"] += [{**who, "study": study.get("id"), **report} for report in study.get("reports", ())]
        for each in patient.get("medications", ()):
            code = each.get("code", {})
            rows["medications"].append({**who, **each, "system": code.get("system"), "code": code.get("code")})
    for name, columns in _COLUMNS.items():
        _write(folder / f"{name}.csv", columns, rows[name])


def replace_text(path: Path, text: str) -> None:
    """Write a file beside its place, then put it there: what is there is whole."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, "utf-8")
    part.replace(path)


def _write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_cell(row.get(column)) for column in columns])


def _cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
