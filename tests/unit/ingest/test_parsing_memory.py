"""Hostile files that come at once share the memory of one."""

import asyncio

import pytest

from shared import memory_budget
from shared.dicomweb import json_model
from shared.errors import Unavailable
from shared.ingest import parsing, part10_upload, store_batch
from shared.memory_budget import MemoryBudget
from shared.store.request import Multipart
from tests.builders.part10_bytes import explicit, item, part10
from tests.builders.store import StoreService

KIB = 1024


def odd(number, items):
    """A data set of so many items with zeros behind it, and a repeated element that the reader refuses."""
    body = explicit(0x00080018, "UI", f"1.2.{number}") + explicit(0x00080060, "CS", "OT") * 2
    body += explicit(0x00081140, "SQ", item(explicit(0x00081150, "UI", "1.2.3")) * items)
    body += explicit(0x00100020, "LO", "P") + explicit(0x0020000D, "UI", "1.3") + explicit(0x0020000E, "UI", "1.4")
    return part10(explicit(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.7") + body)


def large(number):
    return odd(number, 8000).replace(explicit(0x00080060, "CS", "OT") * 2, explicit(0x00080060, "CS", "OT"))


class Watch:
    """How many data sets are in memory between their second opinion and the end of their judgement."""

    def __init__(self, patch):
        self.now = self.most = self.all = 0
        read, examine = parsing.read_tolerantly, part10_upload.Part10Upload.abort
        counted = set()

        async def watched(pieces, lease, *, strict):
            found = await read(pieces, lease, strict=strict)
            counted.add(lease)
            self.now, self.all = self.now + 1, self.all + 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0.01)
            return found

        async def ended(upload):
            if upload._odd in counted:
                counted.discard(upload._odd)
                self.now -= 1
            await examine(upload)

        patch.setattr(parsing, "read_tolerantly", watched)
        patch.setattr(part10_upload.Part10Upload, "abort", ended)


@pytest.mark.spec("STOW-50")
async def test_hostile_odd_files_at_once_do_not_multiply_and_an_honest_one_is_stored_beside_them(monkeypatch):
    files = [odd(n, 4000) for n in range(8)]
    one_at_a_time = MemoryBudget(parsing._most_needed(len(files[0])), "busy")
    monkeypatch.setattr(parsing, "ODD", one_at_a_time)
    watch, service = Watch(monkeypatch), StoreService()
    outcomes = await asyncio.gather(*(service.store(data) for data in [*files, odd(99, 1)]))
    assert [outcome.failure for [outcome] in outcomes] == [None] * 9
    assert watch.all == 9
    assert watch.most <= 2  # what the first one really needs is less than what it might have needed
    assert one_at_a_time.free == one_at_a_time.size


@pytest.mark.spec("STOW-50")
async def test_second_opinions_wait_for_one_another_when_what_they_found_is_large(monkeypatch):
    files = [odd(n, 4000) for n in range(4)]
    monkeypatch.setattr(parsing, "ODD", MemoryBudget(1000, "busy"))
    watch, service = Watch(monkeypatch), StoreService()
    await asyncio.gather(*(service.store(data) for data in files))
    assert (watch.all, watch.most) == (4, 1)


async def test_one_request_with_many_odd_files_does_not_wait_for_itself(monkeypatch):
    monkeypatch.setattr(parsing, "ODD", MemoryBudget(1000, "busy"))
    outcomes = await StoreService().store(*(odd(n, 400) for n in range(6)))
    assert [outcome.failure for outcome in outcomes] == [None] * 6


async def test_large_files_that_arrive_at_once_are_bounded_and_some_of_them_are_stored(monkeypatch):
    monkeypatch.setattr(parsing, "LARGE", 64 * KIB)
    monkeypatch.setattr(parsing, "_STEP", 64 * KIB)
    monkeypatch.setattr(memory_budget, "_WAIT_SECONDS", 0.2)
    budget = MemoryBudget(12 * 1024 * KIB, "busy")
    monkeypatch.setattr(parsing, "ARRIVING", budget)
    service = StoreService()
    found = await asyncio.gather(*(service.store(large(n)) for n in range(8)), return_exceptions=True)
    refused = [one for one in found if isinstance(one, Unavailable)]
    stored = [one for one in found if isinstance(one, list)]
    assert len(refused) + len(stored) == 8
    assert [outcome.failure for [outcome] in stored] == [None] * len(stored)
    assert stored
    assert budget.free == budget.size
    [outcome] = await service.store(large(100))
    assert outcome.failure is None


async def test_the_bytes_of_large_files_that_nobody_can_read_yet_are_bounded(monkeypatch):
    monkeypatch.setattr(part10_upload, "HELD_BYTES", 4 * KIB)
    monkeypatch.setattr(part10_upload, "HELD_BYTES_UNREADABLE", 1024 * KIB)
    budget = MemoryBudget(1020 * KIB, "busy")
    monkeypatch.setattr(parsing, "HELD", budget)
    taken = []
    service = StoreService()

    async def slowly(data):
        for at in range(0, len(data), 4096):
            taken.append(budget.size - budget.free)
            yield data[at : at + 4096]
            await asyncio.sleep(0)

    def body(n):
        start = b"--a-boundary-that-occurs-nowhere-else\r\nContent-Type: application/dicom\r\n\r\n"
        return start + odd(n, 2000) + b"\r\n--a-boundary-that-occurs-nowhere-else--\r\n"

    async def store(n):
        return await service.send(
            slowly(body(n)), Multipart(b"a-boundary-that-occurs-nowhere-else", "application/dicom")
        )

    outcomes = await asyncio.gather(*(store(n) for n in range(4)))
    assert [outcome.failure for [outcome] in outcomes] == [None] * 4
    assert max(taken) == budget.size
    assert budget.free == budget.size


@pytest.mark.spec("STOW-50", "STOW-37")
async def test_an_instance_whose_metadata_would_be_very_much_longer_than_its_file_fails_by_name(monkeypatch):
    """A control character is a byte of a text, and six of its JSON."""
    monkeypatch.setattr(json_model, "LARGEST_PLAIN", 300 * KIB)
    monkeypatch.setattr(parsing, "LARGE", 10 * KIB)
    service = StoreService()

    def text(number, content):
        body = explicit(0x00100020, "LO", "P") + explicit(0x0020000D, "UI", "1.3") + explicit(0x0020000E, "UI", "1.4")
        start = explicit(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.7") + explicit(0x00080018, "UI", f"1.2.{number}")
        return part10(start + body + explicit(0x0040A160, "UT", content))

    hostile, honest = await service.store(text(1, b"\1" * 100 * KIB), text(2, b"a" * 100 * KIB))
    assert (hostile.failure, hostile.sop_instance_uid) == (0xA900, "1.2.1")
    assert "too large" in hostile.comments[0]
    assert honest.failure is None


async def test_what_waits_in_memory_is_one_share_for_all_requests_and_the_rest_waits_in_storage(monkeypatch):
    share = MemoryBudget(40 * KIB, "")
    monkeypatch.setattr(store_batch, "_STAGED", share)
    lowest, has_room = [], store_batch.StoreBatch._has_room

    def watched(batch, size):
        found = has_room(batch, size)
        lowest.append((share.free, found))
        return found

    monkeypatch.setattr(store_batch.StoreBatch, "_has_room", watched)
    service = StoreService()
    requests = [[odd(100 * n + m, 40) for m in range(8)] for n in range(4)]
    outcomes = await asyncio.gather(*(service.store(*files) for files in requests))
    assert [outcome.failure for each in outcomes for outcome in each] == [None] * 32
    assert min(free for free, _ in lowest) >= 0
    assert {found for _, found in lowest} == {True, False}
    assert share.free == share.size


async def test_what_waited_in_memory_is_given_back_though_the_end_of_its_request_is_cancelled(monkeypatch):
    share = MemoryBudget(400 * KIB, "")
    monkeypatch.setattr(store_batch, "_STAGED", share)
    waited = []

    async def cancelled(_pending):
        waited.append(share.size - share.free)
        raise asyncio.CancelledError

    monkeypatch.setattr(store_batch.PendingInstance, "abort", cancelled)

    async def body():
        start = b"--a-boundary-that-occurs-nowhere-else\r\nContent-Type: application/dicom\r\n\r\n"
        yield start + odd(1, 40) + b"\r\n" + start
        raise ConnectionResetError

    with pytest.raises(asyncio.CancelledError):
        await StoreService().send(body(), Multipart(b"a-boundary-that-occurs-nowhere-else", "application/dicom"))
    assert waited[0] > 0
    assert share.free == share.size
