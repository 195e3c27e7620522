"""`python -m benchmarks [group ...] [--quick] [--url URL | --peer URL] ...`: README.md."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from benchmarks import instances, report
from benchmarks.client import Client
from benchmarks.measure import Bench, Processes, Result, Telemetry
from benchmarks.scenarios import (
    aftermath,
    bulk_import,
    cast,
    change_feed,
    event_reports,
    export,
    hostile,
    large,
    long_feed,
    pages,
    retrieve,
    search,
    store,
    tags,
    transcode,
    updates,
    worklist,
)
from benchmarks.service import LocalService, local_service
from benchmarks.turns import Turns

type Group = Callable[[Bench, Client, LocalService | None], Awaitable[None]]

GROUPS: dict[str, Group] = {
    "store": store.run,
    "retrieve": retrieve.run,
    "transcode": transcode.run,
    "large": large.run,
    "search": search.run,
    "aftermath": aftermath.run,
    "bulk_import": bulk_import.run,
    "change_feed": change_feed.run,
    "long_feed": long_feed.run,
    "tags": tags.run,
    "export": export.run,
    "worklist": worklist.run,
    "event_reports": event_reports.run,
    "updates": updates.run,
    "cast": cast.run,
    "hostile": hostile.run,
    "pages": pages.run,
}
_LOCAL = {"aftermath", "bulk_import", "cast", "change_feed", "export", "tags", "updates"}
"""Groups that look at what follows a transaction, and so need a service of their own with everything on."""
_NAMED = {"pages"}
"""Groups that run only when they are named: they need a browser, which `scripts/setup-browser` sets up."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Benchmarks of the hot paths over HTTP.")
    parser.add_argument("groups", nargs="*", metavar="group", help=f"of {', '.join(GROUPS)}; default: all")
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the operations, smaller objects: three minutes"
    )
    parser.add_argument("--save", type=Path, help="write the results as JSON")
    parser.add_argument("--compare", type=Path, help="print ratios to a saved run")
    parser.add_argument("--url", help="DICOMweb base URL of another service, instead of starting this one")
    parser.add_argument("--peer", help="DICOMweb base URL of another server: each scenario in turn with it")
    parser.add_argument("--peer-pid", type=int, action="append", default=[], help="a process of the peer to measure")
    parser.add_argument("--pid", type=int, action="append", default=[], help="with --url: a local process to measure")
    arguments = parser.parse_args()
    if arguments.peer and (arguments.url or _LOCAL & set(arguments.groups)):
        parser.error(f"--peer goes neither with --url nor with {', '.join(sorted(_LOCAL))}")
    if unknown := set(arguments.groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    return arguments


async def _run_group(name: str, bench: Bench, service: LocalService | None) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(keepalive_timeout=3)) as session:
        client = Client(bench.url, session, multipart=bench.turns is not None)
        await _warm_up(client)
        bench.idle = bench.processes.resident()
        await GROUPS[name](bench, client, service)


async def _warm_up(client: Client) -> None:
    """What the first requests of a process load is not what a request costs."""
    small = instances.small()
    for number in range(20):
        await client.store([small.instance(9_000_000, 0, number)], expect=(200, 202, 409))  # a peer may have it already
        path = instances.path(9_000_000, 0, number)
        await client.instance(path)
        await client.get(f"{path}/metadata", "application/dicom+json")
    await client.search("PatientID=PAT-09000000")


async def _run_interleaved(name: str, bench: Bench, service: LocalService, peer: Bench) -> None:
    """The group on both sides at once; what is measured takes turns."""
    peer.turns = bench.turns = Turns()
    peer.side = 1
    async with asyncio.TaskGroup() as group:
        group.create_task(_run_group(name, bench, service))
        group.create_task(_run_group(name, peer, None))


async def _measure(arguments: argparse.Namespace) -> list[Result]:
    elsewhere = arguments.url or arguments.peer
    groups = arguments.groups or [name for name in GROUPS if name not in _NAMED | (_LOCAL if elsewhere else set())]
    results: list[Result] = []
    peer_results: list[Result] = []
    print(f"{report.interpreter()}\n", flush=True)
    print(report.heading(), flush=True)
    for name in groups:
        if arguments.url:
            bench = Bench(arguments.url, Processes(arguments.pid), Telemetry(None), arguments.quick)
            bench.results = report.Printed()
            await _run_group(name, bench, None)
        else:
            async with local_service(background=name in _LOCAL) as service:
                bench = Bench(
                    f"{service.url}/v2", Processes(service.worker_pids), Telemetry(service.log), arguments.quick
                )
                bench.results = report.Printed()
                if arguments.peer:
                    peer = Bench(arguments.peer, Processes(arguments.peer_pid), Telemetry(None), arguments.quick)
                    await _run_interleaved(name, bench, service, peer)
                    peer_results += peer.results
                else:
                    await _run_group(name, bench, service)
        results += bench.results
    if arguments.peer:
        print("\n".join(report.ratios(results, peer_results)))
    return results


async def _main() -> int:
    arguments = _arguments()
    results = await _measure(arguments)
    if arguments.save:
        report.save(arguments.save, results)
    if arguments.compare:
        print("\n".join(report.compare(arguments.compare, results)))
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
