"""Many clients write into one study at once, over two workers: nobody's store is lost, doubled or refused in error.

The second worker shows, too, that what one process has answered every other knows at once.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from devhost.testing import running_azurite
from tests.builders.images import image, new_uid
from tests.conformance.exchange import OCTETS, parts, several
from tests.integration.crashes.archive import JSON, Archive, new_file, new_files, patient_of, sops
from tests.integration.crashes.proxy import StorageProxy, storage_proxy
from tests.integration.crashes.service import with_everything
from tests.integration.crashes.stored import Changes, Stored

WRITERS = 16
_ALREADY_STORED = 45070


@dataclass(frozen=True, slots=True)
class Scene:
    """A service of two workers, and what it stores."""

    archive: Archive
    stored: Stored
    proxy: StorageProxy
    studies: set[str] = field(default_factory=set)
    """All of the store."""

    async def settle(self) -> Changes:
        """The change feed, when all work is done and nothing is wrong."""
        faults = await self.stored.when_settled(self.archive, self.studies)
        assert faults == []
        return await self.stored.changes()


@pytest.fixture(scope="module")
async def scene() -> AsyncIterator[Scene]:
    async with (
        running_azurite() as azurite,
        storage_proxy(azurite) as proxy,
        with_everything(proxy.connection_string, workers=2) as (_, archive, stored),
    ):
        yield Scene(archive, stored, proxy)


@pytest.fixture
def study(scene) -> str:
    uid = new_uid()
    scene.studies.add(uid)
    return uid


@pytest.mark.spec("STOW-7", "STOW-42", "CON-5", "STOW-45")
@pytest.mark.parametrize("series", [1, WRITERS])
async def test_writers_into_one_study_all_succeed_at_a_bounded_price(scene, study, series):
    each = 4
    files = new_files(WRITERS * each, series=series, study=study)
    sets = [files[number::WRITERS] for number in range(WRITERS)]
    before = scene.proxy.requests

    replies = await asyncio.gather(*(scene.archive.store(batch) for batch in sets))

    assert [reply.status for reply in replies] == [200] * WRITERS
    assert [reply.stored for reply in replies] == [sops(batch) for batch in sets]
    # Alone, such a store takes a dozen requests. The host's listings and the sequencer have a share in these.
    assert scene.proxy.requests - before < WRITERS * 60
    assert set(await scene.archive.look(study, files)) == sops(files)
    changes = await scene.settle()
    assert [[entry.operation for entry in changes[one.identifier]] for one in files] == [["create"]] * len(files)
    assert set(await scene.archive.look(study, files)) == sops(files)


@pytest.mark.spec("STOW-7", "IDX-2")
async def test_every_store_is_found_by_its_own_uids_as_soon_as_it_is_answered(scene, study):
    archive = scene.archive

    async def write(number: int) -> None:
        one = new_file(study, description=f"Text {number}")
        assert (await archive.store([one])).status == 200
        for _ in range(2):
            uids = one.identifier
            queries = (
                f"instances?SOPInstanceUID={uids.sop_instance_uid}",
                f"series?SeriesInstanceUID={uids.series_instance_uid}",
                f"studies?PatientID={patient_of(study)}",
            )
            assert [len(found) for found in await asyncio.gather(*map(archive.search, queries))] == [1, 1, 1]

    await asyncio.gather(*map(write, range(WRITERS)))

    [found] = await archive.search(f"studies?StudyInstanceUID={study}&includefield=00201208,00201206")
    assert found["00201208"]["Value"] == found["00201206"]["Value"] == [WRITERS]
    [description] = found["00081030"]["Value"]
    assert len(await archive.search(f"studies?StudyDescription={description}&PatientID={patient_of(study)}")) == 1


@pytest.mark.spec("STOW-40", "CON-1", "CON-2")
async def test_of_writers_of_the_same_instances_exactly_one_wins_each(scene, study):
    series, uids = new_uid(), [new_uid() for _ in range(3)]
    versions = [[new_file(study, series, uid, description=f"By {n}") for uid in uids] for n in range(WRITERS)]

    replies = await asyncio.gather(*(scene.archive.store(files) for files in versions))

    for reply in replies:
        assert reply.status in {200, 202, 409}
        assert set(reply.reasons) <= {_ALREADY_STORED}
    winners = {
        one.identifier.sop_instance_uid: one
        for reply, files in zip(replies, versions, strict=True)
        for one in files
        if one.identifier.sop_instance_uid in reply.stored
    }
    assert [sum(uid in reply.stored for reply in replies) for uid in uids] == [1, 1, 1]
    assert await scene.archive.look(study, [one for files in versions for one in files]) == winners
    changes = await scene.settle()
    assert [[entry.operation for entry in changes[one.identifier]] for one in winners.values()] == [["create"]] * 3
    assert await scene.archive.look(study, list(winners.values())) == winners


@pytest.mark.spec("PUT-1", "PUT-2", "PUT-3", "CON-2")
async def test_writers_that_replace_one_instance_leave_exactly_one_version_and_never_a_gap(scene, study):
    series, sop = new_uid(), new_uid()
    versions = [new_file(study, series, sop, description=f"Version {number}") for number in range(WRITERS)]
    assert (await scene.archive.store(versions[:1])).status == 200

    async def watch() -> None:
        while not writing.done():
            assert await scene.archive.file_of(versions[0].path) in {one.data for one in versions}

    writing = asyncio.gather(*(scene.archive.store([one], "PUT") for one in versions[1:]))
    replies, _ = await asyncio.gather(writing, watch())

    # One that was overtaken by a later upload has lost.
    assert all(reply.status == 200 or reply.reasons == [_ALREADY_STORED] for reply in replies)
    [version] = (await scene.archive.look(study, versions)).values()
    entries = (await scene.settle())[version.identifier]
    assert [entry.operation for entry in entries] == ["create"] * (1 + sum(reply.status == 200 for reply in replies))
    [facts] = await scene.stored.facts([study])
    [row] = facts.live.values()
    assert row.properties["v"] == entries[-1].version
    assert await scene.archive.look(study, [version]) == {sop: version}


@pytest.mark.spec("FRM-9", "DEL-6", "DEL-12", "PUT-2")
async def test_what_one_worker_has_answered_the_other_knows(scene, study):
    """The workers take turns, so what is asked several times in a row is asked of both."""
    archive, series, sop = scene.archive, new_uid(), new_uid()
    one, other = (image(study, series, sop, size=(4, width), PatientID=patient_of(study)) for width in (4, 6))

    async def file():
        return await archive.file_of(one.path)

    async def columns():
        reply = await archive.send("GET", f"{one.path}/metadata", Accept=JSON)
        return reply.json()[0]["00280011"]["Value"] if reply.status == 200 else None

    async def frames():
        reply = await archive.send("GET", f"{one.path}/frames/1", Accept=several(OCTETS, "*"))
        assert reply.status in {200, 404}
        return tuple(part.body for part in parts(reply)) if reply.status == 200 else None

    async def found():
        return len(await archive.search(f"instances?SOPInstanceUID={sop}"))

    async def check(*expected) -> None:
        for probe, answer in zip((file, columns, frames, found), expected, strict=True):
            assert [await probe() for _ in range(4)] == [answer] * 4

    for _ in range(3):
        assert (await archive.store([one])).status == 200
        await check(one.data, [4], one.frames, 1)
        assert (await archive.store([other], "PUT")).status == 200
        await check(other.data, [6], other.frames, 1)
        assert (await archive.delete(one.path)).status == 204
        await check(None, None, None, 0)
        assert [(await archive.delete(one.path)).status for _ in range(4)] == [404] * 4
