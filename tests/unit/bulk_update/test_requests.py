"""Requests to update studies: what is taken, what is refused, and how (azure-apis §6.1, §6.2)."""

import json

import orjson
import pytest

from shared.bulk_update.functions import blueprint
from shared.bulk_update.transaction import BulkUpdate
from shared.dicom.dictionary import tag_of, vr_of
from shared.http import routing
from shared.operations.store import Operations
from shared.study_updates.allowed_attributes import ALLOWED, TAGS
from shared.study_updates.task import UpdateTask
from tests.builders.functions import handler_of
from tests.builders.http import ALL, boundary
from tests.fakes.tables import MemoryTableStore

PATH = "/v2/studies/$bulkUpdate"
JSON = ("Content-Type", "application/json")
NAME = {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}
STUDIES = ["1.2.3"]


class Requests:
    """The function, and the operations that it starts."""

    def __init__(self, *, enabled=True):
        self.operations = Operations(MemoryTableStore(), lambda: 1_700_000_000.0)
        self._functions = blueprint(boundary(), BulkUpdate(self.operations, enabled=enabled))

    async def send(self, document, *, target=PATH, content_type=JSON):
        body = document if isinstance(document, bytes) else orjson.dumps(document)
        handler = handler_of(self._functions, "bulk_update_studies")
        return await handler.request("POST", target, (*ALL, content_type), body)

    async def task(self, response):
        operation = await self.operations.get(json.loads(response.body)["id"])
        return UpdateTask.of(operation.input)


@pytest.fixture
def requests():
    return Requests()


def body(data_set=None, studies=STUDIES):
    return {"studyInstanceUids": studies, "changeDataset": {"00100010": NAME} if data_set is None else data_set}


@pytest.mark.spec("UPD-9", "OP-4", "OP-5", "GEN-13", "DP-11")
async def test_an_update_is_an_operation(requests):
    response = await requests.send(body({"PatientName": NAME, "00081030": {"vr": "LO"}}, ["1.2.3 ", "1.2.4", "1.2.3"]))
    assert response.status == 202
    location = dict(response.headers)["Location"]
    assert json.loads(response.body) == {"id": location.rpartition("/")[2], "href": location}
    task = await requests.task(response)
    assert task.studies == ["1.2.3", "1.2.4"]
    assert task.values == {"00100010": NAME["Value"], "00081030": []}
    assert task.namespace == "0"


@pytest.mark.spec("UPD-8", "OP-8")
async def test_a_second_one_is_refused(requests):
    first = json.loads((await requests.send(body())).body)
    response = await requests.send(body())
    assert response.status == 409
    assert f"There is already an active update operation with ID '{first['id']}'." in response.body.decode()
    assert dict(response.headers)["Location"] == first["href"]


@pytest.mark.spec("UPD-2")
async def test_while_operations_are_switched_off_none_is_started():
    response = await Requests(enabled=False).send(b"no JSON")
    assert response.status == 400
    assert b"Asynchronous operations are temporarily disabled." in response.body


@pytest.mark.spec("UPD-3")
async def test_a_body_of_another_type_is_refused(requests):
    assert (await requests.send(body(), content_type=("Content-Type", "application/dicom+json"))).status == 415


@pytest.mark.spec("UPD-1", "GEN-5")
async def test_the_first_version_has_no_updates(requests):
    assert (await requests.send(body(), target="/v1/studies/$bulkUpdate")).status == 404


@pytest.mark.spec("GEN-6", "GEN-6a", "URL-7")
@pytest.mark.parametrize("path", ["$bulkupdate", "%24bulkUpdate", "$BULKUPDATE/", "%24BulkUpdate"])
def test_the_path_is_recognised_however_it_is_written(path):
    found = routing.match("POST", f"/v2/studies/{path}", data_partitions=False)
    assert found is not None
    assert found.resource.name == "bulk_update_studies"


@pytest.mark.spec("UPD-4", "UPD-5", "UPD-6", "UPD-10")
@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({}, "The required field 'StudyInstanceUids' is missing or empty."),
        (body(studies=[]), "The required field 'StudyInstanceUids' is missing or empty."),
        (body(studies="1.2.3"), "The required field 'StudyInstanceUids' is missing or empty."),
        (body(studies=[f"1.{number}" for number in range(51)]), "StudyInstanceUids count exceeded maximum length '50'"),
        (body(studies=["1.2", "a"]), "not a valid UID"),
        (body(studies=[12]), "not a valid UID"),
        (body(studies=["1.2", f"1.{'2' * 63}"]), "not a valid UID"),
        (body({"PatientName": NAME, "00100010": NAME}), "occurs twice"),
        ({**body(), "ChangeDataSet": {"00100010": NAME}}, "It has a member twice."),
        (body({}), "The required field 'ChangeDataset' is missing or empty."),
        ({"studyInstanceUids": STUDIES}, "The required field 'ChangeDataset' is missing or empty."),
        ([], "The syntax of the request body is invalid."),
        (b"{", "The syntax of the request body is invalid."),
    ],
)
async def test_a_request_that_lacks_something_says_what(requests, document, text):
    response = await requests.send(document)
    assert response.status == 400
    assert text in response.body.decode()
    assert await requests.operations.active() == []


@pytest.mark.spec("UPD-7")
@pytest.mark.parametrize(
    "element",
    [
        {
            "vr": "PN",
            "Value": [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}],
        },
        {"vr": "PN", "Value": [{"Ideographic": "山田^太郎"}]},
        {"vr": "PN", "Value": [None]},
        {"Value": []},
        {"vr": "PN"},
    ],
)
async def test_a_name_has_up_to_three_groups_or_none(requests, element):
    assert (await requests.send(body({"00100010": element}))).status == 202


@pytest.mark.spec("UPD-7")
@pytest.mark.parametrize(
    "element",
    [
        {"vr": "PN", "Value": [{"Alphabetic": "a=b"}]},
        {"vr": "PN", "Value": [{"Family": "Doe"}]},
        {"vr": "PN", "Value": [{"Alphabetic": ["Doe"]}]},
        {"vr": "PN", "Value": [{"Alphabetic": "x" * 65}]},
        {"vr": "PN", "Value": [{"Alphabetic": "a^b^c^d^e^f"}]},
        {"vr": "PN", "Value": [{"Alphabetic": "Doe"}, {"Alphabetic": "Roe"}]},
        {"vr": "PN", "InlineBinary": "RG9l"},
        {"vr": "PN", "Value": {"Alphabetic": "Doe"}},
        ["Doe"],
        None,
    ],
)
async def test_what_is_no_name_is_told_by_its_tag(requests, element):
    response = await requests.send(body({"00100010": element}))
    assert response.status == 400
    [item] = json.loads(response.body)["00741048"]["Value"]
    assert item["00000902"]["Value"][0].startswith("DICOM100: (0010,0010) - ")


async def test_fifty_studies_can_be_updated_at_once(requests):
    assert (await requests.send(body(studies=[f"1.{number}" for number in range(50)]))).status == 202


@pytest.mark.spec("UPD-7")
async def test_all_attributes_that_cannot_be_updated_are_told_together(requests):
    wrong = {
        "0020000D": {"vr": "UI", "Value": ["1.2"]},
        "00100030": {"vr": "DA", "Value": ["31.12.1999"]},
        "00100020": {"vr": "LO", "Value": ["x" * 65]},
        "00100040": {"vr": "LO", "Value": ["M"]},
        "00100010": {"vr": "PN", "Value": ["Doe^Jane"]},
        "00101010": {"vr": "AS", "Value": ["001Y", "002Y"]},
        "00081030": {"vr": "LO", "BulkDataURI": "http://elsewhere"},
        "PatientWeight": {"vr": "DS", "Value": [{"a": 1}]},
        "NoSuchThing": {"vr": "LO"},
        "00104000": 5,
    }
    response = await requests.send(body({**wrong, "00100021": {"vr": "LO", "Value": ["right"]}}))
    assert response.status == 400
    assert dict(response.headers)["Content-Type"] == "application/dicom+json"
    items = json.loads(response.body)["00741048"]["Value"]
    comments = [item["00000902"]["Value"][0] for item in items]
    assert comments[0] == "DICOM100: (0020,000d) - Updating the tag is not supported"
    assert len(comments) == len(wrong)
    assert all(comment.startswith("DICOM100: (") for comment in comments)
    assert not any(secret in response.body.decode() for secret in ("31.12.1999", "xxx", "elsewhere"))
    assert await requests.operations.active() == []


VALUES = {"DA": "19700102", "TM": "1201", "AS": "042Y", "DS": 1.75, "PN": {"Alphabetic": "Doe^Jane"}, "CS": "YES"}


@pytest.mark.spec("UPD-7")
@pytest.mark.parametrize("keyword", ALLOWED)
async def test_each_attribute_of_the_list_can_be_updated(requests, keyword):
    vr = vr_of(tag_of(keyword))
    response = await requests.send(body({keyword: {"vr": vr, "Value": [VALUES.get(vr, "text")]}}))
    assert response.status == 202, response.body


def test_the_list_has_36_attributes():
    assert len(TAGS) == len(ALLOWED) == 36
