import orjson
import pytest

from shared.dicomweb.partitions import DEFAULT_NAME
from shared.search.attributes import SEARCH_LEVELS
from shared.search.functions import blueprint
from tests.builders.archive import Archive
from tests.builders.functions import Function, handler_of
from tests.builders.http import ALL, KnownPartitions, boundary, field

BAD_ACCEPT = ("Accept", "image/png")


async def app(name: str = "search_studies", *partitions: str, **settings) -> tuple[Archive, Function]:
    """An archive of one study, and one of the functions over it."""
    archive = Archive()
    await archive.store("1.1", "1.1.1", "1.1.1.1", PatientID="P", Modality="CT")
    functions = blueprint(
        boundary(KnownPartitions(*partitions), **settings),
        archive.tables,
        archive.lookup,
        archive.blobs,
        archive.shards,
        study_lists=archive.has_lists,
        schemas=archive.schemas,
    )
    return archive, handler_of(functions, name)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("search_studies", "studies"),
        ("search_series", "series"),
        ("search_instances", "instances"),
        ("search_study_series", "studies/1.1/series"),
        ("search_study_instances", "studies/1.1/instances"),
        ("search_series_instances", "studies/1.1/series/1.1.1/instances"),
    ],
)
async def test_each_search_resource_has_its_function(name, path):
    _, function = await app(name)

    response = await function.get(f"/v2/{path}", ALL)

    assert response.status == 200
    assert "0020000D" in orjson.loads(response.body)[0] or "0020000E" in orjson.loads(response.body)[0]
    assert field(response, "content-type") == "application/dicom+json"
    assert field(response, "api-supported-versions")


def test_the_functions_are_those_of_the_resource_table():
    from shared.dicomweb.resources import RESOURCES as TABLE

    assert set(SEARCH_LEVELS) == {name for name in TABLE if name.startswith("search_")} - {"search_workitems"}


@pytest.mark.spec("ACC-2", "ACC-4", "ACC-5")
@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ((), 200),
        ((("Accept", "application/json"),), 200),
        ((("Accept", "application/dicom+json, application/json"),), 200),
        ((BAD_ACCEPT, ("Accept", "*/*")), 200),
        ((BAD_ACCEPT,), 406),
        ((("Accept", "application/dicom"),), 406),
        ((("Accept", 'multipart/related; type="application/dicom+xml"'),), 200),
    ],
)
async def test_json_and_xml_are_what_can_be_accepted(accept, status):
    _, function = await app()

    assert (await function.get("/v2/studies", (*ALL, *accept))).status == status


@pytest.mark.spec("QIDO-6", "QIDO-11")
@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/v2/studies?limit=0", (), 401),
        ("/v2/studies?limit=0", (*ALL, BAD_ACCEPT), 400),
        ("/v2/studies?Foo=1", (*ALL, BAD_ACCEPT), 406),
        ("/v2/studies?Foo=1", (("Authorization", "Bearer write"),), 403),
        ("/v2/studies?Foo=1", ALL, 400),
        ("/v2/studies/abc/series?Foo=1", ALL, 400),
        ("/v2/studies?PatientID=%3Cscript%3E", ALL, 400),
        ("/v2/studies?PatientID=Q", ALL, 204),
    ],
)
async def test_the_first_failing_check_decides(target, headers, status):
    _, function = await app("search_study_series" if "series" in target else "search_studies")

    assert (await function.get(target, headers)).status == status


@pytest.mark.spec("ACC-6")
async def test_the_accept_parameter_comes_before_the_header():
    _, function = await app()

    assert (await function.get("/v2/studies?accept=application%2Fdicom%2Bjson", (*ALL, BAD_ACCEPT))).status == 200
    assert (await function.get("/v2/studies?accept=image%2Fpng", ALL)).status == 406


async def test_a_refusal_names_the_parameter_and_not_its_value():
    _, function = await app()

    response = await function.get("/v2/studies?StudyDate=secret", ALL)

    assert response.status == 400
    assert b"'StudyDate'" in response.body
    assert b"secret" not in response.body


@pytest.mark.spec("PART-6", "CON-7")
async def test_partitions_are_searched_by_name():
    _, function = await app("search_studies", DEFAULT_NAME, data_partitions=True)

    assert (await function.get("/v2/partitions/nowhere/studies", ALL)).status == 400


async def test_head_answers_without_a_body():
    _, function = await app()

    response = await function.request("HEAD", "/v2/studies", ALL)

    assert (response.status, response.body) == (200, b"")
