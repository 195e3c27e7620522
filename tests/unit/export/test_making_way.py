"""An export makes way for clients of the process that it runs in."""

import asyncio

import pytest

from shared.export import work
from shared.operations.model import Paused
from shared.pacing import Pace
from tests.unit.export.service import ExportService

FILES = 40


class Rests(Pace):
    """Counts the rests, and takes none."""

    taken = 0

    async def rest(self):
        Rests.taken += 1


class Copies:
    """How many files are copied side by side."""

    def __init__(self) -> None:
        self.most = self.now = 0

    async def before(self, _operation):
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1


@pytest.fixture
async def service(monkeypatch):
    monkeypatch.setattr(work, "Pace", Rests)
    monkeypatch.setattr(Rests, "taken", 0)
    service = ExportService()
    for number in range(FILES):
        await service.add("1.1", "1.1.1", f"1.1.1.{number}")
    service.copies = Copies()
    return service


async def export(service):
    operation_id = await service.start("1.1")
    service.container.before = service.copies.before
    await service.runner.run()
    assert len(service.exported(operation_id)) == FILES


async def test_without_clients_files_are_copied_side_by_side(service):
    await export(service)

    assert service.copies.most == 16


async def test_beside_clients_one_file_is_copied_at_a_time_with_a_rest_after_each(service, monkeypatch):
    monkeypatch.setattr(type(service.foreground), "busy", True)

    await export(service)

    assert service.copies.most == 1
    assert Rests.taken == FILES


async def test_an_export_that_is_to_stop_hurries_to_its_next_checkpoint(service, monkeypatch):
    monkeypatch.setattr(type(service.foreground), "busy", True)
    operation_id = await service.start("1.1")
    service.container.before = service.copies.before
    lease = await service.operations.claim(operation_id)
    lease.stopping.set()

    with pytest.raises(Paused):
        await service.work(lease)

    assert (service.copies.most, Rests.taken) == (16, 0)
    assert lease.operation.checkpoint["exported"] == FILES
