"""Printing results, saving them with facts about the machine, and comparing two runs."""

import json
import os
import platform
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from benchmarks.measure import Result


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


_COLUMNS: tuple[tuple[str, int, Callable[[Result], str]], ...] = (
    ("scenario", 44, lambda r: r.name),
    ("n", 5, lambda r: f"{r.operations}"),
    ("median ms", 9, lambda r: _number(r.median_ms, 2)),
    ("p95 ms", 9, lambda r: _number(r.p95_ms, 2)),
    ("per s", 8, lambda r: _number(r.per_second, 1)),
    ("CPU ms", 8, lambda r: _number(r.cpu_ms, 2)),
    ("requests", 8, lambda r: _number(r.storage_requests, 2)),
    ("read B", 13, lambda r: _number(r.storage_read_bytes, 0)),
    ("peak MiB", 8, lambda r: _number(r.peak_mib, 0)),
    ("+idle", 5, lambda r: _number(r.above_idle_mib, 0)),
)


def heading() -> str:
    """The first two lines of the table, which is Markdown too."""
    names = (f"{title:<{width}}" if at == 0 else f"{title:>{width}}" for at, (title, width, _) in enumerate(_COLUMNS))
    rules = ("-" * width if at == 0 else "-" * (width - 1) + ":" for at, (_, width, _) in enumerate(_COLUMNS))
    return f"| {' | '.join(names)} |\n| {' | '.join(rules)} |"


def line(result: Result) -> str:
    """One line of the table."""
    cells = (
        f"{value(result):<{width}}" if at == 0 else f"{value(result):>{width}}"
        for at, (_, width, value) in enumerate(_COLUMNS)
    )
    return f"| {' | '.join(cells)} |" + (f" {result.note}" if result.note else "")


class Printed(list[Result]):
    """Results that are printed as they come in."""

    def append(self, result: Result) -> None:
        """Print and keep."""
        print(line(result), flush=True)
        super().append(result)


def machine() -> dict[str, object]:
    """What the figures depend on."""
    return {
        "python": interpreter(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "load_average": round(os.getloadavg()[0], 1),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((text.partition(":")[2].strip() for text in lines if text.startswith("model name")), platform.machine())


def interpreter() -> str:
    """The interpreter of the service that is started here, in words."""
    options = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    return f"Python {platform.python_version()}, {'with' if 'enable-optimizations' in options else 'without'} PGO"


def ratios(results: Sequence[Result], peers: Sequence[Result]) -> list[str]:
    """The service to its peer, of one interleaved run: CPU per operation (medians and least rounds) and latency."""
    of_peer = {result.name: result for result in peers}
    lines = [
        "",
        f"| {'service : peer':<44} | {'CPU ms':>15} | {'ratio':>6} | {'least':>6} | {'median ms':>15} | {'ratio':>6} |",
        f"| {'-' * 44} | {'-' * 14}: | {'-' * 5}: | {'-' * 5}: | {'-' * 14}: | {'-' * 5}: |",
    ]
    for one in results:
        other = of_peer.get(one.name)
        if other is None:
            continue
        least = [min(each.cpu_rounds_ms, default=None) for each in (one, other)]
        cpu = f"{_number(one.cpu_ms, 2)} : {_number(other.cpu_ms, 2)}"
        latency = f"{_number(one.median_ms, 2)} : {_number(other.median_ms, 2)}"
        lines.append(
            f"| {one.name:<44} | {cpu:>15} | {_ratio(one.cpu_ms, other.cpu_ms):>6} | {_ratio(*least):>6} "
            f"| {latency:>15} | {_ratio(one.median_ms, other.median_ms):>6} |"
        )
    return lines


def save(path: Path, results: Sequence[Result]) -> None:
    """Write the results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine(), "results": [result.to_json() for result in results]}
    path.write_text(json.dumps(document, indent=1))


_COMPARED = ("median_ms", "p95_ms", "cpu_ms", "storage_requests", "storage_read_bytes", "peak_mib")


def compare(old_path: Path, results: Sequence[Result]) -> list[str]:
    """Ratios new/old of the scenarios that both runs have: below 1 is better."""
    old = {entry["name"]: entry for entry in json.loads(old_path.read_text())["results"]}
    titles = ("median", "p95", "CPU", "requests", "read B", "peak")
    lines = ["", f"{'new / old':<44} " + " ".join(f"{title:>8}" for title in titles)]
    for result in results:
        if result.name in old:
            new, before = result.to_json(), old[result.name]
            cells = (_ratio(new[key], before.get(key)) for key in _COMPARED)
            lines.append(f"{result.name:<44} " + " ".join(f"{cell:>8}" for cell in cells))
    return lines


def _ratio(new: object, old: object) -> str:
    if not isinstance(new, int | float) or not isinstance(old, int | float) or not old:
        return "-"
    return f"{new / old:.2f}"
