"""A process dies before or after each of its requests; another goes on, and nothing is missing or counted twice."""

import asyncio
import json
from contextlib import suppress
from itertools import count

import pytest

from shared.errors import Unavailable
from shared.export import sources
from tests.builders import datasets
from tests.unit.export.service import SIGNATURE, URI, ExportService, destination, source

PATHS = [(f"1.{study}", f"1.{study}.1", f"1.{study}.1.{number}") for study in (1, 2) for number in range(3)]
BODY = {"source": source("1.1", "1.9", "1.2/1.2.1"), "destination": destination(blobContainerUri=f"{URI}?{SIGNATURE}")}


class Crash(BaseException):
    """The process is gone."""


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch):
    monkeypatch.setattr(sources, "_INSTANCES", 2)
    monkeypatch.setattr(sources, "_ENOUGH", 2)


async def killed(step, *, after, body=BODY, content=None):
    """A service that dies at its `step`-th request, what the client was told (None: nothing), and whether it died."""
    service = ExportService()
    for path in PATHS:
        data = content(path) if content else None
        await service.add(*path, content=data, length=len(data) if data else 1000)
    requests = count(1)

    async def die(*_):
        await asyncio.sleep(0)
        if next(requests) >= step:
            raise Crash

    for store in (service.tables, service.container, service.blobs):
        setattr(store, "after" if after else "before", die)
    answer, died = None, False
    try:
        answer = await service.ask(body)
        await service.runner.run()
    except Crash:
        died = True
    finally:
        for store in (service.tables, service.container, service.blobs):
            store.before = store.after = None
    return service, answer, died


@pytest.mark.spec("OP-9", "XPT-24", "XPT-26", "XPT-28")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_an_export_goes_on_wherever_its_process_died(after):
    whole = {"/".join(path): "/".join(path).encode() for path in PATHS}
    for step in count(1):
        service, answer, died = await killed(step, after=after)
        done = answer is not None and answer.status == 202
        other = ExportService(beside=service)
        other.time.seconds += 120
        await other.runner.run()
        other.time.seconds += 3600
        await other.records.sweep()

        operations = {row.row_key[2:] for row in other.tables.rows("ops", "operations") if row.row_key.startswith("o!")}
        assert len(operations) == 1 if done else len(operations) <= 1
        for operation_id in operations:
            state = await other.state(operation_id)
            assert (state["status"], state["results"]["exported"], state["results"]["skipped"]) == ("succeeded", 6, 1)
            assert other.exported(operation_id) == whole
            assert {json.loads(line)["identifier"] for line in other.container.log(operation_id)} == {"1.9"}
        assert other.secrets.kept == {}
        assert {row.partition_key for row in other.tables.rows("ops")} <= {"operations"}
        if not died:
            assert step > 40
            return


def _content(path):
    study, series, instance = path
    number = int(instance.rpartition(".")[2])
    uids = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": instance}
    return datasets.part10(datasets.ct(**uids, PatientName="Zquxmorf", Modality="US" if number == 2 else "CT"))


@pytest.mark.spec("OP-9", "DEID-8", "DEID-9")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.nightly)])
async def test_a_deidentified_export_has_the_same_names_and_the_same_report_wherever_its_process_died(after, every):
    body = BODY | {"deidentify": {"profile": "basic"}}
    for step in count(1, every):
        service, answer, died = await killed(step, after=after, body=body, content=_content)
        other = ExportService(beside=service)
        other.time.seconds += 120
        await other.runner.run()
        other.time.seconds += 3600
        await other.records.sweep()

        operations = [row.row_key[2:] for row in other.tables.rows("ops", "operations") if row.row_key.startswith("o!")]
        assert len(operations) == 1 if answer is not None and answer.status == 202 else len(operations) <= 1
        assert set(other.secrets.kept) == {f"deidentification-{each}" for each in operations}
        for operation_id in operations:
            results = (await other.state(operation_id))["results"]
            assert (results["exported"], results["skipped"]) == (4, 3)
            key = await other.records.key(operation_id)
            assert set(other.exported(operation_id)) == {
                "/".join(map(key.uid, path)) for path in PATHS if not path[2].endswith(".2")
            }
            report = json.loads(other.container.blobs[f"{operation_id}/report.json"])
            assert (report["files"], report["refused"]) == (4, {"habitualBurnedInText": 2})
        if not died:
            assert step > 40
            return


@pytest.mark.spec("OP-9", "XPT-27")
async def test_every_request_may_fail_once_without_a_loss():
    service = ExportService()
    for path in PATHS:
        await service.add(*path)
    operation_id = await service.start("1.1", "1.2")
    failed = set()

    async def fail(*what):
        if what not in failed:
            failed.add(what)
            raise Unavailable("once")

    for store in (service.tables, service.container, service.blobs):
        store.before = fail
    for _ in range(20):
        with suppress(Unavailable):
            await service.runner.run()
        service.time.seconds += 400

    assert (await service.state(operation_id))["results"]["exported"] == 6
    assert failed >= {("copy",), ("ops", "get"), ("ops", "commit"), ("dicom", "page")}
