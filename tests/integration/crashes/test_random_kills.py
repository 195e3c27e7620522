"""Clients store, replace and delete at random while worker processes and the host are killed at random."""

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from devhost.testing import RunningService, running_azurite
from tests.builders.files import File
from tests.builders.images import new_uid
from tests.integration.crashes.archive import Archive, new_file
from tests.integration.crashes.service import with_everything
from tests.integration.crashes.stored import Stored


@dataclass(slots=True)
class Known:
    """What one client knows of an instance that nobody else touches."""

    versions: list[File]
    """All that it has sent."""
    possible: set[int] = field(default_factory=set)
    """Which of them could be there now, by their place; -1: it could be absent."""
    doubtful: set[int] = field(default_factory=set)
    """Those without an answer: their files may be found, and taken in, at any time at which nothing newer is there."""

    def note(self, version: int, *, done: bool) -> None:
        """A version was sent; was it acknowledged?"""
        if done:
            self.possible = {version}
        else:
            self.possible |= {version}
            self.doubtful |= {version}


class Client:
    """Works on instances of its own in studies that it shares with the others."""

    def __init__(self, archive: Archive, studies: list[str], seed: int) -> None:
        self._archive = archive
        self._random = random.Random(seed)
        self._series = {study: new_uid() for study in studies}
        self.instances: list[Known] = []
        self.acknowledged = 0
        self.unanswered = 0

    async def run(self, until: asyncio.Event) -> None:
        """Work until told to stop."""
        while not until.is_set():
            kind = self._random.choice(["store", "store", "replace", "delete"])
            if kind == "store" or not self.instances:
                await self._store()
            elif kind == "replace":
                await self._replace(self._random.choice(self.instances))
            else:
                await self._delete(self._random.choice(self.instances))

    async def _store(self) -> None:
        study, series = self._random.choice(list(self._series.items()))
        new = [Known([new_file(study, series)], {-1}) for _ in range(self._random.choice([1, 1, 3]))]
        self.instances += new
        reply = await self._archive.store([known.versions[0] for known in new])
        self._note(reply.status == 200)
        for known in new:
            known.note(0, done=reply.status == 200)

    async def _replace(self, known: Known) -> None:
        old = known.versions[0].identifier
        place = len(known.versions)
        version = new_file(
            old.study_instance_uid, old.series_instance_uid, old.sop_instance_uid, description=f"Version {place}"
        )
        known.versions.append(version)
        reply = await self._archive.store([version], "PUT")
        self._note(reply.status == 200)
        known.note(place, done=reply.status == 200)

    async def _delete(self, known: Known) -> None:
        reply = await self._archive.delete(known.versions[0].path)
        self._note(reply.status in {204, 404})
        if reply.status == 404:
            assert -1 in known.possible, "an acknowledged instance was not there to be deleted"
        known.possible = (set() if reply.status in {204, 404} else known.possible) | {-1} | known.doubtful

    def _note(self, answered: bool) -> None:
        self.acknowledged += answered
        self.unanswered += not answered


async def kill_at_random(service: RunningService, chance: random.Random, rounds: int, *, host_too: bool) -> None:
    for _ in range(rounds):
        await asyncio.sleep(chance.uniform(0.5, 2.0))
        if host_too and chance.random() < 0.25:
            await service.kill()
            await service.start()
        else:
            killed = await service.kill_worker(chance.randrange(len(await service.worker_pids())))
            await service.await_workers(other_than=killed)


async def check(archive: Archive, stored: Stored, clients: list[Client], studies: list[str]) -> None:
    faults = await stored.when_settled(archive, studies, 300)
    assert faults == []
    instances = [known for client in clients for known in client.instances]
    for study in studies:
        mine = [known for known in instances if known.versions[0].identifier.study_instance_uid == study]
        found = await archive.look(study, [one for known in mine for one in known.versions])
        for known in mine:
            now = found.get(known.versions[0].identifier.sop_instance_uid)
            assert (-1 if now is None else known.versions.index(now)) in known.possible


async def run(*, seed: int, rounds: int, clients: int, workers: int, host_too: bool) -> None:
    chance = random.Random(seed)
    studies = [new_uid() for _ in range(3)]
    async with (
        running_azurite() as azurite,
        with_everything(azurite.connection_string, workers=workers) as (service, archive, stored),
    ):
        working = [Client(archive, studies, chance.getrandbits(32)) for _ in range(clients)]
        enough = asyncio.Event()
        tasks = [asyncio.create_task(client.run(enough)) for client in working]
        try:
            await kill_at_random(service, chance, rounds, host_too=host_too)
        finally:
            enough.set()
            await asyncio.gather(*tasks)
        assert sum(client.acknowledged for client in working) > 0
        assert sum(client.unanswered for client in working) > 0, "nothing was interrupted"
        await check(archive, stored, working, studies)


@pytest.mark.spec("P-2", "STOW-42", "STOW-45", "PUT-2", "DEL-12")
async def test_acknowledged_work_survives_workers_that_are_killed_at_random():
    await run(seed=1, rounds=3, clients=4, workers=2, host_too=False)


@pytest.mark.nightly
@pytest.mark.spec("P-2", "STOW-42", "STOW-45", "PUT-2", "DEL-12")
@pytest.mark.parametrize("seed", range(3))
async def test_acknowledged_work_survives_workers_and_hosts_that_are_killed_at_random(seed):
    await run(seed=100 + seed, rounds=20, clients=6, workers=2, host_too=True)
