"""DICOMcast for the studies of another DICOMweb server: over HTTP, by sweeps and events, with the same result."""

import random
from typing import Any

import pytest
from aiohttp import ClientSession

from devhost.fhir_server import running_fhir_server
from tests.builders import osteosarcoma, osteosarcoma_files
from tests.builders.osteosarcoma_files import study_uid
from tests.integration.cast.casting import BASE, Caster, Fhir, eventually, settings

STUDIES = (1, 2, 4, 5, 6, 9, 15)


async def announce(caster: Caster, schema: str, host: str) -> None:
    """An event as Event Grid delivers it."""
    kind, data = "Microsoft.HealthcareApis.DicomImageDeleted", {"serviceHostName": host, "sequenceNumber": 1}
    event: dict[str, Any] = {"id": "1", "subject": "x", "data": data}
    if schema == "cloudevents":
        event |= {"specversion": "1.0", "source": "/workspaces/ws", "type": kind, "time": "2026-01-31T09:15:00Z"}
    else:
        event |= {"topic": "/ws", "eventType": kind, "eventTime": "2026-01-31T09:15:00Z", "dataVersion": "1"}
    async with caster.session.post(
        f"{caster.service.url}/runtime/webhooks/EventGrid?functionName=cast_event",
        json=[event],
        headers={"aeg-event-type": "Notification"},
    ) as response:
        assert response.status == 202


@pytest.mark.timeout(600)
@pytest.mark.spec("CAST-RD-1", "CAST-EV-1", "CAST-EV-2", "CAST-EV-6", "CAST-EV-7", "CAST-EV-8")
@pytest.mark.parametrize("version", [pytest.param("v1", marks=pytest.mark.nightly), "v2"])
async def test_both_sources_give_the_same_resources(version, fresh_service, fhir_server) -> None:
    async with (
        running_fhir_server() as second,
        Fhir(fhir_server.url) as own,
        Fhir(second.url) as remote,
        ClientSession() as session,
    ):
        for each in (own, remote):
            await each.load(osteosarcoma.clinical())
        first = Caster(await fresh_service(settings(fhir_server.url)), session)
        found = [each for number in STUDIES for each in osteosarcoma_files.files(number)]
        random.Random(11).shuffle(found)
        await first.store(found)
        await first.settled()
        elsewhere = settings(
            second.url,
            DicomWeb__Source="http",
            DicomWeb__PrivateEndpoint=f"{first.service.url}/{version}",
            DicomWeb__Authentication__Enabled="false",
        )
        caster = Caster(await fresh_service(elsewhere), session)
        # no event at all: the timer reads the feed
        await caster.seen(await first.newest(), timer=True)
        assert await remote.content() == await own.content()
        assert await caster.differences() == []

        await first.delete(study_uid(5))
        await first.settled()
        await announce(caster, "cloudevents", "somebody.else.test")
        await announce(caster, "cloudevents", BASE.split("/")[2])
        await caster.seen(await first.newest())
        await first.delete(study_uid(6))
        await first.settled()
        await announce(caster, "eventgrid", BASE.split("/")[2].upper())
        await caster.seen(await first.newest())
        assert 5 not in await remote.studies()
        assert await remote.content() == await own.content()

        # a FHIR server that was set back
        for study in await remote.all("ImagingStudy"):
            await remote.client.delete("ImagingStudy", study["id"])
        started = await caster.ask("cast/backfill", "POST", expected=202)
        assert await caster.operation(started["id"]) == {"studies": len(STUDIES) - 2}
        await eventually(remote.studies, lambda held: len(held) == len(STUDIES) - 2)
        await caster.seen(await first.newest(), timer=True)
        assert await remote.content() == await own.content()
        assert await caster.ask("cast/reset", "POST", {"sequence": 0}, expected=202) == {"checkpoint": 0}
        await caster.seen(await first.newest(), timer=True)
        assert await remote.content() == await own.content()
