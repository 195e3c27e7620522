"""Labels of a study from the first to the end of the study, whoever is killed meanwhile (SEL-1, SEL-4, DAT-53)."""

import asyncio
from collections.abc import Awaitable

import pytest

from shared.dicom.identifiers import ResourceIdentifier
from shared.errors import NotFound
from tests.builders.images import image
from tests.builders.labelling import LabellingService, place_of
from tests.fakes.tables import MemoryTableStore
from tests.unit.index.chaos import Crashed


@pytest.mark.spec("SEL-1", "SEL-2")
async def test_labels_are_added_and_removed_and_the_first_spelling_stays():
    service = LabellingService()
    one = await service.study()
    assert await service.labels_of(one) == ()

    assert await service.label(one, "Tumour Board", "to read") == ("Tumour Board", "to read")
    assert await service.label(one, "tumour board", remove=("TO READ", "never there")) == ("Tumour Board",)

    assert await service.labels_of(one) == ("Tumour Board",)
    assert service.postings(one) == {"tumour~20board"}
    assert len(service.documents(one)) == 1
    assert await service.found("Label=tumour board") == {one.identifier.study_instance_uid}
    assert await service.found("Label=to read") == set()


@pytest.mark.spec("SEL-1")
async def test_labels_change_neither_watermark_nor_feed_nor_files():
    service = LabellingService()
    one = await service.study()
    await service.settle()
    before, feed = await service.instance(one.identifier), await service.feed()
    files = {name for name in service.blobs.names() if name.endswith(".dcm")}

    await service.label(one, "a")
    await service.settle()

    assert await service.instance(one.identifier) == before
    assert await service.feed() == feed
    assert {name for name in service.blobs.names() if name.endswith(".dcm")} == files


@pytest.mark.spec("SEL-1")
async def test_what_is_so_already_is_not_written_again():
    service = LabellingService()
    one = await service.study("a", "b")
    written: list[str] = []

    async def note(kind, operation):
        if operation in {"commit", "put"}:
            written.append(kind)

    service.tables.before = service.blobs.before = note
    assert await service.label(one, "A", remove=("c",)) == ("a", "b")

    assert written == []


@pytest.mark.spec("SEL-1")
async def test_a_study_that_is_not_there_has_no_labels():
    service = LabellingService()

    with pytest.raises(NotFound):
        await service.label(image(), "a")

    assert service.blobs.names() == []


@pytest.mark.spec("SEL-1")
async def test_nothing_is_lost_between_processes_that_label_at_once():
    service = LabellingService()
    one = await service.study("gone", "stays")
    processes = [service.on(service.tables) for _ in range(4)]

    async def turn(*_):
        await asyncio.sleep(0)

    service.tables.before = service.blobs.before = service.tables.after = service.blobs.after = turn
    await asyncio.gather(*(process.label(one, f"label {at}", remove=("gone",)) for at, process in enumerate(processes)))
    service.tables.before = service.blobs.before = service.tables.after = service.blobs.after = None

    wanted = {"stays", *(f"label {at}" for at in range(4))}
    assert set(await service.labels_of(one) or ()) == wanted
    assert {each.replace("~20", " ") for each in service.postings(one)} >= wanted
    assert len(service.documents(one)) == 1
    rebuilt = service.on(MemoryTableStore())
    await rebuilt.rebuilt()
    assert set(await rebuilt.labels_of(one) or ()) == wanted


async def _survives(call: Awaitable[object]) -> bool:
    try:
        await call
    except Crashed:
        return False
    return True


@pytest.mark.spec("SEL-1", "DAT-53")
@pytest.mark.parametrize("answered", [False, True])
async def test_a_change_that_is_killed_anywhere_is_done_or_not_and_can_be_repeated(answered):
    at = 0
    while True:
        service = LabellingService()
        one = await service.study("old", "kept")
        left = at

        async def die(*_):
            nonlocal left
            left -= 1
            if left < 0:
                raise Crashed

        for store in (service.tables, service.blobs):
            if answered:
                store.after = die
            else:
                store.before = die
        done = await _survives(service.label(one, "new", remove=("old",)))
        for store in (service.tables, service.blobs):
            store.before = store.after = None

        seen = await service.labels_of(one)
        assert seen == ("kept", "new") if done else seen in {("old", "kept"), ("kept", "new")}
        for label in seen or ():
            assert await service.found(f"Label={label}"), (at, label)
        lost = service.on(MemoryTableStore())
        await lost.rebuilt()
        assert await lost.labels_of(one) in ({seen} if done else {seen, ("kept", "new")})
        assert await service.label(one, "new", remove=("old",)) == ("kept", "new")
        assert await service.labels_of(one) == ("kept", "new")
        assert await service.found("Label=old") == set()
        assert len(service.documents(one)) == 1
        if done:
            break
        at += 1
    assert at > 4


@pytest.mark.spec("SEL-4")
@pytest.mark.parametrize("settled", [False, True])
async def test_labels_go_with_the_study_and_do_not_come_back_with_its_files(settled):
    service = LabellingService()
    one = await service.study("a", "b")
    await service.settle()
    await service.delete(ResourceIdentifier(one.identifier.study_instance_uid))
    if settled:
        await service.settle()
        assert service.documents(one) == []
        assert service.postings(one) == set()
    with pytest.raises(NotFound):
        await service.label(one, "c")

    service.time.seconds += 1
    assert (await service.store_one(one.data)).failure is None

    assert await service.labels_of(one) == ()
    assert await service.found("Label=a") == set()
    assert await service.label(one, "new") == ("new",)
    await service.settle()
    assert await service.labels_of(one) == ("new",)
    rebuilt = service.on(MemoryTableStore())
    await rebuilt.rebuilt()
    assert await rebuilt.labels_of(one) == ("new",)


@pytest.mark.spec("SEL-4", "DAT-53")
async def test_the_document_of_a_study_that_was_emptied_and_filled_again_does_not_come_back():
    service = LabellingService()
    one = await service.study("a")
    await service.delete(one.identifier)
    service.time.seconds += 1
    assert (await service.store_one(one.data)).failure is None
    await service.settle()

    rebuilt = service.on(MemoryTableStore())
    await rebuilt.rebuilt()

    assert await rebuilt.labels_of(one) == ()


@pytest.mark.spec("SEL-4")
async def test_labels_stay_while_the_study_has_an_instance():
    service = LabellingService()
    one = await service.study("a")
    other = image(one.identifier.study_instance_uid, frames=0)
    assert (await service.store_one(other.data)).failure is None
    await service.delete(one.identifier)
    await service.settle()

    assert await service.labels_of(one) == ("a",)
    assert await service.found("Label=a", "instances") == {one.identifier.study_instance_uid}


@pytest.mark.spec("SEL-4", "DAT-53")
async def test_labels_come_back_with_the_index_and_can_be_changed_then():
    service = LabellingService()
    one, other = await service.study("a", "b"), await service.study()
    # The file from which the study is made anew came after the labels.
    later = image(one.identifier.study_instance_uid, frames=0)
    assert (await service.store_one(later.data)).failure is None
    await service.delete(one.identifier)
    await service.settle()

    process = service.on(MemoryTableStore())
    await process.rebuilt()
    await process.rebuilt(restart=True)

    assert await process.labels_of(one) == ("a", "b")
    assert await process.labels_of(other) == ()
    assert await process.found("Label=b") == {one.identifier.study_instance_uid}
    assert await process.label(one, "c", remove=("a",)) == ("b", "c")
    again = service.on(MemoryTableStore())
    await again.rebuilt()
    assert await again.labels_of(one) == ("b", "c")


@pytest.mark.spec("DAT-53")
async def test_what_others_keep_in_the_document_stays():
    service = LabellingService()
    one = await service.study("a")
    place = place_of(one.identifier.study_instance_uid)
    documents = service.labels._documents
    known = await documents.latest(place)
    held = type(known)(known.number + 1, known.version + 1, {**known.members, "hold": ["2026-1"]})
    assert await documents.add(place, held)

    await service.label(one, "b")

    assert (await documents.latest(place)).members == {"labels": ["a", "b"], "hold": ["2026-1"]}
