"""`python -m benchmarks [store] [search] [retrieve] [--quick] [--save FILE] [--compare FILE] [--url URL --pid PID]`."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from benchmarks import report
from benchmarks.client import Client
from benchmarks.measure import Bench, Processes, TransactionLog
from benchmarks.scenarios import retrieve, search, store
from benchmarks.service import local_service

SCENARIOS = {"store": store.run, "retrieve": retrieve.run, "search": search.run}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Benchmarks of the hot paths over HTTP.")
    parser.add_argument("scenarios", nargs="*", choices=[*SCENARIOS, []], help="default: all")
    parser.add_argument("--quick", action="store_true", help="a tenth of the operations, small objects")
    parser.add_argument("--save", type=Path, help="write the results as JSON")
    parser.add_argument("--compare", type=Path, help="print ratios to a saved run")
    parser.add_argument("--url", help="DICOMweb base URL of another service, instead of starting this one")
    parser.add_argument("--pid", type=int, action="append", default=[], help="with --url: a local process to measure")
    return parser.parse_args()


@contextlib.asynccontextmanager
async def _bench(arguments: argparse.Namespace) -> AsyncIterator[Bench]:
    if arguments.url:
        yield Bench(arguments.url, Processes(arguments.pid), TransactionLog(None), arguments.quick)
        return
    async with local_service() as service:
        yield Bench(f"{service.url}/v2", Processes(service.worker_pids), TransactionLog(service.log), arguments.quick)


async def _main() -> int:
    arguments = _arguments()
    async with _bench(arguments) as bench, aiohttp.ClientSession() as session:
        client = Client(bench.url, session)
        print(report.heading())
        for name in arguments.scenarios or SCENARIOS:
            printed = len(bench.results)
            await SCENARIOS[name](bench, client)
            for result in bench.results[printed:]:
                print(report.line(result), flush=True)
        if arguments.save:
            report.save(arguments.save, bench.url, bench.results)
        if arguments.compare:
            print("\n".join(report.compare(arguments.compare, bench.results)))
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
