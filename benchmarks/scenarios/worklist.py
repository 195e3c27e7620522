"""The worklist: what creating, claiming and completing a workitem costs, and a search in few and in many of them.

The searches of the second part run in this process, over tables in memory: what counts is that they ask for as much
among many workitems as among few, and an emulator that looks through its whole table for each query tells nothing else.
"""

import time
import uuid
from collections.abc import Iterator
from typing import Any, Final

from benchmarks.client import Client
from benchmarks.measure import Bench, Result
from benchmarks.service import LocalService
from shared.dicomweb.versions import ApiVersion
from shared.dicomweb.worklist_resources import NEW_WORKITEM
from shared.http.messages import Request
from shared.index_schema import keys
from shared.storage.ports import Entity
from shared.workitems import rows
from shared.workitems.store import Workitems
from shared.workitems.workitem import Workitem, created, without_transaction_uid
from shared.worklist.search.request import parse_search
from shared.worklist.search.transaction import WorklistSearch
from tests.fakes.tables import MemoryTableStore

_FEW, _MANY = 100, 100_000
_SEARCHES: Final = (
    "PatientID=P40",
    "PatientName=Doe^N40",
    "ScheduledStationNameCodeSequence.CodeValue=RARE",
    "ProcedureStepState=SCHEDULED&limit=10",
    "ScheduledStationNameCodeSequence.CodeValue=RARE&ProcedureStepState=SCHEDULED&limit=10",
    "ProcedureStepState=COMPLETED",
    "limit=10",
)
_DONE: Final = {
    "00741216": {
        "vr": "SQ",
        "Value": [
            {
                "00404019": {"vr": "SQ", "Value": [{"00080104": {"vr": "LO", "Value": ["work"]}}]},
                "00404028": {"vr": "SQ", "Value": [{"00080104": {"vr": "LO", "Value": ["station"]}}]},
                "00404033": {"vr": "SQ"},
                "00404050": {"vr": "DT", "Value": ["20260131120000"]},
                "00404051": {"vr": "DT", "Value": ["20260131121000"]},
            }
        ],
    }
}


async def run(bench: Bench, client: Client, _service: LocalService | None) -> None:
    """Each step is measured with workitems that the step before has left."""
    count = bench.times(500)
    uids = [_uid() for _ in range(count + 3)]
    key = _uid()

    async def create(number: int) -> None:
        await client.send_data_set("POST", f"workitems?{uids[number]}", _new(number), expect=201)

    async def claim(number: int) -> None:
        await client.send_data_set("PUT", f"workitems/{uids[number]}/state", _state("IN PROGRESS", key), expect=200)

    async def update(number: int) -> None:
        await client.send_data_set("POST", f"workitems/{uids[number]}?{key}", _DONE, expect=200)

    async def complete(number: int) -> None:
        await client.send_data_set("PUT", f"workitems/{uids[number]}/state", _state("COMPLETED", key), expect=200)

    async def search(number: int) -> None:
        assert await client.get(f"workitems?PatientID=P{number % count}", "application/dicom+json")

    await bench.run("create a workitem", create, count)
    await bench.run("claim a workitem", claim, count)
    await bench.run("update a workitem", update, count)
    await bench.run("complete a workitem", complete, count)
    await bench.run(f"search among {count} workitems by PatientID", search, count)
    few, many = await _costs(_FEW), await _costs(bench.times(_MANY))
    for pair in zip(few, many, strict=True):
        for each in pair:
            bench.results.append(each)
    assert [each.storage_requests for each in few] == [each.storage_requests for each in many]


def _uid() -> str:
    return f"2.25.{uuid.uuid4().int}"


def _new(number: int) -> dict[str, Any]:
    return {
        **NEW_WORKITEM.example,
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": f"Doe^N{number}"}]},
        "00100020": {"vr": "LO", "Value": [f"P{number}"]},
    }


def _state(state: str, key: str) -> dict[str, Any]:
    return {"00081195": {"vr": "UI", "Value": [key]}, "00741000": {"vr": "CS", "Value": [state]}}


async def _costs(count: int) -> list[Result]:
    tables = MemoryTableStore()
    tables.fill(rows.TABLE, _filling(count))
    search = WorklistSearch(tables, Workitems(tables, time.time), time.monotonic)
    results = []
    for text in _SEARCHES:
        query = parse_search(Request("GET", "http", "localhost", "/v2/workitems", text), ApiVersion.V2)
        tables.requests = 0
        begin, cpu = time.perf_counter(), time.process_time()
        page = await search.page(keys.DEFAULT_NAMESPACE, query)
        elapsed = time.perf_counter() - begin
        results.append(
            Result.of(
                f"in memory: {len(page.workitems)} of {count:,} workitems",
                [elapsed * 1000],
                elapsed,
                cpu_rounds_ms=((time.process_time() - cpu) * 1000,),
                memory=None,
                entries=[{"storageRequests": tables.requests, "storageBytesSent": 0, "storageBytesReceived": 0}],
                note=text,
            )
        )
    return results


def _filling(count: int) -> Iterator[Entity]:
    """The rows of so many workitems, of which each of the searches finds as many whatever their number."""
    for number in range(count):
        station = "RARE" if number % (count // 20) == 0 else f"S{number % 7}"
        item = {"00080100": {"vr": "SH", "Value": [station]}, "00080104": {"vr": "LO", "Value": ["station"]}}
        sent = {**_new(number), "00404025": {"vr": "SQ", "Value": [item]}}
        uid = f"1.{number}"
        attributes = without_transaction_uid(created(sent, uid, 1e9 + number))
        workitem = Workitem(uid, attributes, changed_ms=number, sort_key=keys.new_sort_key(number))
        partition = rows.partition_key(keys.DEFAULT_NAMESPACE, uid)
        postings = rows.postings(workitem)
        properties = rows.workitem_properties(workitem, [*postings], ("written",))
        yield Entity(partition, rows.workitem_key(uid), properties)
        for row_key, named in postings.items():
            yield Entity(partition, row_key, named)
