"""What the health of the service says of FHIR."""

import pytest

from shared.cast.health import fhir_is_served
from shared.health_status import Status
from shared.outgoing.failures import Failure, request_failed
from tests.builders.cast import Cast, instance


async def none() -> int:
    return 0


async def test_a_server_that_is_away_degrades_the_service_until_it_is_back() -> None:
    cast = Cast()
    check = fhir_is_served(cast.place.circuit, none)
    assert await check() is None
    cast.fhir.fault = lambda _m, _t: request_failed(Failure.PERMISSION, "no")
    await cast.cast("2.25.1", instance("2.25.1"))
    found = await check()
    assert found is not None
    assert (found.status, found.description) == (Status.DEGRADED, "The FHIR server takes no studies (permission).")
    cast.fhir.fault = None
    cast.clock.time += 61
    await cast.worker.study(cast.key("2.25.1"))
    assert await check() is None


@pytest.mark.spec("CAST-OK-3")
async def test_differences_degrade_the_service_until_a_comparison_finds_none() -> None:
    found = [3]

    async def differences() -> int:
        return found[0]

    check = fhir_is_served(Cast().place.circuit, differences)
    told = await check()
    assert told is not None
    assert told.status is Status.DEGRADED
    assert "3" in (told.description or "")
    found[0] = 0
    assert await check() is None


async def test_requests_of_a_study_do_not_grow_with_its_instances() -> None:
    cast = Cast()
    await cast.cast("2.25.0", instance("2.25.0"))
    counts = []
    for number in (1, 400):
        before = cast.fhir.requests, cast.tables.requests
        study = f"2.25.{number}"
        await cast.cast(study, *(instance(study, 1, each) for each in range(1, number + 1)))
        counts.append((cast.fhir.requests - before[0], cast.tables.requests - before[1]))
    assert counts == [(4, 9), (4, 9)]
    before = cast.fhir.requests, cast.tables.requests
    await cast.cast("2.25.1", instance("2.25.1"))
    assert (cast.fhir.requests - before[0], cast.tables.requests - before[1]) == (0, 8)
