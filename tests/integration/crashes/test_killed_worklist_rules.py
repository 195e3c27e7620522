"""Worker processes are killed (SIGKILL) while worklist rules make workitems: one for each study and rule (AIX-2)."""

import asyncio
from typing import Final

import orjson
import pytest

from tests.integration.crashes.archive import new_files
from tests.integration.crashes.proxy import Fault
from tests.integration.crashes.service import watched
from tests.integration.devhost.waiting import eventually

_STEPS: Final = (3, 9, 17, 26, 38, 55)
"""Requests to storage of one run of the chores: from the look at the change log to the last workitem."""
_LOOKS: Final = 100
"""For the death of a worker, a tenth of a second between them: a run may be shorter than the step."""
_SECONDS: Final = 240
"""A dead process holds a lease for half a minute; then another one goes on."""


@pytest.mark.nightly
@pytest.mark.spec("AIX-2", "P-2")
@pytest.mark.parametrize("fault", [Fault.LOSE_REQUEST, Fault.LOSE_ANSWER])
async def test_each_study_gets_one_workitem_by_each_rule_whoever_dies(fault):
    async with watched(workers=3) as scene:
        archive = scene.archive
        for name in ("first", "second"):
            rule = orjson.dumps({"name": name, "filter": {"PatientID": "C*"}, "quietSeconds": 0})
            made = await archive.send("POST", "worklist-rules", rule, Content_Type="application/json")
            assert made.status == 201, made
        studies, kills = [], 0
        for step in _STEPS:
            files = new_files(2)
            assert (await archive.store(files)).status == 200
            studies.append(files[0].identifier.study_instance_uid)
            point = scene.proxy.arm(fault, step, await scene.workers(), kill=True)
            await archive.run("housekeeping")
            for _ in range(_LOOKS):
                if point.killed:
                    break
                await asyncio.sleep(0.1)
            scene.proxy.disarm()
            await scene.forget(point)
            kills += bool(point.killed)
        assert kills > 1

        async def labels(study):
            found = await archive.search(f"workitems?StudyInstanceUID={study}")
            return sorted(each["00741204"]["Value"][0] for each in found)

        async def settled():
            await archive.run("housekeeping")
            return all([await labels(study) == ["first", "second"] for study in studies])

        await eventually(settled, _SECONDS)
        await archive.run("housekeeping")
        for study in studies:
            assert await labels(study) == ["first", "second"]
