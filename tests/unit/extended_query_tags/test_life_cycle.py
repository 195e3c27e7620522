import asyncio

import pytest

from shared.index_schema.postings import value_of
from shared.operations.model import OperationStatus
from shared.operations.store import LEASE_SECONDS
from shared.registry.schema_registry import SETTLED_SECONDS
from tests.builders.http import error
from tests.unit.extended_query_tags.service import TagService, read, tag
from tests.unit.index.chaos import Crashed

AGE = {"PatientAge": "042Y"}
READER = (("Authorization", "Bearer read"),)


@pytest.mark.spec("EQT-31", "EQT-50")
async def test_a_tag_is_ready_when_its_operation_has_ended():
    service = TagService()
    assert read(await service.all()) == []
    await service.ready(tag("PatientAge"))
    ready = {"path": "00101010", "vr": "AS", "level": "study", "status": "ready", "queryStatus": "enabled"}
    assert read(await service.all()) == [ready]
    assert read(await service.retrieve("PatientAge")) == ready


@pytest.mark.spec("EQT-50", "GEN-30")
async def test_the_list_is_in_the_order_of_creation_and_comes_in_pages():
    service = TagService()
    await service.ready(tag("PatientSex"))
    await service.ready(tag("PatientAge"), tag("00080005", "Series"))

    async def paths(query):
        return [each["path"] for each in read(await service.all(query))]

    assert await paths("") == ["00100040", "00101010", "00080005"]
    assert await paths("?limit=1&Offset=1") == ["00101010"]
    assert await paths("?offset=3") == []
    for query in ("limit=0", "limit=201", "limit=x", "offset=-1", "limit=1&limit=2"):
        status, text = error(await service.all(f"?{query}"))
        assert status == 400
        assert text.startswith("The query parameter '")


@pytest.mark.spec("EQT-51")
async def test_one_tag_is_found_by_hexadecimal_digits_or_keyword():
    service = TagService()
    await service.ready(tag("PatientAge"))
    for path in ("PatientAge", "00101010"):
        assert read(await service.retrieve(path))["path"] == "00101010"
    text = "The specified extended query tag with tag path 00100040 cannot be found."
    assert error(await service.retrieve("PatientSex")) == (404, text)
    assert (await service.retrieve("Nonsense")).status == 400


@pytest.mark.spec("EQT-52")
@pytest.mark.parametrize("value", ["Disabled", "disabled", "DISABLED"])
async def test_a_tag_is_disabled_and_enabled_in_any_status(value):
    service = TagService()
    await service.add(tag("PatientAge"))
    entry = read(await service.patch("PatientAge", {"QueryStatus": value}))
    assert (entry["status"], entry["queryStatus"]) == ("adding", "disabled")
    await service.runner.run()
    entry = read(await service.retrieve("PatientAge"))
    assert (entry["status"], entry["queryStatus"]) == ("ready", "disabled")
    entry = read(await service.patch("PatientAge", {"queryStatus": "Enabled"}))
    assert entry["queryStatus"] == "enabled"
    assert read(await service.retrieve("PatientAge")) == entry


@pytest.mark.spec("EQT-53", "EQT-54")
@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"level": "Study"}, 'The field is not supported: "level".'),
        ({"queryStatus": "Enabled", "vr": "LO"}, 'The field is not supported: "vr".'),
        ({}, "The field 'QueryStatus' in request body is invalid"),
        ({"queryStatus": "on"}, "The field 'QueryStatus' in request body is invalid"),
        ({"queryStatus": 1}, "The field 'QueryStatus' in request body is invalid"),
        ({"queryStatus": None}, "The field 'QueryStatus' in request body is invalid"),
        ({"queryStatus": "Enabled", "QueryStatus": "Disabled"}, "The syntax of the request body is invalid."),
        ([], "The syntax of the request body is invalid."),
        ([{"queryStatus": "Disabled"}], "The syntax of the request body is invalid."),
        (b'"Disabled"', "The syntax of the request body is invalid."),
        (b"null", "The syntax of the request body is invalid."),
        (b"{", "The syntax of the request body is invalid."),
    ],
)
async def test_nothing_but_the_query_status_can_be_changed(document, text):
    service = TagService()
    await service.ready(tag("PatientAge"))
    status, said = error(await service.patch("PatientAge", document))
    assert status == 400
    assert said.startswith(text)
    assert read(await service.retrieve("PatientAge"))["queryStatus"] == "enabled"


@pytest.mark.spec("EQT-52", "EQT-56")
async def test_a_tag_that_does_not_exist_is_neither_changed_nor_deleted():
    service = TagService()
    assert (await service.patch("PatientAge", {"queryStatus": "Enabled"})).status == 404
    assert (await service.remove("PatientAge")).status == 404

    await service.ready(tag("PatientAge"))
    assert (await service.remove("PatientAge")).status == 204
    assert (await service.remove("PatientAge")).status == 404
    assert (await service.patch("PatientAge", {"queryStatus": "Enabled"})).status == 404
    assert (await service.errors("PatientAge")).status == 404


@pytest.mark.spec("EQT-51", "EQT-52", "EQT-55", "D-28")
@pytest.mark.parametrize("path", ["RequestAttributesSequence.AccessionNumber", "00400275.00080050"])
async def test_a_tag_inside_a_sequence_is_named_by_its_path(path):
    service = TagService()
    await service.ready(tag("RequestAttributesSequence.00080050", "Series"))
    assert read(await service.retrieve(path))["path"] == "00400275.00080050"
    assert read(await service.patch(path, {"queryStatus": "Disabled"}))["queryStatus"] == "disabled"
    assert read(await service.errors(path)) == []
    assert (await service.retrieve("AccessionNumber")).status == 404
    assert (await service.remove(path)).status == 204
    assert read(await service.all()) == []


@pytest.mark.spec("EQT-55", "EQT-57")
@pytest.mark.parametrize("is_ready", [True, False])
async def test_a_deleted_tag_is_gone_at_once_and_its_lists_after_every_process_has_heard_of_it(is_ready):
    service = TagService()
    await service.store("1.1", "1.1.1", "1.1.1.1", **AGE)
    await service.add(tag("PatientAge"), tag("AcquisitionNumber", "Instance"), tag("PatientSex"))
    if is_ready:
        await service.runner.run()
    await service.store("1.2", "1.2.1", "1.2.1.1", **AGE, AcquisitionNumber=7, PatientSex="F")

    response = await service.remove("PatientAge")
    assert (response.status, response.body) == (204, b"")
    assert (await service.remove("AcquisitionNumber")).status == 204
    assert (await service.retrieve("PatientAge")).status == 404
    assert (await service.search("PatientAge=042Y")).status == 400
    assert [each["path"] for each in read(await service.all())] == ["00100040"]

    await service.removal.run()
    assert (codes(service) >= {"t2x0"}) is is_ready
    service.time += SETTLED_SECONDS + 1
    await service.removal.run()
    assert not codes(service) & {"t2x0", "t2x1"}
    assert await service.studies("") == ["1.2", "1.1"]
    await service.runner.run()
    assert await service.studies("PatientSex=F") == ["1.2"]
    await service.store("1.3", "1.3.1", "1.3.1.1", **AGE)
    await service.clean_up()
    assert not codes(service) & {"t2x0", "t2x1"}
    assert await service.studies("") == ["1.3", "1.2", "1.1"]


def codes(service):
    return {value_of(row.row_key)[0] for kind in ("idx", "idxi") for row in service.tables.rows(kind)}


@pytest.mark.spec("EQT-55")
async def test_a_deleted_tag_can_be_added_again_as_something_else():
    service = TagService()
    await service.store("1.1", "1.1.1", "1.1.1.1", **AGE)
    await service.ready(tag("PatientAge"))
    await service.remove("PatientAge")
    await service.ready(tag("PatientAge", "Instance"))
    assert (await service.search("PatientAge=042Y")).status == 400
    assert await service.instances("PatientAge=042Y") == ["1.1.1.1"]
    assert await service.studies("PatientID=*") == ["1.1"]


@pytest.mark.spec("EQT-30", "STOW-43")
async def test_what_is_stored_while_tags_are_added_is_indexed_and_a_dead_worker_changes_nothing():
    service = TagService()
    for number in range(1, 4):
        await service.store(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", **AGE)
    await service.add(tag("PatientAge"))
    stored, commits, deaths = 3, 0, 0

    async def store_or_die(kind, operation):
        nonlocal stored, commits
        if kind in ("dicom", "idx") and operation == "commit" and not busy.locked():
            commits += 1
            if commits == 1:
                raise Crashed
            async with busy:
                stored += 1
                await service.store(f"1.{stored}", f"1.{stored}.1", f"1.{stored}.1.1", **AGE)
                assert (await service.search("PatientAge=042Y")).status == 400

    busy = asyncio.Lock()
    service.tables.after = store_or_die
    while await service.operations.active():
        try:
            await service.runner.run()
        except Crashed:
            deaths += 1
            service.time += LEASE_SECONDS + 1
    service.tables.after = None
    assert deaths == 1
    assert stored > 3
    assert set(await service.studies("PatientAge=042Y&limit=200")) == {f"1.{number}" for number in range(1, stored + 1)}


@pytest.mark.spec("OP-3")
async def test_the_operation_ends_with_all_of_it_done():
    service = TagService()
    await service.add(tag("PatientAge"))
    [(operation_id, _)] = await service.operations.active()
    await service.runner.run()
    operation = await service.operations.get(operation_id)
    assert (operation.status, operation.percent) == (OperationStatus.SUCCEEDED, 100)


async def test_who_may_read_sees_tags_and_changes_none():
    service = TagService()
    assert (await service.all(headers=READER)).status == 200
    assert (await service.all(headers=(("Authorization", "Bearer write"),))).status == 403
    for name, method, target in (
        ("add_extended_query_tags", "POST", "/v2/extendedquerytags"),
        ("update_extended_query_tag", "PATCH", "/v2/extendedquerytags/PatientAge"),
        ("delete_extended_query_tag", "DELETE", "/v2/extendedquerytags/PatientAge"),
    ):
        assert (await service._ask(name, method, target, [], READER)).status == 403
        assert (await service._ask(name, method, target, [], ())).status == 401
