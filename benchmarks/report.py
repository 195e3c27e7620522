"""Printing results, saving them with facts about the machine, and comparing two runs."""

import json
import platform
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from benchmarks.measure import Result

_COLUMNS: tuple[tuple[str, int, Callable[[Result], str]], ...] = (
    ("scenario", 44, lambda r: r.name),
    ("n", 6, lambda r: f"{r.operations}"),
    ("c", 3, lambda r: f"{r.concurrency}"),
    ("median ms", 10, lambda r: f"{r.median_ms:.2f}"),
    ("p95 ms", 9, lambda r: f"{r.p95_ms:.2f}"),
    ("per s", 8, lambda r: f"{r.per_second:.1f}"),
    ("CPU ms", 8, lambda r: "-" if r.cpu_ms is None else f"{r.cpu_ms:.2f}"),
    ("requests", 9, lambda r: "-" if r.storage_requests is None else f"{r.storage_requests:.2f}"),
    ("read B", 11, lambda r: "-" if r.storage_read_bytes is None else f"{r.storage_read_bytes:.0f}"),
    ("peak MiB", 9, lambda r: "-" if r.peak_mib is None else f"{r.peak_mib:.0f}"),
    ("+idle", 6, lambda r: "-" if r.above_idle_mib is None else f"{r.above_idle_mib:.0f}"),
)


def heading() -> str:
    """The first line of the table."""
    return " ".join(
        f"{title:<{width}}" if i == 0 else f"{title:>{width}}" for i, (title, width, _) in enumerate(_COLUMNS)
    )


def line(result: Result) -> str:
    """One line of the table."""
    cells = (
        f"{value(result):<{width}}" if i == 0 else f"{value(result):>{width}}"
        for i, (_, width, value) in enumerate(_COLUMNS)
    )
    return " ".join(cells) + (f"  {result.note}" if result.note else "")


def save(path: Path, url: str, results: Sequence[Result]) -> None:
    """Write the results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
    }
    document = {"url": url, "machine": machine, "results": [result.to_json() for result in results]}
    path.write_text(json.dumps(document, indent=1))


def compare(old_path: Path, results: Sequence[Result]) -> list[str]:
    """Ratios new/old per scenario that both runs have: below 1 is better."""
    old = {entry["name"]: entry for entry in json.loads(old_path.read_text())["results"]}
    lines = [f"{'new / old':<44} {'median':>8} {'p95':>8} {'CPU':>8} {'requests':>9} {'+idle':>8}"]
    for result in results:
        before = old.get(result.name)
        if not before:
            continue
        new = result.to_json()

        def ratio(key: str, new: dict[str, object] = new, before: dict[str, object] = before) -> str:
            a, b = new[key], before.get(key)
            if not isinstance(a, int | float) or not isinstance(b, int | float) or not b:
                return "-"
            return f"{a / b:.2f}"

        cells = (ratio(key) for key in ("median_ms", "p95_ms", "cpu_ms", "storage_requests", "above_idle_mib"))
        widths = (8, 8, 8, 9, 8)
        lines.append(
            f"{result.name:<44} " + " ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        )
    return lines
