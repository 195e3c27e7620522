"""Data sets of many items: read for a picture without holding up anybody else."""

import asyncio
import gc
import re

import numpy as np
import pytest
from pydicom.dataset import Dataset

from shared.dicom.pixels.presentation import NO_TABLES, Window, presentation
from shared.dicomweb import xml_model
from shared.dicomweb.json_model import ParsedItems
from shared.memory_budget import MemoryBudget
from shared.retrieve.metadata import transaction
from shared.retrieve.snapshot import Snapshot
from tests.builders.images import ELE, JPEG, image
from tests.builders.pictures import ILE, data_set, file
from tests.builders.retrieve import DICOM, OCTETS, multipart_of, parts


@pytest.mark.spec("STOW-46", "FRM-2")
async def test_a_large_metadata_document_is_read_item_by_item(service):
    frames = 6000
    dataset = data_set(np.zeros((frames, 1, 4), "u1"), frames=frames)
    groups = []
    for number in range(frames):
        window = Dataset()
        window.WindowCenter, window.WindowWidth = number % 200 + 1, 2
        window.WindowCenterWidthExplanation = "x" * 64
        group = Dataset()
        group.FrameVOILUTSequence = [window]
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    one = file(dataset)
    await service.archive.store(one)
    snapshot = await service.archive.view.snapshot(one.identifier)
    attributes = await snapshot.attributes()
    assert isinstance(attributes["52009230"]["Value"], ParsedItems)
    assert presentation(attributes, frames, NO_TABLES).window == Window(float((frames - 1) % 200 + 1), 2.0)
    assert presentation(attributes, frames + 1, NO_TABLES).window is None
    assert await service.status(f"{one.path}/frames/{frames}/rendered", "image/png") == 200
    assert len(parts(await service.body(f"{one.path}/frames/1,{frames}", multipart_of(OCTETS)))) == 2
    assert await service.status(f"{one.path}/metadata", multipart_of("application/dicom+xml")) == 200


@pytest.mark.spec("STOW-46")
async def test_frames_without_number_are_fetched_in_batches_of_bounded_size(service):
    one = image(frames=5000, size=(1, 2))
    await service.archive.store(one)
    service.archive.forget()
    numbers = ",".join(map(str, range(1, 5001)))
    assert parts(await service.body(f"{one.path}/frames/{numbers}", multipart_of(OCTETS))) == list(one.frames)
    assert len(service.archive.blobs.calls) == 5


@pytest.mark.spec("STOW-46")
@pytest.mark.parametrize("syntax", [ILE, JPEG])
async def test_the_collector_is_as_before_after_a_conversion(service, syntax):
    one = file(data_set(np.zeros((4, 4), "u1")), ILE) if syntax == ILE else image(syntax=JPEG)
    await service.archive.store(one)
    await service.get(one.path, f"{DICOM}; transfer-syntax={ELE}")
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


@pytest.mark.spec("STOW-46", "ACC-5")
async def test_large_documents_become_xml_within_a_budget_that_is_given_back(service, monkeypatch):
    budget = MemoryBudget(1 << 20, "busy")
    monkeypatch.setattr(transaction, "CONVERTED", budget)
    dataset = data_set(np.zeros((4, 4), "u1"))
    items = [Dataset() for _ in range(20)]
    for item in items:
        item.add_new(0x00080119, "UC", ["x" * 60] * 1000)
    dataset.ReferencedImageSequence = items
    one = file(dataset)
    await service.archive.store(one)
    free = []
    pieces_of = xml_model.pieces_of

    def watched(elements):
        free.append(budget.free)
        return pieces_of(elements)

    monkeypatch.setattr(xml_model, "pieces_of", watched)
    accept = multipart_of("application/dicom+xml")
    bodies = await asyncio.gather(*(service.body(f"{one.path}/metadata", accept) for _ in range(3)))
    assert len({len(body) for body in bodies}) == 1
    [part] = parts(bodies[0])
    assert part.count(b'<Value number="1000">' + b"x" * 60) == 20
    assert free == [0, 0, 0]
    assert budget.free == budget.size
    of_study = await service.body(f"{one.path.partition('/series')[0]}/metadata", accept)
    assert parts(of_study) == [part]
    response = await service.get(f"{one.path}/metadata", accept)
    await anext(aiter(response.body))
    await response.body.aclose()
    assert budget.free == budget.size


@pytest.mark.spec("STOW-46", "WADO-27")
@pytest.mark.parametrize("accept", ["application/dicom+json", multipart_of("application/dicom+xml")])
async def test_large_documents_of_a_study_are_read_one_after_the_other_and_short_ones_together(
    service, monkeypatch, accept
):
    monkeypatch.setattr(transaction, "_SHORT", 2000)
    study, series = "2.25.1", "2.25.2"
    for number, size in enumerate((10, 3000, 20, 4000)):
        dataset = data_set(np.zeros((4, 4), "u1"))
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
        dataset.add_new(0x00080119, "UC", str(number) * size)
        await service.archive.store(file(dataset), metadata_inline=False)
    read, under_way, most = Snapshot.document, 0, 0

    async def watched(snapshot):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return await read(snapshot)

    monkeypatch.setattr(Snapshot, "document", watched)
    body = await service.body(f"studies/{study}/metadata", accept)
    assert most == 1
    pattern = rb'"00080119":[^]]*\["(\d+)"' if "json" in accept else rb'"00080119".*?>(\d+)</Value>'
    assert sorted(map(len, re.findall(pattern, body))) == [10, 20, 3000, 4000]
