"""Data partitions switched on: the rules of dicomweb §3, over HTTP."""

import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from devhost.azurite.emulator import Azurite
from devhost.testing import RunningService, StartFailed, running_azurite, running_service
from tests.builders.files import file
from tests.builders.images import image, new_uid
from tests.conformance.exchange import refusal
from tests.conformance.stores import DICOM, JSON, RETRIEVE_URL, STORED, Client, item, reasons, value

ROOT = Path(__file__).parents[2]
ON, OFF = {"DATA_PARTITIONS_ENABLED": "true"}, {"DATA_PARTITIONS_ENABLED": "false"}
STUDY_INSTANCES, STUDY_DESCRIPTION = "00201208", 0x00081030

EARLIER = file()
"""Stored while partitions were switched off."""


def settings(azurite: Azurite, more: dict[str, str]) -> dict[str, str]:
    return {"AzureWebJobsStorage": azurite.connection_string, "DicomStorage": azurite.connection_string, **more}


pytestmark = pytest.mark.skipif("DICOMWEB_URL" in os.environ, reason="the settings of that service are out of reach")


@pytest.fixture(scope="module")
async def emulator() -> AsyncIterator[Azurite]:
    async with running_azurite() as running:
        yield running


@pytest.fixture(scope="module")
async def partitioned(emulator) -> AsyncIterator[RunningService]:
    """Two workers, with partitions, on a store that has been used without them."""
    async with running_service(ROOT, settings(emulator, OFF)) as before:
        assert Client(before.url, "v2").store(EARLIER).status_code == 200
    async with running_service(ROOT, settings(emulator, ON), workers=2) as running:
        yield running


@pytest.fixture
def within(partitioned):
    """`within(name)` is a client of that partition, `within()` of none."""

    def client(name=None, version="v2"):
        return Client(partitioned.url, f"{version}/partitions/{name}" if name else version)

    return client


def new_name():
    return f"p{new_uid()[-12:]}"


def listed(client):
    reply = client.get("partitions")
    assert reply.status_code == 200
    return reply.json()


@pytest.mark.spec("PART-7")
def test_what_was_stored_before_belongs_to_the_default_partition(within):
    default = within("Microsoft.Default")

    assert default.file_of(EARLIER).content == EARLIER.data
    assert len(default.search("studies", StudyInstanceUID=EARLIER.identifier.study_instance_uid)) == 1
    assert listed(within())[0]["partitionName"] == "Microsoft.Default"
    assert listed(within())[0]["partitionKey"] == 1


@pytest.mark.spec("PART-1", "DP-3")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_path_without_the_segment_is_400(within, version):
    plain, one = within(version=version), file()
    replies = [
        plain.store(one),
        plain.store(one, path=f"studies/{one.identifier.study_instance_uid}"),
        plain.get(one.path),
        plain.get(f"{one.path}/frames/1"),
        plain.get(f"{one.path}/metadata"),
        *(plain.get(path) for path in ("studies", "series", "instances")),
        *(plain.session.delete(f"{plain.base}/{path}") for path in (one.path, one.path.partition("/series")[0])),
    ]

    assert [reply.status_code for reply in replies] == [400] * len(replies)
    assert {refusal(reply) for reply in replies} == {"PartitionName value is missing in the route segment."}


@pytest.mark.spec("PART-1", "PART-2", "PART-9", "PART-10", "DP-7")
def test_the_list_is_never_within_a_partition_and_cannot_be_changed(within):
    names = [new_name(), new_name()]
    for name in names:
        assert within(name).store(file()).status_code == 200
    plain = within()

    entries = listed(plain)

    assert [entry["partitionName"] for entry in entries if entry["partitionName"] in names] == names
    assert len({entry["partitionKey"] for entry in entries}) == len(entries)
    for entry in entries:
        assert set(entry) == {"partitionKey", "partitionName", "createdDate"}
        assert isinstance(entry["partitionKey"], int)
        assert datetime.fromisoformat(entry["createdDate"]).tzinfo is not None
    assert plain.get("partitions").headers["Content-Type"].startswith("application/json")
    assert within(names[0]).get("partitions").status_code == 404
    for method in ("POST", "PUT", "DELETE"):
        assert plain.session.request(method, f"{plain.base}/partitions").status_code == 405


@pytest.mark.spec("PART-2", "W-13")
def test_what_is_not_partitioned_needs_no_segment(within):
    plain = within()

    assert plain.get("conformance").status_code == 200
    assert plain.get("api.json").status_code == 200
    assert plain.session.options(f"{plain.base}/").status_code == 200


@pytest.mark.spec("PART-3", "DP-4")
@pytest.mark.parametrize("name", ["x" * 65, "a%20b", "%C3%A4", "a%2Cb", "a@b", "%2e%2e%21"])
def test_a_name_that_breaks_the_syntax_is_400_and_is_not_made(within, name):
    client = within(name)
    before = listed(within())

    assert client.store(file()).status_code == 400
    assert client.get("studies", JSON).status_code == 400
    assert listed(within()) == before


@pytest.mark.spec("PART-3", "PART-4")
@pytest.mark.parametrize("name", ["a", "A-b_c.D", "-", "9", "x" * 64])
def test_any_name_of_the_syntax_may_be_used(within, name):
    one = file()

    assert within(name).store(one).status_code == 200
    assert within(name).is_stored(one)
    assert name in [entry["partitionName"] for entry in listed(within())]


@pytest.mark.spec("PART-4", "PUT-1")
def test_a_put_makes_a_partition_too(within):
    client, one = within(new_name()), file()

    assert client.store(one, method="PUT").status_code == 200
    assert client.is_stored(one)


@pytest.mark.spec("PART-5")
def test_a_store_that_fails_may_leave_an_empty_partition(within):
    name = new_name()

    assert within(name).post(b"nonsense", DICOM).status_code == 409

    assert name in [entry["partitionName"] for entry in listed(within())]
    assert within(name).get("studies", JSON).status_code == 204


@pytest.mark.spec("PART-6", "DP-6")
def test_any_other_request_for_an_unknown_partition_is_400(within):
    unknown, one = within(new_name()), file()
    replies = [
        unknown.get(one.path),
        unknown.get(f"{one.path}/metadata"),
        unknown.get(f"{one.path}/frames/1"),
        *(unknown.get(path) for path in ("studies", "series", "instances")),
        unknown.session.delete(f"{unknown.base}/{one.path}"),
    ]

    assert [reply.status_code for reply in replies] == [400] * len(replies)
    assert {refusal(reply) for reply in replies} == {"Specified PartitionName does not exist."}


@pytest.mark.spec("PART-4", "DP-6")
def test_concurrent_first_stores_make_one_partition_and_all_succeed(within):
    name, files = new_name(), [file() for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(lambda one: within(name).store(one), files))

    assert [reply.status_code for reply in replies] == [200] * 12
    assert [entry["partitionName"] for entry in listed(within())].count(name) == 1
    assert all(within(name).is_stored(one) for one in files)


@pytest.mark.spec("PART-4")
def test_several_partitions_that_are_made_at_once_have_keys_of_their_own(within):
    names = [new_name() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda name: within(name).store(file()), names))

    assert [reply.status_code for reply in replies] == [200] * 8
    keys = {entry["partitionName"]: entry["partitionKey"] for entry in listed(within())}
    assert len({keys[name] for name in names}) == 8


@pytest.mark.spec("PART-12", "D-3", "DP-4a")
def test_names_that_differ_in_case_alone_are_one_partition_under_its_first_spelling(within):
    name, one = new_name(), file()
    study = one.identifier.study_instance_uid
    first = within(name.capitalize())
    assert first.store(one).status_code == 200

    again = within(name.upper()).store(one)

    assert reasons(again) == [45070]
    assert within(name).file_of(one).content == one.data
    [found] = within(name.upper()).search("studies", StudyInstanceUID=study, includefield=RETRIEVE_URL)
    assert value(found[RETRIEVE_URL]) == f"{first.base}/studies/{study}"
    assert [entry["partitionName"] for entry in listed(within()) if entry["partitionName"].lower() == name] == [
        name.capitalize()
    ]
    assert within("MICROSOFT.default").file_of(EARLIER).content == EARLIER.data


@pytest.mark.spec("PART-12", "PART-4")
def test_spellings_that_are_used_first_at_the_same_time_are_one_partition(within):
    name, one = new_name(), file()
    spellings = [name, name.upper()] * 4
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda spelling: within(spelling).store(one), spellings))

    assert sorted(reply.status_code for reply in replies) == [200] + [409] * 7
    assert sum(entry["partitionName"].lower() == name for entry in listed(within())) == 1


@pytest.mark.spec("PART-11", "CON-7", "DP-8", "ZIP-1")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_same_uids_in_two_partitions_never_meet(within, version):
    study, series, sop = new_uid(), new_uid(), new_uid()
    uids = {"study": study, "series": series, "sop_instance": sop}
    here, there = within(new_name(), version), within(new_name(), version)
    mine, theirs = file({STUDY_DESCRIPTION: "Mine"}, **uids), file({STUDY_DESCRIPTION: "Theirs"}, **uids)
    more = file(study=study)

    assert [here.store(mine).status_code, there.store(theirs, more).status_code] == [200, 200]

    assert here.file_of(mine).content == mine.data
    assert there.file_of(mine).content == theirs.data
    for client, description, count in ((here, "Mine", 1), (there, "Theirs", 2)):
        [found] = client.search("studies", StudyInstanceUID=study, includefield=f"00081030,{STUDY_INSTANCES}")
        assert value(found["00081030"]) == (description if count == 1 else "Chest")
        assert value(found[STUDY_INSTANCES]) == count
        assert len(client.search(f"studies/{study}/instances")) == count
        assert len(client.search("instances", SOPInstanceUID=sop)) == 1
        assert value(client.metadata(mine)["00081030"]) == description
    assert here.search("instances", SOPInstanceUID=more.identifier.sop_instance_uid) == []
    assert here.get(more.path).status_code == 404

    for client, files in ((here, [mine]), (there, [theirs, more])):
        archive = ZipFile(BytesIO(client.get(f"studies/{study}", "application/zip").content))
        assert sorted(map(archive.read, archive.namelist())) == sorted(each.data for each in files)

    assert here.session.delete(f"{here.base}/studies/{study}").status_code == 204

    assert here.get(f"studies/{study}").status_code == 404
    assert here.search("studies", StudyInstanceUID=study) == []
    assert there.file_of(theirs).content == theirs.data
    assert there.file_of(more).content == more.data
    assert len(there.search(f"studies/{study}/instances")) == 2


@pytest.mark.spec("PART-11", "PUT-1")
def test_a_put_replaces_in_its_own_partition_alone(within):
    uids = {"study": new_uid(), "series": new_uid(), "sop_instance": new_uid()}
    here, there = within(new_name()), within(new_name())
    old, new = file({STUDY_DESCRIPTION: "Old"}, **uids), file({STUDY_DESCRIPTION: "New"}, **uids)
    for client in (here, there):
        assert client.store(old).status_code == 200

    assert here.store(new, method="PUT").status_code == 200

    assert here.file_of(old).content == new.data
    assert there.file_of(old).content == old.data


@pytest.mark.spec("PART-11")
def test_deleting_where_the_uids_are_not_is_404_and_takes_nothing_elsewhere(within):
    here, there, one = within(new_name()), within(new_name()), file()
    assert [here.store(one).status_code, there.store(file()).status_code] == [200, 200]

    assert there.session.delete(f"{there.base}/{one.path}").status_code == 404

    assert here.is_stored(one)


@pytest.mark.spec("URL-10", "DP-9", "STOW-31")
def test_urls_in_responses_hold_the_partition_and_can_be_followed(within):
    client, one = within(new_name()), image(size=(4, 4))
    study = one.identifier.study_instance_uid

    reply = client.store(one, path=f"studies/{study}")

    urls = [value(reply.json()[RETRIEVE_URL]), value(item(reply, STORED)[RETRIEVE_URL])]
    assert urls == [f"{client.base}/studies/{study}", f"{client.base}/{one.path}"]
    for path in ("studies", "series", "instances"):
        [found] = client.search(path, StudyInstanceUID=study, includefield=RETRIEVE_URL)
        urls.append(value(found[RETRIEVE_URL]))
    assert all(url.startswith(f"{client.base}/studies/{study}") for url in urls)
    for url in urls:
        assert client.session.get(url, headers={"Accept": "*/*"}).status_code == 200
    assert client.metadata(one)["7FE00010"]["BulkDataURI"].startswith(f"{client.base}/{one.path}/bulkdata/")


@pytest.mark.spec("PART-8", "DP-12")
async def test_with_several_partitions_the_service_does_not_start_without_the_feature(emulator, within):
    assert within(new_name()).store(file()).status_code == 200

    with pytest.raises(StartFailed, match="DATA_PARTITIONS_ENABLED"):
        async with running_service(ROOT, settings(emulator, OFF)):
            pass
