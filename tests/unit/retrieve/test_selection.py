"""Metadata of chosen attributes."""

import json
from types import SimpleNamespace

import orjson
import pytest

from shared.dicomweb import json_model
from shared.dicomweb.json_model import dumps
from shared.retrieve.metadata.selection import parse_selection, selected
from tests.builders.http import content, field
from tests.builders.images import image
from tests.builders.pictures import data_set, file, ramp
from tests.builders.retrieve import JSON

pytestmark = pytest.mark.spec("META-11")

UIDS = {"00080016", "00080018", "0020000D", "0020000E"}


async def metadata(service, one, query):
    return json.loads(await service.body(f"{one.path}/metadata", JSON, query))[0]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("includefield=PatientID", {"00100020"}),
        ("includefield=00100020,Modality", {"00100020", "00080060"}),
        ("includefield=PatientID&includefield=00080060", {"00100020", "00080060"}),
        ("includefield=PixelData", {"7FE00010"}),
        ("includefield=AcquisitionContextSequence", set()),
    ],
)
async def test_the_chosen_attributes_and_the_uids_come(service, query, expected):
    one = image(PatientID="P1", Modality="OT")
    await service.archive.store(one)
    whole = json.loads(await service.body(f"{one.path}/metadata", JSON))[0]
    assert await metadata(service, one, query) == {key: whole[key] for key in expected | UIDS}


async def test_a_path_of_any_depth_keeps_items_in_their_places(service):
    code = {"CodeValue": "1", "CodeMeaning": "one"}
    dataset = data_set(ramp())
    last = _item(PurposeOfReferenceCodeSequence=[_item(**code)])
    dataset.ReferencedStudySequence = [_item(ReferencedSOPInstanceUID="1.2"), _item(), last]
    one = file(dataset)
    await service.archive.store(one)
    deep = "ReferencedStudySequence.PurposeOfReferenceCodeSequence.CodeValue"
    found = await metadata(service, one, f"includefield={deep}")
    assert set(found) == UIDS | {"00081110"}
    assert found["00081110"]["Value"][:2] == [{}, {}]
    assert found["00081110"]["Value"][2] == {
        "0040A170": {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["1"]}}]}
    }
    whole = json.loads(await service.body(f"{one.path}/metadata", JSON))[0]
    for both in (f"ReferencedStudySequence,{deep}", f"{deep},ReferencedStudySequence"):
        assert (await metadata(service, one, f"includefield={both}"))["00081110"] == whole["00081110"]


def _item(**values):
    from pydicom.dataset import Dataset

    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return item


async def test_all_is_everything_and_the_tag_is_that_of_everything(service):
    one = image()
    await service.archive.store(one)
    whole = await service.get(f"{one.path}/metadata", JSON)
    some = await service.get(f"{one.path}/metadata", JSON, "includefield=Modality")
    every = await service.get(f"{one.path}/metadata", JSON, "includefield=Modality,all")
    assert await content(every) == await content(whole)
    await content(some)
    assert field(some, "ETag") == field(whole, "ETag")


@pytest.mark.parametrize("names", ["", "NoSuch", "Modality,", "Modality.PatientID"])
async def test_what_is_no_attribute_is_refused(service, names):
    one = image()
    await service.archive.store(one)
    assert await service.status(f"{one.path}/metadata", JSON, f"includefield={names}") == 400


async def test_xml_holds_the_chosen_attributes_too(service):
    one = image(PatientID="P1")
    await service.archive.store(one)
    body = await service.body(f"{one.path}/metadata", "application/dicom+xml", "includefield=PatientID")
    assert b'keyword="PatientID"' in body
    assert b'keyword="Rows"' not in body


@pytest.mark.spec("STOW-46")
def test_a_large_document_is_read_item_by_item(monkeypatch):
    item = {"00081150": {"vr": "UI", "Value": ["1.2"]}, "00081155": {"vr": "UI", "Value": ["1.2.3"]}}
    document = dumps({"00080018": {"vr": "UI", "Value": ["1"]}, "00081140": {"vr": "SQ", "Value": [item] * 20_000}})
    selection = parse_selection("includefield=00081140.00081150")
    monkeypatch.setattr(json_model, "orjson", SimpleNamespace(dumps=orjson.dumps))  # its reader takes all at one go
    chosen = orjson.loads(selected(document, selection))
    assert len(document) > 1024**2
    assert chosen["00081140"]["Value"] == [{"00081150": item["00081150"]}] * 20_000
