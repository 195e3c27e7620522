"""Who may label, and which studies are meant: data partitions, rights, studies that expire (SEL-1, SEL-3, SEL-4)."""

import json
from datetime import UTC, datetime

import orjson
import pytest

from shared.study_labels.functions import blueprint
from tests.builders.functions import handler_of
from tests.builders.http import KnownPartitions, boundary
from tests.builders.images import image
from tests.builders.labelling import LabellingService
from tests.builders.service import SHARDS
from tests.fakes.tables import MemoryTableStore

WARD, LAB = "ward", "lab"


class Labelled:
    """The same study in two data partitions, and the functions of its labels."""

    def __init__(self):
        self.service = LabellingService(data_partitions=True)
        self.known = KnownPartitions(WARD, LAB)
        self.one = image(frames=0)
        self.study = self.one.identifier.study_instance_uid

    async def store(self):
        for name in (WARD, LAB):
            there = await self.known.resolve(name, create=False)
            assert (await self.service.store_one(self.one.data, partition=there)).failure is None
        self.service.time.seconds += 1
        return self

    async def ask(self, request, caller="all", document=None):
        """Status and content of the answer to `METHOD partition path`."""
        method, partition, path = request.split(" ", 2)
        name = "update_study_labels" if method == "PATCH" else "retrieve_study_labels"
        functions = blueprint(
            boundary(self.known, data_partitions=True),
            self.service.labels,
            self.service.lookup,
            self.service.tables,
            shards=SHARDS,
        )
        function = handler_of(functions, name if path.startswith("studies") else "list_labels")
        headers = (("Authorization", f"Bearer {caller}"), ("Content-Type", "application/json"))
        body = b"" if document is None else orjson.dumps(document)
        answer = await function.request(method, f"/v2/partitions/{partition}/{path}", headers, body)
        return answer.status, json.loads(answer.body) if answer.status == 200 else None

    async def labels(self, partition):
        """The labels of the study in a data partition, and those in use there."""
        of_study = await self.ask(f"GET {partition} studies/{self.study}/labels")
        in_use = await self.ask(f"GET {partition} labels")
        return of_study[1]["labels"], [each["label"] for each in in_use[1]]

    async def add(self, partition, *labels, caller="all"):
        """The status of the answer to a request for labels."""
        path = f"studies/{self.study}/labels"
        return (await self.ask(f"PATCH {partition} {path}", caller, {"add": labels}))[0]


@pytest.mark.spec("SEL-1", "SEL-3")
async def test_the_same_study_has_labels_of_its_own_in_each_data_partition():
    made = await Labelled().store()

    assert await made.add(WARD, "both", "of the ward") == 200
    assert await made.add(LAB, "both") == 200

    assert await made.labels(WARD) == (["both", "of the ward"], ["both", "of the ward"])
    assert await made.labels(LAB) == (["both"], ["both"])
    status, told = await made.ask(f"GET {LAB} labels?StudyInstanceUID={made.study}")
    assert (status, told) == (200, [{"studyInstanceUid": made.study, "labels": ["both"]}])

    removed = {"remove": ["both"]}
    assert (await made.ask(f"PATCH {LAB} studies/{made.study}/labels", document=removed)) == (200, {"labels": []})
    assert await made.labels(WARD) == (["both", "of the ward"], ["both", "of the ward"])
    assert await made.labels(LAB) == ([], [])


@pytest.mark.spec("SEL-1")
async def test_whoever_may_only_read_labels_nothing():
    made = await Labelled().store()
    await made.add(WARD, "a")
    rows, files = made.service.tables.rows("dicom"), made.service.blobs.names()

    assert await made.add(WARD, "b", caller="read") == 403
    assert await made.add(WARD, "b", caller="read+write@lab") == 403

    assert (made.service.tables.rows("dicom"), made.service.blobs.names()) == (rows, files)
    path = f"studies/{made.study}/labels"
    assert await made.ask(f"GET {WARD} {path}", "read") == (200, {"labels": ["a"]})
    assert (await made.ask(f"GET {WARD} {path}", "write"))[0] == 403
    assert (await made.ask(f"GET {WARD} labels", "write"))[0] == 403


@pytest.mark.spec("SEL-4", "EXP-1")
async def test_labels_go_with_a_study_that_expires_and_do_not_come_back_with_it():
    service = LabellingService()
    one = image(frames=0)
    expires = datetime.fromtimestamp(service.time.seconds + 100, UTC)
    assert (await service.store_one(one.data, expires=expires)).failure is None
    await service.label(one, "a")
    assert await service.found("Label=a") == {one.identifier.study_instance_uid}

    service.time.seconds += 101
    await service.index.expire()
    await service.settle()

    assert await service.labels_of(one) is None
    assert await service.found("Label=a") == set()
    assert (service.postings(one), service.documents(one)) == (set(), [])
    assert (await service.store_one(one.data)).failure is None
    assert await service.labels_of(one) == ()
    await service.settle()
    rebuilt = service.on(MemoryTableStore())
    await rebuilt.rebuilt()
    assert await rebuilt.labels_of(one) == ()
