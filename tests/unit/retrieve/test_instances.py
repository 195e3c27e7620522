"""Files as stored: what is read, and what happens when an instance goes or changes meanwhile."""

import pytest

from shared.dicom.identifiers import ResourceIdentifier
from shared.dicomweb.content_negotiation import parse_accept
from shared.errors import NotAcceptable, NotFound
from shared.retrieve.instances.transaction import Agreement, agree, open_instance, retrieve_instances
from shared.retrieve.negotiation import RetrievedResource, choices
from shared.retrieve.snapshot import LostFile, current
from tests.builders.images import ELE, JPEG, MPEG2, image, new_uid
from tests.builders.retrieve import ImageArchive, collected
from tests.builders.service import PARTITION

ANY = choices(RetrievedResource.INSTANCES, parse_accept(["*/*"]))
DEFAULT = choices(RetrievedResource.INSTANCES, parse_accept(['multipart/related; type="application/dicom"']))
EXPLICIT = choices(
    RetrievedResource.INSTANCES, parse_accept([f'multipart/related; type="application/dicom"; transfer-syntax={ELE}'])
)


@pytest.fixture
def archive():
    return ImageArchive()


async def files(found):
    return [(opened.snapshot.identifier, await collected(opened.content())) async for opened in found.files]


def scope(one, level="study"):
    uids = (one.identifier.study_instance_uid, one.identifier.series_instance_uid, one.identifier.sop_instance_uid)
    return ResourceIdentifier(*uids[: ["study", "series", "instance"].index(level) + 1])


@pytest.mark.spec("WADO-9", "WADO-27", "STOW-13")
async def test_every_file_of_a_study_comes_once_and_unchanged(archive):
    study = new_uid()
    images = [image(study, syntax=JPEG), image(study), image(study, size=(1200, 1200))]
    await archive.store(*images, image())
    found = await retrieve_instances(archive.view, scope(images[0]), ANY)
    assert sorted(await files(found)) == sorted((one.identifier, one.data) for one in images)
    found = await retrieve_instances(archive.view, scope(images[2], "series"), ANY)
    assert await files(found) == [(images[2].identifier, images[2].data)]


@pytest.mark.spec("WADO-30", "D-18")
async def test_nothing_there_is_not_found(archive):
    with pytest.raises(NotFound):
        await retrieve_instances(archive.view, ResourceIdentifier("1.2"), ANY)
    unlisted = choices(
        RetrievedResource.INSTANCES, parse_accept([f"multipart/related; type=*/*; transfer-syntax={MPEG2}"])
    )
    with pytest.raises(NotAcceptable):
        await retrieve_instances(archive.view, ResourceIdentifier("1.2"), unlisted)


@pytest.mark.spec("D-19", "WADO-28", "WADO-33")
async def test_a_study_that_is_not_acceptable_is_refused_before_a_file_is_read(archive):
    study = new_uid()
    images = [image(study), image(study, syntax=MPEG2)]
    await archive.store(*images)
    archive.forget()
    with pytest.raises(NotAcceptable):
        await retrieve_instances(archive.view, ResourceIdentifier(study), EXPLICIT)
    assert archive.blobs.calls == []


@pytest.mark.spec("WADO-26")
async def test_small_files_are_read_ahead_but_only_a_few(archive):
    study = new_uid()
    images = [image(study) for _ in range(20)]
    await archive.store(*images)
    archive.forget()
    found = await retrieve_instances(archive.view, ResourceIdentifier(study), ANY)
    assert archive.tables.requests == 1
    assert len(archive.blobs.calls) == 1
    await anext(found.files)
    await anext(found.files)
    assert len(archive.blobs.calls) <= 10
    await found.files.aclose()
    assert len(archive.blobs.calls) <= 10


@pytest.mark.spec("WADO-26")
async def test_a_large_file_is_streamed_and_opened_when_its_turn_comes(archive):
    study = new_uid()
    images = [image(study, size=(1100, 1000)), image(study, size=(1100, 1000))]
    await archive.store(*images)
    archive.forget()
    found = await retrieve_instances(archive.view, ResourceIdentifier(study), ANY)
    first = await anext(found.files)
    assert archive.blobs.calls == ["open"]
    chunks = [chunk async for chunk in first.content()]
    assert max(map(len, chunks)) < len(images[0].data)
    await anext(found.files)
    assert archive.blobs.calls == ["open", "open"]
    await found.files.aclose()


@pytest.mark.spec("WADO-29")
@pytest.mark.parametrize("gone", [0, 1, 5])
async def test_an_instance_that_is_erased_meanwhile_is_left_out(archive, gone):
    study = new_uid()
    images = [image(study) for _ in range(6)]
    await archive.store(*images)
    listed = await archive.lookup.instances(PARTITION, ResourceIdentifier(study), metadata=False)
    lost = listed[gone]

    async def erase(_, operation):
        if operation == "read":
            archive.blobs.before = None
            await archive.index.delete(PARTITION, ResourceIdentifier(study, *_pair(lost.identifier)))
            await archive.blobs.delete(lost.blob)

    archive.blobs.before = erase
    found = await retrieve_instances(archive.view, ResourceIdentifier(study), ANY)
    expected = [(one.identifier, one.data) for one in images if one.identifier != lost.identifier]
    assert sorted(await files(found)) == sorted(expected)


def _pair(identifier):
    return identifier.series_instance_uid, identifier.sop_instance_uid


@pytest.mark.spec("PUT-2")
async def test_an_instance_that_is_replaced_meanwhile_comes_in_its_new_version(archive):
    study = new_uid()
    first = image(study)
    await archive.store(first)
    old = await archive.blob_of(first)
    uids = first.identifier
    newer = image(study, uids.series_instance_uid, uids.sop_instance_uid, PatientName="Test^Replaced")

    async def replace_it(_, operation):
        archive.blobs.before = None
        await archive.store(newer, replace_existing=True)
        await archive.blobs.delete(old)

    archive.blobs.before = replace_it
    found = await retrieve_instances(archive.view, ResourceIdentifier(study), ANY)
    assert await files(found) == [(first.identifier, newer.data)]


@pytest.mark.spec("D-41", "ERR-4")
async def test_a_file_that_is_lost_is_a_fault_found_before_the_first_byte(archive):
    one = image()
    await archive.store(one)
    await archive.blobs.delete(await archive.blob_of(one))
    with pytest.raises(LostFile):
        await retrieve_instances(archive.view, scope(one), ANY)


@pytest.mark.spec("D-41", "WADO-28")
async def test_a_file_that_is_lost_later_ends_the_answer_with_an_error(archive):
    study = new_uid()
    images = [image(study) for _ in range(3)]
    await archive.store(*images)
    listed = await archive.lookup.instances(PARTITION, ResourceIdentifier(study), metadata=False)
    await archive.blobs.delete(listed[2].blob)
    found = await retrieve_instances(archive.view, ResourceIdentifier(study), ANY)
    with pytest.raises(LostFile):
        await files(found)


@pytest.mark.spec("WADO-29", "DEL-6")
async def test_one_instance_that_is_deleted_while_it_is_opened_is_gone(archive):
    one = image()
    await archive.store(one)
    stored = await archive.view.snapshot(one.identifier)
    await archive.index.delete(PARTITION, scope(one))
    await archive.blobs.delete(stored.location)
    agreement = Agreement(ANY[0], stored_will_do=False)
    assert await current(stored, lambda version: open_instance(version, agreement)) is None


@pytest.mark.spec("WADO-7")
async def test_a_newer_version_in_a_syntax_that_was_not_accepted_is_not_sent(archive):
    one = image()
    await archive.store(one)
    stored = await archive.view.snapshot(one.identifier)
    agreement = await agree(stored, EXPLICIT)
    uids = one.identifier
    newer = image(uids.study_instance_uid, uids.series_instance_uid, uids.sop_instance_uid, syntax=JPEG)
    await archive.store(newer, replace_existing=True)
    await archive.blobs.delete(stored.location)
    assert agreement.choice.encoding(ELE) is not None
    with pytest.raises(NotAcceptable):
        await current(stored, lambda version: open_instance(version, agreement))
