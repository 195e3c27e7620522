"""Parsing beside the event loop."""

import gc
import threading

import pytest

from shared import collector
from shared.dicom.part10.file_reader import Part10Reader
from shared.ingest import parsing
from shared.memory_budget import Lease, MemoryBudget
from tests.builders.part10_bytes import DEFL, UNDEFINED, explicit, identified, item, part10


class Watched(Part10Reader):
    """Knows in which thread it was fed."""

    def __init__(self):
        super().__init__(strict=False)
        self.threads = []

    def feed(self, chunk):
        self.threads.append(threading.current_thread() is threading.main_thread())
        super().feed(chunk)


async def fed(data, size):
    reader = Watched()
    for start in range(0, len(data), size):
        await parsing.feed(reader, data[start : start + size], Lease(MemoryBudget(1 << 30, "busy")))
    return reader


@pytest.mark.spec("STOW-46")
async def test_what_a_value_was_waiting_for_is_parsed_in_a_thread_however_small_the_last_chunk_is():
    reader = await fed(part10(identified(explicit(0x0040A160, "UT", b"x" * 200_000))), 1000)
    assert reader.threads[-1] is False
    assert reader.threads.count(False) < 5


@pytest.mark.spec("STOW-46")
async def test_pixel_data_pass_on_the_event_loop():
    reader = await fed(part10(identified(explicit(0x7FE00010, "OW", bytes(1_000_000)))), 64 * 1024)
    assert all(reader.threads)
    assert reader.identifier is not None
    assert (await parsing.finish(reader)).length == reader._length


@pytest.mark.spec("STOW-46")
@pytest.mark.parametrize("size", [100, 3000, 64 * 1024])
async def test_deflated_data_are_inflated_in_a_thread(size):
    reader = await fed(part10(identified(explicit(0x7FE00010, "OW", bytes(1_000_000))), DEFL), size)
    assert reader.threads
    assert not any(reader.threads[3 if size == 100 else 0 :])


@pytest.mark.spec("STOW-46")
async def test_a_large_header_is_read_in_a_thread_from_its_first_kilobytes_on():
    elements = b"".join(explicit(0x00210000 + number, "LO", b"x" * 100) for number in range(2000))
    reader = await fed(part10(identified(elements)), 1 << 20)
    assert reader.threads.count(False) == 1
    assert reader.threads[-1] is False


@pytest.mark.spec("STOW-46")
@pytest.mark.parametrize("size", [1, 131, 300, 2048, 2049, 1 << 20])
async def test_a_file_is_read_alike_however_it_arrives(size):
    data = part10(identified(explicit(0x00204000, "LT", b"words") + explicit(0x7FE00010, "OW", bytes(40_000))))
    whole, reader = Part10Reader(strict=False), await fed(data, size)
    whole.feed(data)
    one, other = whole.finish(), await parsing.finish(reader)
    assert (one.attributes, one.frames, one.length) == (other.attributes, other.frames, other.length)


@pytest.mark.spec("STOW-46")
def test_a_large_data_set_is_taken_apart():
    attributes = {
        "00081140": {"vr": "SQ", "Value": [{"00081140": {"vr": "SQ", "Value": [{}]}}, {}]},
        "00080060": {"vr": "CS"},
    }
    parsing.release(attributes)
    assert attributes == {}


@pytest.mark.spec("STOW-46")
async def test_the_collector_comes_back_when_the_last_large_data_set_is_gone():
    budget = MemoryBudget(100, "busy")
    one, other = Lease(budget), Lease(budget)
    collector.keep_away()
    assert gc.get_freeze_count() == 0
    await one.grow(10)
    await other.grow(20)
    collector.keep_away()
    one.shrink()
    assert gc.get_freeze_count() > 0
    other.shrink()
    other.shrink()
    assert gc.get_freeze_count() == 0


@pytest.mark.spec("STOW-46")
async def test_a_second_opinion_leaves_the_collector_as_it_was():
    flood = explicit(0x00081140, "SQ", item() * 20_000, length=UNDEFINED)
    lease = Lease(MemoryBudget(1 << 30, "busy"))
    with pytest.raises(parsing.InvalidPart10):
        await parsing.read_tolerantly([part10(flood)], lease, strict=False)
    lease.shrink()
    assert gc.isenabled()
