"""Searches by label, and the labels in use (SEL-3)."""

import pytest

from shared.index_schema.labels import CODE
from shared.storage.ports import RowWrite
from shared.study_labels import in_use
from shared.study_labels.in_use import labels_in_use
from shared.upkeep.scrubber import Scrubber
from tests.builders.images import new_uid
from tests.builders.labelling import LabellingService, place_of
from tests.builders.service import PARTITION, SHARDS


def uids(*images):
    return {each.identifier.study_instance_uid for each in images}


@pytest.fixture
async def labelled():
    service = LabellingService()
    board = await service.study("Tumour Board", "to read", PatientID="P1", StudyDate="20240101")
    read = await service.study("to-read", PatientID="P1", StudyDate="20250101")
    plain = await service.study(PatientID="P1")
    return service, board, read, plain


@pytest.mark.spec("SEL-3")
@pytest.mark.parametrize("level", ["studies", "series", "instances"])
async def test_a_label_finds_its_studies_at_every_level(labelled, level):
    service, board, read, plain = labelled

    assert await service.found("Label=tumour%20BOARD", level) == uids(board)
    assert await service.found("label=to-read,Tumour Board", level) == uids(board, read)
    assert await service.found("Label=to?read", level) == uids(board, read)
    assert await service.found("Label=*board", level) == uids(board)
    assert await service.found("Label=t*,x", level) == uids(board, read)
    assert await service.found("Label=*", level) == uids(board, read, plain)
    assert await service.found("Label=none", level) == set()


@pytest.mark.spec("SEL-3")
@pytest.mark.parametrize("settled", [False, True])
async def test_a_label_is_a_condition_beside_others(labelled, settled):
    service, board, read, _ = labelled
    if settled:
        await service.settle()

    assert await service.found("PatientID=P1&Label=to*&StudyDate=20250101-") == uids(read)
    assert await service.found("PatientID=P1&Label=to*&orderby=-StudyDate") == uids(board, read)
    assert await service.found(f"StudyInstanceUID={board.identifier.study_instance_uid}&Label=to-read") == set()
    assert await service.found("PatientID=P2&Label=to*") == set()
    study = board.identifier.study_instance_uid
    status, _ = await service.answer("search_study_series", f"/v2/studies/{study}/series?Label=none")
    assert status == 204


@pytest.mark.spec("SEL-3")
@pytest.mark.parametrize("query", ["Label=", "Label=a/b", "Label=a&label=b"])
async def test_what_is_no_label_is_refused_and_widens_no_search(labelled, query):
    service, *_ = labelled

    status, _ = await service.answer("search_studies", f"/v2/studies?{query}")

    assert status == 400


@pytest.mark.spec("SEL-3")
async def test_the_first_version_has_no_labels(labelled):
    service, *_ = labelled

    status, _ = await service.answer("search_studies", "/v1/studies?Label=to read")

    assert status == 400


@pytest.mark.spec("SEL-3")
@pytest.mark.parametrize("query", ["Label=rare", "Label=*are", "Label=r*,none"])
async def test_a_search_by_label_reads_no_studies_without_one(query):
    service = LabellingService()
    rare = await service.study("rare")
    for _ in range(30):
        await service.study(PatientID="P")
    reads = 0

    async def count(*_):
        nonlocal reads
        reads += 1

    service.tables.before = count
    assert await service.found(query) == uids(rare)

    assert reads <= 3 * SHARDS + 4


@pytest.mark.spec("SEL-3")
async def test_labels_in_use_have_their_number_of_studies(labelled):
    service, board, *_ = labelled
    await service.label(board, "TO-READ", remove=("Tumour Board",))

    found = await labels_in_use(service.tables, PARTITION.namespace, shards=SHARDS)

    assert [(each.label.lower(), each.studies, each.more) for each in found.labels] == [
        ("to read", 1, False),
        ("to-read", 2, False),
    ]
    assert found.whole


@pytest.mark.spec("SEL-3")
async def test_what_very_many_studies_have_is_counted_so_far(monkeypatch):
    service = LabellingService()
    monkeypatch.setattr(in_use, "_PAGE", 2)
    monkeypatch.setattr(in_use, "_PAGES_OF_A_LABEL", 2)
    shard = place_of(new_uid()).postings
    rows = [f"{CODE}!a!{number:016x}" for number in range(20)] + [f"{CODE}!b!{0:016x}"]
    for row_key in rows:
        properties = {"study": "1.2", "label": row_key.split("!")[1]}
        await service.tables.commit("idx", [RowWrite("upsert", shard, row_key, properties)])

    found = await labels_in_use(service.tables, PARTITION.namespace, shards=SHARDS)
    assert [(each.label, each.more) for each in found.labels] == [("a", True), ("b", False)]
    assert found.labels[0].studies < 20

    monkeypatch.setattr(in_use, "_PAGES", 1)
    assert not (await labels_in_use(service.tables, PARTITION.namespace, shards=SHARDS)).whole


@pytest.mark.spec("SEL-3")
async def test_the_scrubber_removes_the_postings_of_labels_that_no_study_has_and_no_others(labelled):
    service, board, *_ = labelled
    await service.settle()
    place = place_of(board.identifier.study_instance_uid)
    view = await service.lookup.study(PARTITION, board.identifier.study_instance_uid)
    stale = {"study": view.study_instance_uid, "label": "stale"}
    write = RowWrite("upsert", place.postings, f"{CODE}!stale!{view.sort_key}", stale)
    await service.tables.commit("idx", [write])
    scrubber = Scrubber(
        service.tables,
        service.blobs,
        service.clock,
        service.partitions,
        service.ingest.ensure,
        schemas=service.schemas,
        shards=SHARDS,
    )

    for _ in range(3):
        service.time.seconds += 4000
        await scrubber.run()

    assert service.postings(board) == {"tumour~20board", "to~20read"}
    assert len(service.documents(board)) == 1
