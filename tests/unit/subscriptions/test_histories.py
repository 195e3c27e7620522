"""Random histories of workitems and connections: what a subscriber gets, whatever breaks and dies (WE-5 to WE-9).

The client is one that knows its business: it keeps the Message ID of the last report that it has got without a gap, and
names it when it connects again.
"""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.subscriptions.delivery import LEASE_MS
from shared.subscriptions.subscriber import RETENTION_MS
from tests.builders.subscriptions import ALL, NAMESPACE, Watched, value
from tests.builders.worklist import CLAIM, element
from tests.fakes.tables import MemoryTableStore

UIDS = ("1.2.1", "1.2.2", "1.2.3")
STEPS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(UIDS)),
    st.tuples(st.just("write"), st.sampled_from(UIDS)),
    st.tuples(st.just("tell"), st.integers(0, 12)),
    st.tuples(st.just("break"), st.booleans()),
    st.tuples(st.just("connect"), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([1, 30, 400])),
)
"""`tell` dies at that request to storage (0: it does not); `break` is noticed by the channel or not; `connect` names
the last report or does not; `wait` lets seconds go by."""


class Died(BaseException):
    """The process is gone."""


class History:
    """A subscriber, and all that should reach it."""

    def __init__(self) -> None:
        self.dies_in = 0
        self.worklist = Watched(MemoryTableStore(before=self._before))
        self.written: dict[str, list[int]] = {uid: [] for uid in UIDS}
        """The progress of each workitem, in the order of its writes; 0 is its creation, 1 its claim."""
        self.reports: dict[int, tuple[str, int]] = {}
        """What the client has got, by Message ID."""
        self.last = 0
        """The Message ID up to which it has got all."""
        self.end = self.worklist.time.seconds + RETENTION_MS / 1000 - 1200
        """All of it happens within the hour for which reports are kept, with the leases of processes that die."""
        self.deaf = False
        """Its connection is broken, and the channel has not noticed."""

    async def _before(self, _kind, _operation):
        if self.dies_in:
            self.dies_in -= 1
            if not self.dies_in:
                raise Died

    async def write(self, uid):
        done = self.written[uid]
        if not done:
            await self.worklist.create(uid)
        elif len(done) == 1:
            assert (await self.worklist.change(uid, "IN PROGRESS")).status == 200
        else:
            progress = {"00741002": element("SQ", {"00741004": element("DS", len(done))})}
            assert (await self.worklist.update(uid, progress, CLAIM)).status == 200
        done.append(len(done))

    async def tell(self, dies_in):
        self.dies_in = dies_in
        try:
            await self.worklist.tell()
        except Died:
            self.worklist.time.seconds += LEASE_MS / 1000 + 1
        finally:
            self.dies_in = 0
            self.receive()

    def receive(self):
        """What has come by the connection; one that is broken loses it."""
        for report in self.worklist.got():
            if self.deaf:
                continue
            number, uid = value(report, "00000110"), value(report, "00001000")
            state, progress = value(report, "00741000"), report.get("00741002")
            step = {"SCHEDULED": 0, "IN PROGRESS": 1}[state] if state else value(progress["Value"][0], "00741004")
            assert self.reports.setdefault(number, (uid, step)) == (uid, step), "a number names one report"
        while self.last + 1 in self.reports:
            self.last += 1

    async def connect(self, *, names_last):
        self.worklist.disconnect()
        self.deaf = False
        await self.worklist.connect(after=self.last if names_last else None)
        self.receive()

    async def run(self, steps):
        await self.worklist.connect()
        await self.worklist.subscribe(ALL)
        for kind, detail in steps:
            match kind:
                case "write":
                    await self.write(detail)
                case "tell":
                    await self.tell(detail)
                case "break":
                    self.deaf = True
                    if detail:
                        self.worklist.disconnect()
                case "connect":
                    await self.connect(names_last=detail)
                case _ if self.worklist.time.seconds + detail < self.end:
                    self.worklist.time.seconds += detail
        await self.worklist.tell(NAMESPACE)
        await self.connect(names_last=True)
        await self.worklist.tell(NAMESPACE)
        self.receive()


def check(steps):
    history = History()
    asyncio.run(history.run(steps))

    assert sorted(history.reports) == list(range(1, sum(map(len, history.written.values())) + 1))
    for uid, written in history.written.items():
        assert [step for _, (each, step) in sorted(history.reports.items()) if each == uid] == written


@pytest.mark.spec("WE-5", "WE-6", "WE-9")
@pytest.mark.parametrize("examples", [3, pytest.param(500, marks=pytest.mark.nightly)])
def test_every_report_arrives_numbered_and_in_the_order_of_its_workitem(examples):
    settings(deadline=None, max_examples=examples)(given(st.lists(STEPS, max_size=25))(check))()


@pytest.mark.spec("WE-6", "WE-9")
def test_what_went_into_a_dead_connection_comes_again():
    writes = [("write", UIDS[0])] * 3
    check([*writes, ("break", False), ("write", UIDS[0]), ("tell", 0), ("tell", 5), ("connect", True)])
    check([("break", True), *writes, ("tell", 7), ("wait", 400), ("connect", False), ("write", UIDS[1])])
