"""Values that the re-index of an extended query tag cannot take (azure-apis §3.5)."""

import asyncio
from dataclasses import replace

import orjson
import pytest

from shared.dicom.identifiers import ResourceIdentifier
from shared.dicom.part10.file_reader import Part10Reader
from shared.dicomweb.versions import ApiVersion
from shared.index_schema import blob_names, keys
from shared.ingest.instance_validation import KEPT_TEXT, Valid, validate
from shared.operations.store import LEASE_SECONDS
from tests.builders.files import file
from tests.builders.http import DEFAULT_PARTITION, error
from tests.unit.extended_query_tags.service import PATH, TagService, read, tag
from tests.unit.index.chaos import Crashed
from tests.unit.upkeep.release import Partitions

GOOD, BAD = {"PatientAge": "042Y"}, {"PatientAge": "42 years"}
WARD = replace(DEFAULT_PARTITION, name="ward", namespace="ward")


async def service_with(*values, **settings):
    """A service that holds an instance of each of these values, in studies 1.1, 1.2, …"""
    service = TagService(**settings)
    for number, value in enumerate(values, start=1):
        await service.store(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", **value)
    return service


async def store_in(service, version, one):
    """Store a file as a store of that version does; what was said of it."""
    reader = Part10Reader(strict=version is ApiVersion.V2, keep_text=KEPT_TEXT)
    reader.feed(one.data)
    part10 = reader.finish()
    verdict = validate(part10, version=version, schema=service.schemas.known, study=None, full_item_validation=False)
    assert isinstance(verdict, Valid)
    blob = blob_names.blob_name("0", verdict.identifier, blob_names.new_upload_id(0))
    metadata = orjson.dumps(verdict.metadata)
    entry = verdict.new_instance(part10, metadata=metadata, blob=blob, length=1, replace=False, expires=None)
    await service.store_all([entry])
    return verdict


async def failed(service, path="PatientAge", query=""):
    return [each["sopInstanceUid"] for each in read(await service.errors(path, query))]


async def count(service, path="PatientAge"):
    return read(await service.retrieve(path)).get("errors", {}).get("count", 0)


@pytest.mark.spec("EQT-40", "EQT-41", "EQT-45", "EQT-46", "EQT-31")
async def test_each_value_that_cannot_be_indexed_is_an_error_and_its_tag_is_disabled():
    service = await service_with(GOOD, BAD, {}, {"PatientAge": ""}, BAD)
    await service.ready(tag("PatientAge"), tag("PatientSex"))
    entry = read(await service.retrieve("PatientAge"))
    href = f"http://dicom.example{PATH}/00101010/errors"
    assert (entry["status"], entry["queryStatus"]) == ("ready", "disabled")
    assert entry["errors"] == {"count": 2, "href": href}
    assert "errors" not in read(await service.retrieve("PatientSex"))
    found = read(await service.errors("PatientAge"))
    assert sorted(each["sopInstanceUid"] for each in found) == ["1.2.1.1", "1.5.1.1"]
    assert found[0].keys() == {
        "partitionName",
        "studyInstanceUid",
        "seriesInstanceUid",
        "sopInstanceUid",
        "createdTime",
        "errorMessage",
    }
    assert {(each["partitionName"], each["errorMessage"]) for each in found} == {
        ("Microsoft.Default", "Not 4 characters long.")
    }
    assert [each["createdTime"] for each in found] == sorted(each["createdTime"] for each in found)
    assert b"years" not in (await service.errors("PatientAge")).body
    assert error(await service.search("PatientAge=042Y"))[0] == 400


@pytest.mark.spec("QIDO-17")
async def test_a_search_by_an_enabled_tag_with_errors_names_it_as_the_client_has_spelt_it():
    service = await service_with(GOOD, BAD)
    await service.ready(tag("PatientAge"), tag("PatientSex"))
    await service.patch("PatientAge", {"queryStatus": "Enabled"})
    header = "erroneous-dicom-attributes"
    for name in ("PatientAge", "00101010"):
        response = await service.search(f"{name}=042Y")
        assert (response.status, dict(response.headers)[header]) == (200, name)
    response = await service.search("PatientAge=043Y&PatientSex=F")
    assert (response.status, dict(response.headers)[header]) == (204, "PatientAge")
    assert header not in dict((await service.search("PatientSex=F&PatientID=*")).headers)
    assert header not in dict((await service.search("includefield=PatientAge")).headers)
    await service.delete("1.2")
    assert header not in dict((await service.search("PatientAge=042Y")).headers)


@pytest.mark.spec("QIDO-18")
async def test_what_a_store_left_out_with_a_warning_is_no_error_of_its_tag():
    service = await service_with(GOOD)
    await service.ready(tag("PatientAge"))
    verdict = await store_in(service, ApiVersion.V2, file({0x00101010: ("AS", "42 years")}))
    assert verdict.warning is not None
    response = await service.search("PatientAge=042Y")
    assert (response.status, "erroneous-dicom-attributes" in dict(response.headers)) == (200, False)


@pytest.mark.spec("EQT-45")
async def test_errors_come_in_pages_of_tags_that_exist():
    service = await service_with(*[BAD] * 5)
    await service.ready(tag("PatientAge"), tag("PatientSex"))
    whole = await failed(service)
    assert len(whole) == 5
    assert await failed(service, query="?limit=2") == whole[:2]
    assert await failed(service, query="?limit=2&offset=3") == whole[3:]
    assert await failed(service, query="?offset=5") == []
    assert await failed(service, "PatientSex") == []
    assert await failed(service, query="?offset=50001") == []
    assert (await service.errors("PatientAge", "?limit=0")).status == 400
    assert (await service.errors("Nonsense")).status == 400
    assert (await service.errors("PatientWeight")).status == 404
    assert (await service.errors("PatientAge", headers=(("Authorization", "Bearer write"),))).status == 403
    assert (await service.errors("PatientAge", "?accept=text/html")).status == 406


@pytest.mark.spec("EQT-43", "DEL-10")
@pytest.mark.parametrize("scope", [("1.1",), ("1.1", "1.1.1"), ("1.1", "1.1.1", "1.1.1.1")])
async def test_a_delete_removes_the_errors_of_what_it_deletes_and_the_tag_stays_disabled(scope):
    service = await service_with(BAD, BAD)
    await service.ready(tag("PatientAge"), tag("AcquisitionNumber", "Instance"))
    assert await count(service) == 2
    await service.delete(*scope)
    assert (await failed(service), await count(service)) == (["1.2.1.1"], 1)
    await service.clean_up()
    assert (await failed(service), await count(service)) == (["1.2.1.1"], 1)
    await service.delete("1.2")
    entry = read(await service.retrieve("PatientAge"))
    assert ("errors" in entry, entry["queryStatus"]) == (False, "disabled")


@pytest.mark.spec("EQT-43", "DEL-10")
async def test_the_errors_of_a_deleted_instance_go_even_if_its_process_dies():
    service = await service_with(BAD, BAD)
    await service.ready(tag("PatientAge"))

    async def die(kind, operation):
        if (kind, operation) == ("idxi", "commit"):
            raise Crashed

    service.tables.before = die
    with pytest.raises(Crashed):
        await service.delete("1.1")
    service.tables.before = None
    await service.clean_up()
    assert (await failed(service), await count(service)) == (["1.2.1.1"], 1)


@pytest.mark.spec("EQT-43")
async def test_the_error_of_a_replaced_instance_goes():
    service = await service_with(BAD, BAD)
    await service.ready(tag("PatientAge"))
    await service.store_all([service.new("1.1", "1.1.1", "1.1.1.1", replace=True, **GOOD)])
    await service.clean_up()
    assert (await failed(service), await count(service)) == (["1.2.1.1"], 1)


@pytest.mark.spec("EQT-40")
@pytest.mark.parametrize("every", [1, 2, 3, 4, 5, 7])
async def test_a_worker_that_dies_anywhere_records_each_error_once(every):
    service = await service_with(*[BAD, GOOD] * 4)
    await service.add(tag("PatientAge"))
    left, deaths = every, 0

    async def die(kind, operation):
        nonlocal left, deaths
        if operation == "commit" and kind in ("dicom", "idx", "idxi", "conf"):
            left -= 1
            if left <= 0:
                left = every + deaths // 3
                deaths += 1
                raise Crashed

    service.tables.after = die
    while await service.operations.active():
        try:
            await service.runner.run()
        except Crashed:
            service.time += LEASE_SECONDS + 1
        assert deaths < 400
    service.tables.after = None
    assert deaths > 2
    expected = [f"1.{number}.1.1" for number in (1, 3, 5, 7)]
    assert (sorted(await failed(service)), await count(service)) == (expected, 4)
    await service.patch("PatientAge", {"queryStatus": "Enabled"})
    assert len(read(await service.search("PatientAge=042Y"))) == 4


@pytest.mark.spec("EQT-43")
@pytest.mark.parametrize("at", range(1, 9))
async def test_what_is_deleted_or_replaced_while_its_error_is_written_has_none_in_the_end(at):
    service = await service_with(BAD, BAD, BAD)
    await service.add(tag("PatientAge"))
    commits = 0
    acting = asyncio.Lock()

    async def act(kind, operation):
        nonlocal commits
        if operation == "commit" and kind in ("dicom", "idxi", "conf") and not acting.locked():
            commits += 1
            if commits == at:
                async with acting:
                    await service.delete("1.1")
                    await service.store_all([service.new("1.2", "1.2.1", "1.2.1.1", replace=True, **GOOD)])
                    await service.clean_up()

    service.tables.before = act
    await service.runner.run()
    service.tables.before = None
    await service.clean_up()
    assert (await failed(service), await count(service)) == (["1.3.1.1"], 1)


@pytest.mark.spec("EQT-41")
async def test_a_tag_that_somebody_enables_meanwhile_is_disabled_by_the_next_error():
    service = await service_with(*[BAD] * 9)
    await service.add(tag("PatientAge"))
    states = []
    acting = asyncio.Lock()

    async def enable(kind, operation):
        if (kind, operation) == ("idxi", "commit") and not acting.locked():
            async with acting:
                states.append(read(await service.retrieve("PatientAge"))["queryStatus"])
                await service.patch("PatientAge", {"queryStatus": "Enabled"})

    service.tables.before = enable
    await service.runner.run()
    service.tables.before = None
    assert states.count("disabled") > 1
    assert read(await service.retrieve("PatientAge"))["queryStatus"] == "disabled"


@pytest.mark.spec("EQT-42")
async def test_what_is_stored_when_the_tag_is_ready_leaves_no_error():
    service = await service_with(GOOD)
    await service.ready(tag("PatientAge"))
    await service.store("1.9", "1.9.1", "1.9.1.1", **BAD)
    await service.ready(tag("PatientSex"))
    assert (await failed(service), await count(service)) == ([], 0)
    assert read(await service.retrieve("PatientAge"))["queryStatus"] == "enabled"


@pytest.mark.spec("EQT-44")
@pytest.mark.parametrize(("version", "errors"), [(ApiVersion.V1, 1), (ApiVersion.V2, 0)])
async def test_v1_has_kept_values_that_are_not_valid_and_v2_has_not(version, errors):
    service = await service_with()
    await store_in(service, version, file({0x00101010: ("AS", "42 years")}))
    await service.ready(tag("PatientAge"))
    assert await count(service) == errors


@pytest.mark.spec("EQT-40")
async def test_errors_of_several_tags_and_re_indexes_are_kept_apart():
    service = await service_with({**BAD, "PatientComments": "x", "AcquisitionNumber": "many"})
    await service.ready(tag("PatientAge"))
    await service.ready(tag("AcquisitionNumber", "Instance"), tag("00101001", "Study"))
    assert (await count(service), await count(service, "AcquisitionNumber")) == (1, 1)
    await service.delete("1.1")
    assert (await count(service), await count(service, "AcquisitionNumber")) == (0, 0)
    await service.clean_up()
    assert not [row for row in service.tables.rows("idxi") if row.row_key.startswith("r!")]


@pytest.mark.spec("EQT-55")
async def test_the_errors_of_a_deleted_tag_go_with_it():
    service = await service_with(BAD)
    await service.ready(tag("PatientAge"))
    await service.remove("PatientAge")
    assert (await service.errors("PatientAge")).status == 404
    service.time += 1000
    await service.removal.run()
    assert service.tables.rows("idxi", keys.error_partition("t2x0")) == []
    await service.delete("1.1")
    await service.clean_up()
    assert service.tables.rows("idxi", keys.error_partition("t2x0")) == []
    await service.ready(tag("PatientAge"))
    assert (await failed(service), await count(service)) == ([], 0)


@pytest.mark.spec("EQT-40", "EQT-43", "EQT-45", "DEL-10")
async def test_errors_of_every_data_partition_are_in_one_list(monkeypatch):
    async def both(_):
        return [DEFAULT_PARTITION, WARD]

    monkeypatch.setattr(Partitions, "partitions", both)
    service = await service_with(BAD)
    service.partition = WARD
    await service.store("1.1", "1.1.1", "1.1.1.1", **BAD)
    await service.ready(tag("PatientAge"))
    names = {each["partitionName"] for each in read(await service.errors("PatientAge"))}
    assert (names, await count(service)) == ({"Microsoft.Default", "ward"}, 2)
    await service.index.delete(WARD, ResourceIdentifier("1.1"))
    [left] = read(await service.errors("PatientAge"))
    assert (left["partitionName"], await count(service)) == ("Microsoft.Default", 1)


@pytest.mark.spec("EQT-20")
async def test_the_greatest_number_of_tags_is_a_setting():
    service = await service_with(most_tags=2)
    await service.ready(tag("PatientAge"))
    status, text = error(await service.add(tag("PatientSex"), tag("PatientWeight", vr="DS")))
    assert status == 400
    status, text = error(await service.add(tag("PatientSex"), tag("EthnicGroup")))
    assert (status, text) == (400, "Extended query tags exceeds max allowed count '2'.")
    assert (await service.add(tag("PatientSex"))).status == 202


@pytest.mark.spec("EQT-1")
async def test_no_tag_is_added_while_operations_are_switched_off():
    service = await service_with(operations_enabled=False)
    text = "Asynchronous operations are temporarily disabled. Please try again later."
    assert error(await service.add(tag("PatientAge"))) == (400, text)
    assert read(await service.all()) == []


@pytest.mark.spec("OP-5")
async def test_the_answer_of_a_start_has_a_location():
    service = await service_with()
    response = await service.add(tag("PatientAge"))
    assert dict(response.headers)["Location"] == read(response)["href"]
