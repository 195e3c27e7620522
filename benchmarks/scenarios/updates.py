"""Bulk update: what a new version of an instance costs, and the memory that one of a large file takes."""

import time

from benchmarks import instances
from benchmarks.client import Client
from benchmarks.measure import Bench
from benchmarks.scenarios.large import stream_of
from benchmarks.service import LocalService

_STUDY = 8_700_000
_IN_A_STUDY = 20
_CLIENTS = 4
_LARGE_STUDY = 8_800_000
_LARGE = 1 << 28
_LONGEST_SECONDS = 1800
_MOST_STUDIES = 50
"""Studies of one request."""


async def run(bench: Bench, client: Client, service: LocalService | None) -> None:
    """Needs a service of its own with everything on. Storage requests are those of the operation, its look-outs
    included; CPU time is that of the worker.
    """
    assert service is not None, "only of a service that is started here"
    await client.store_stream(stream_of(_LARGE_STUDY, _LARGE))
    await bench.until_quiet()
    await _update(bench, client, f"update of one instance of {_LARGE >> 20} MiB", [_LARGE_STUDY], 1)
    studies = min(bench.times(_MOST_STUDIES), _MOST_STUDIES)
    await client.store_studies(_STUDY, studies, _IN_A_STUDY, clients=_CLIENTS)
    await bench.until_quiet()
    numbers = [_STUDY + number for number in range(studies)]
    count = studies * _IN_A_STUDY
    for name in ("first", "second"):
        await _update(bench, client, f"{name} update of {count} instances in {studies} studies", numbers, count)


async def _update(bench: Bench, client: Client, name: str, studies: list[int], count: int) -> None:
    bench.telemetry.skip()
    change = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": f"BENCH^{name[:5].upper()}"}]}}
    body = {"studyInstanceUids": [instances.uid(study, 0) for study in studies], "changeDataset": change}
    await client.post_json("studies/$bulkUpdate", body, expect=202)
    cpu, begin = bench.processes.cpu_seconds(), time.perf_counter()
    with bench.processes:
        await bench.telemetry.entries("studies-updated", at_least=1, seconds=_LONGEST_SECONDS)
    elapsed, cpu = time.perf_counter() - begin, bench.processes.cpu_seconds() - cpu
    await bench.add_operation(name, count, elapsed, cpu, "the wait for the timer included")
