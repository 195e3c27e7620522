"""Random requests of several clients against a small model, with lost answers and processes that die."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.storage.ports import Ambiguous
from tests.builders.worklist import Worklist, element, new_workitem, performed, reasons

UIDS = ("1.1", "1.2")
KEYS = ("", "9.1", "9.2")
TARGETS = ("IN PROGRESS", "COMPLETED", "CANCELED")
FAULTS = ("", "", "", "lost before", "lost after", "dies before", "dies after")


class Died(BaseException):
    """The process is gone."""


class Model:
    """What is known of the workitems: state, claim, whether it can be completed or canceled, and its label."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[str, str, bool, bool, str]] = {}

    def expected(self, request):
        """Status, and what the workitem becomes if the request is carried out."""
        kind, uid, key, target, label = request
        present = self.known.get(uid)
        if kind == "create":
            return (409, present) if present else (201, ("SCHEDULED", "", False, False, label))
        if present is None:
            return (400 if kind == "change" and not key else 404), None
        state, claim, done, why, _ = present
        if kind == "update":
            if (state, key) == ("SCHEDULED", "") or (state == "IN PROGRESS" and key == claim):
                return 200, (state, claim, True, True, label)
            return 400, present
        if kind == "cancel":
            return (202, ("CANCELED", "", *present[2:])) if state == "SCHEDULED" else (409, present)
        if not key:
            return 400, present
        if state == "SCHEDULED":
            return (200, (target, key, *present[2:])) if target == "IN PROGRESS" else (400, present)
        if key != claim:
            return 400, present
        if state == "IN PROGRESS":
            fit = {"IN PROGRESS": False, "COMPLETED": done, "CANCELED": why}[target]
            return (200, (target, *present[1:])) if fit else (400, present)
        return (200 if target == state else 400), present


async def send(worklist, request):
    kind, uid, key, target, label = request
    labelled = element("LO", label)
    if kind == "create":
        return await worklist.send("POST", f"workitems?{uid}", new_workitem(t00741204=labelled))
    if kind == "update":
        return await worklist.update(uid, {"00741204": labelled, **performed(), **reasons()}, key)
    if kind == "cancel":
        return await worklist.cancel(uid)
    return await worklist.change(uid, target, key)


async def run(requests):
    worklist, model = Worklist(), Model()
    for *request, fault in requests:
        status, after = model.expected(request)
        uid = request[1]
        before = model.known.get(uid)

        async def fail(_kind, operation, fault=fault):
            if operation == "commit":
                worklist.tables.before = worklist.tables.after = None
                raise Ambiguous if fault.startswith("lost") else Died

        if fault:
            setattr(worklist.tables, fault.split()[1], fail)
        try:
            reply = await send(worklist, request)
        except Died:
            after = after if fault == "dies after" else before
        else:
            assert reply.status == status, (request, reply.text)
        worklist.tables.before = worklist.tables.after = None
        if after is not None:
            model.known[uid] = after
        worklist.check()
        await compare(worklist, model)


async def compare(worklist, model):
    for uid in UIDS:
        reply = await worklist.send("GET", f"workitems/{uid}")
        if uid not in model.known:
            assert reply.status == 404
            continue
        state, _, _, _, label = model.known[uid]
        assert (reply.json["00741000"], reply.json["00741204"]) == (element("CS", state), element("LO", label))
        assert uid in await worklist.find(f"ProcedureStepState={state.replace(' ', '%20')}&ProcedureStepLabel={label}")
    assert sorted(await worklist.find()) == sorted(model.known)


@pytest.mark.spec("WS-1", "WU-5", "WK-2", "WK-5", "WU-23", "WQ-8")
@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["create", "update", "change", "change", "cancel"]),
            st.sampled_from(UIDS),
            st.sampled_from(KEYS),
            st.sampled_from(TARGETS),
            st.sampled_from(["a", "b"]),
            st.sampled_from(FAULTS),
        ),
        max_size=14,
    )
)
def test_requests_do_what_the_model_says_whatever_gets_lost(requests):
    asyncio.run(run(requests))
