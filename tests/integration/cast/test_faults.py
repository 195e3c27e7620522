"""A FHIR server that refuses, is killed in the middle of a transaction, or is written to twice: nothing is lost."""

import asyncio
import random

import orjson
import pytest
from aiohttp import ClientSession, web

from tests.builders import osteosarcoma, osteosarcoma_files
from tests.builders.fhir_proxy import FhirProxy, Passing
from tests.builders.osteosarcoma_files import STUDIES, study_uid
from tests.integration.cast.casting import Caster, Fhir, eventually, settings

SOME = (2, 3, 4, 5, 6)


def files(*numbers: int) -> list[bytes]:
    return [each for number in numbers for each in osteosarcoma_files.files(number)]


def refusal(status: int) -> web.Response:
    issue = [{"severity": "error", "code": "processing", "diagnostics": "told why"}]
    return web.json_response({"resourceType": "OperationOutcome", "issue": issue}, status=status)


@pytest.mark.spec("CAST-ER-1", "CAST-ER-2")
async def test_what_is_refused_to_all_waits_and_what_is_refused_to_one_is_parked(fresh_service, fhir_server) -> None:
    """403 for everything during a burst: nothing is parked. 422 for one study: one row, which a replay clears."""
    async with FhirProxy(fhir_server.url).running() as proxy, Fhir(fhir_server.url) as fhir, ClientSession() as session:
        await fhir.load(osteosarcoma.clinical())

        async def forbidden(_passing: Passing) -> web.Response:
            return refusal(403)

        async def study_3_is_refused(passing: Passing) -> web.Response | None:
            return refusal(422) if passing.is_transaction and study_uid(3).encode() in passing.body else None

        proxy.fault = forbidden
        caster = Caster(await fresh_service(settings(proxy.url)), session)
        await caster.store(files(*SOME))
        status = await eventually(
            lambda: caster.ask("cast/status"), lambda told: told["circuit"]["open"] and told["studiesWaiting"] == 5
        )
        assert status["studiesParked"] == 0
        assert status["circuit"]["failure"] == "permission"
        proxy.fault = study_3_is_refused
        await caster.circuit_closed()
        await caster.settled()
        assert sorted(await fhir.studies()) == [2, 4, 5, 6]
        (error,) = await caster.ask("cast/errors?class=FhirError")
        assert (error["studyUid"], error["httpStatus"]) == (study_uid(3), 422)
        proxy.fault = None
        assert await caster.ask("cast/replay?class=FhirError", "POST", expected=202) == {"studies": 1}
        await caster.settled()
        assert sorted(await fhir.studies()) == list(SOME)
        (error,) = await caster.ask("cast/errors?class=FhirError")
        assert error["resolvedAt"]
        assert await caster.differences() == []


@pytest.mark.parametrize(
    "moment", ["answer lost", "killed during", pytest.param("killed before", marks=pytest.mark.nightly)]
)
async def test_a_transaction_that_was_cut_off_is_done_once(moment, fresh_service, fhir_server) -> None:
    async with FhirProxy(fhir_server.url).running() as proxy, Fhir(fhir_server.url) as fhir, ClientSession() as session:
        await fhir.load(osteosarcoma.clinical())
        cut: list[bytes] = []

        async def cut_off(passing: Passing) -> web.Response | None:
            if not passing.is_transaction or len(cut) >= 2:
                return None
            cut.append(passing.body)
            if moment == "answer lost":
                await passing.forward()
            elif moment == "killed before":
                await fhir_server.kill()
            else:
                sent = asyncio.create_task(passing.forward())
                await asyncio.sleep(random.Random(len(cut)).uniform(0.0, 0.05))
                await fhir_server.kill()
                await sent
            passing.drop()
            if moment != "answer lost":
                await fhir_server.start()
            return web.Response(status=502)

        proxy.fault = cut_off
        caster = Caster(await fresh_service(settings(proxy.url)), session)
        await caster.store(files(1, *SOME))
        await caster.settled()
        assert len(cut) == 2
        assert sorted(await fhir.studies()) == [1, *SOME]
        counts = {kind: len(await fhir.all(kind)) for kind in ("Patient", "Endpoint", "ImagingStudy", "Observation")}
        assert counts == {"Patient": 17, "Endpoint": 1, "ImagingStudy": 6, "Observation": 2}
        assert await caster.ask("cast/errors") == []
        assert await caster.differences() == []


async def test_two_workers_and_the_same_messages_many_times_write_everything_once(fresh_service, fhir_server) -> None:
    async with FhirProxy(fhir_server.url).running() as proxy, Fhir(fhir_server.url) as fhir, ClientSession() as session:
        await fhir.load(osteosarcoma.clinical())
        ehr = await fhir.versions()
        caster = Caster(await fresh_service(settings(proxy.url), workers=2), session)
        await caster.store(files(*STUDIES))
        numbers = [number for number in STUDIES for _ in range(10)]
        for number in random.Random(5).sample(numbers, len(numbers)):
            await caster.ask(f"cast/studies/{study_uid(number)}/replay", "POST", expected=202)
        await caster.settled()
        assert sorted(await fhir.studies()) == list(STUDIES)
        versions = await fhir.versions()
        assert {name: versions[name] for name in ehr} == ehr
        assert len(await fhir.all("Endpoint")) == 1
        assert await caster.ask("cast/errors") == []
        assert await caster.differences() == []


@pytest.mark.nightly
async def test_a_worker_that_is_killed_again_and_again_loses_nothing(fresh_service, fhir_server) -> None:
    async with Fhir(fhir_server.url) as fhir, ClientSession() as session:
        await fhir.load(osteosarcoma.clinical())
        service = await fresh_service(settings(fhir_server.url))
        caster = Caster(service, session)
        await caster.store(files(*STUDIES))
        for _ in range(3):
            await eventually(lambda: fhir.all("ImagingStudy"), bool)
            killed = await service.kill_worker(0)
            await service.await_workers(other_than=killed)
        await caster.settled()
        assert sorted(await fhir.studies()) == list(STUDIES)
        assert await caster.differences() == []
        held = orjson.dumps(await fhir.content(), option=orjson.OPT_SORT_KEYS)
        assert b"COH-099" in held
