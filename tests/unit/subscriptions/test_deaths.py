"""A process dies at any request on its way from the outbox to a subscriber: no report is lost (WE-9)."""

import pytest

from shared.subscriptions.delivery import LEASE_MS
from tests.builders.subscriptions import ALL, NAMESPACE, PART, Watched, value
from tests.builders.worklist import CLAIM, element
from tests.fakes.tables import MemoryTableStore

_MOST_STEPS = 200


class Died(BaseException):
    """The process is gone: nothing that it does afterwards counts."""


class Scene:
    """A worklist that changes, with two subscribers; its process dies at one of the requests to storage."""

    def __init__(self) -> None:
        self.dies_at = 0
        self.behind = False
        """Whether the request at which it dies is applied."""
        self.requests = 0
        self.worklist = Watched(MemoryTableStore(before=self._before, after=self._after))

    async def _before(self, _kind, _operation):
        self.requests += 1
        if self.dies_at and self.requests > self.dies_at - (not self.behind):
            raise Died

    async def _after(self, _kind, _operation):
        if self.dies_at and self.requests >= self.dies_at:
            raise Died

    async def prepare(self):
        """Two subscribers, one of them by a filter; and a workitem, of which they are told already."""
        worklist = self.worklist
        for aetitle, uid, query in (("AE", ALL, ""), ("PART", PART, "filter=ProcedureStepState=SCHEDULED")):
            await worklist.connect(aetitle)
            assert (await worklist.subscribe(uid, aetitle, query)).status == 201
        await worklist.create("1.2.1")
        await worklist.tell()
        await worklist.change("1.2.1", "IN PROGRESS")
        for number in range(3):
            await worklist.update("1.2.1", {"00741002": element("SQ", {"00741004": element("DS", number)})}, CLAIM)
        await worklist.create("1.2.2")

    async def die(self, step, *, behind):
        """Tell of events, until the process dies; whether it has."""
        self.requests, self.dies_at, self.behind = 0, step, behind
        try:
            await self.worklist.tell()
        except Died:
            return True
        finally:
            self.dies_at = 0
        return False


@pytest.mark.spec("WE-9", "WE-5")
@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("steps", [7, pytest.param(1, marks=pytest.mark.nightly)])
async def test_no_report_is_lost_wherever_a_process_dies(behind, steps):
    for step in range(1 + behind, _MOST_STEPS, steps):
        scene = Scene()
        await scene.prepare()
        died = await scene.die(step, behind=behind)
        scene.worklist.time.seconds += LEASE_MS / 1000 + 1
        await scene.worklist.tell(NAMESPACE)

        for aetitle in ("AE", "PART"):
            found = scene.worklist.got(aetitle)
            numbers = [value(each, "00000110") for each in found]
            assert sorted(set(numbers)) == [1, 2, 3, 4, 5, 6], (step, aetitle)
            first = {value(each, "00000110"): each for each in reversed(found)}
            assert all(first[value(each, "00000110")] == each for each in found)
            of_one = [first[number] for number in sorted(first) if value(first[number], "00001000") == "1.2.1"]
            assert [value(each, "00001002") for each in of_one] == [1, 1, 3, 3, 3]
            assert [value(value(each, "00741002"), "00741004") for each in of_one[2:]] == [0, 1, 2]
        if not died:
            assert step > 10
            return
    raise AssertionError("it never came to an end")
