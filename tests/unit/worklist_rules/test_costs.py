"""What worklist rules cost, in requests to storage: so much for a study, and for each of its workitems (AIX-2)."""

import time

import pytest

from tests.builders.worklist_rules import RuleService, chest

_STUDIES = 10
_CHORE = 3
"""Requests of a run whatever there is to do: cursor and log, or the list of studies."""


@pytest.mark.spec("AIX-2")
@pytest.mark.parametrize("rules", [1, 4])
async def test_a_study_costs_five_requests_and_two_for_each_workitem(rules: int) -> None:
    service = RuleService()
    service.workitems.now = time.time  # sort keys of one millisecond could meet
    for number in range(rules):
        await service.add_rule(name=f"Rule {number}", quietSeconds=60)
    for number in range(_STUDIES):
        await service.store(chest(study=f"1.2.826.{number}"))
    await service.sequencer.catch_up()

    service.tables.requests = 0
    await service.follower.run()
    noted, service.tables.requests = service.tables.requests, 0
    service.time.seconds += 61
    made = await service.work.run()

    assert made == rules * _STUDIES
    assert noted <= 2 * _STUDIES + _CHORE + 1
    assert service.tables.requests <= (3 + 2 * rules) * _STUDIES + _CHORE
