import json
import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest

from shared.capabilities import functions, prepared, yaml
from shared.capabilities.descriptions import matching_keys, search_keys
from shared.dicomweb.resources import RESOURCES
from shared.errors import Unavailable
from shared.registry.store_settings import StoreSettings
from shared.version import running_version
from tests.builders.functions import handler_of
from tests.builders.http import boundary, field, settings

BODILESS = ("cast_replay", "cast_backfill", "confirm_", "rebuild_", "revert_", "subscribe_", "suspend_")
"""Beginnings of the names of functions whose path says all."""


def app(checks=None, store=None, **fields):
    return functions.blueprint(boundary(**fields), settings(**fields), store or StoreRow(), checks or {})


class StoreRow:
    """The store's own row, if the tables answer."""

    def __init__(self, *, answers=True):
        self.answers = answers

    async def settings(self):
        if not self.answers:
            raise Unavailable
        return StoreSettings("5f" * 16, 16, 1, datetime(2026, 1, 1, tzinfo=UTC))


async def openapi(version: str = "v2", **fields) -> dict:
    response = await handler_of(app(**fields), "openapi_json").get(f"/{version}/api.json")
    assert (response.status, field(response, "content-type")) == (200, "application/json; charset=utf-8")
    return json.loads(response.body)


# -------------------------------------------------------------------------------------------------------- OpenAPI


@pytest.mark.spec("URL-8")
@pytest.mark.parametrize("data_partitions", [False, True])
async def test_the_openapi_document_describes_every_row_of_the_resource_table(data_partitions):
    document = await openapi(data_partitions=data_partitions)

    assert document["openapi"].startswith("3.1")
    described = {
        (method, path) for path, item in document["paths"].items() for method in item if method != "parameters"
    }
    rows = [
        row
        for row in RESOURCES.values()
        if row.documentation is not None and (data_partitions or row.name != "list_partitions")
    ]
    assert described == {
        (method.lower(), "/" + path.removeprefix("{version}").removeprefix("/").replace("{*path}", "{path}"))
        for row in rows
        for path in [row.path(data_partitions=data_partitions)]
        for method in row.methods
    }


@pytest.mark.spec("URL-8")
async def test_the_openapi_document_is_consistent():
    document = await openapi(data_partitions=True)
    identifiers = []
    for path, item in document["paths"].items():
        named = [parameter["name"] for parameter in item.get("parameters", [])]
        assert named == re.findall(r"\{(\w+)\}", path)
        for method, described in item.items():
            if method == "parameters":
                continue
            identifiers.append(described["operationId"])
            assert described["responses"]
            says_all_by_its_path = described["operationId"].startswith(BODILESS)
            assert ("requestBody" in described) == (method in {"patch", "post", "put"} and not says_all_by_its_path)
    assert len(identifiers) == len(set(identifiers))
    for reference in re.findall(r'"\$ref": ?"#/components/schemas/(\w+)"', json.dumps(document)):
        assert reference in document["components"]["schemas"]


@pytest.mark.spec("URL-8", "PUT-5")
async def test_each_version_has_its_own_description():
    assert "put" in (await openapi("v2"))["paths"]["/studies"]
    assert "put" not in (await openapi("v1"))["paths"]["/studies"]
    assert (await openapi("v1.0-prerelease"))["servers"] == [{"url": "http://dicom.example/v1.0-prerelease"}]


@pytest.mark.spec("URL-8", "URL-9")
async def test_every_path_of_the_openapi_document_belongs_to_its_one_server():
    document = await openapi("v2")

    assert document["servers"] == [{"url": "http://dicom.example/v2"}]
    assert not any("servers" in item for item in document["paths"].values())
    health = await handler_of(app(), "health_check_of_version").get("/v2/health/check")
    assert (health.status, json.loads(health.body)["overallStatus"]) == (200, "Healthy")


@pytest.mark.spec("URL-8", "AUTH-4", "AUTH-5")
async def test_a_token_is_described_only_where_one_is_needed():
    off = await openapi(authentication="off")
    assert "security" not in json.dumps(off)

    on = await openapi(authentication="openid", authority="https://login.example/t", audiences=("api",))
    assert on["security"] == [{"bearer": []}]
    public = {path for path, item in on["paths"].items() if item.get("get", {}).get("security") == []}
    assert public == {"/conformance", "/api.yaml", "/api.json", "/health/check"}
    assert "security" not in on["paths"]["/studies"]["get"]


@pytest.mark.spec("URL-8")
@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_every_operation_is_explained_and_every_example_fits_its_schema(version):
    document = await openapi(version, data_partitions=True)

    examples = 0
    for item in document["paths"].values():
        for described in [described for method, described in item.items() if method != "parameters"]:
            assert described["summary"]
            assert described["description"].endswith(".")
            contents = [
                content for answer in described["responses"].values() for content in [answer.get("content", {})]
            ]
            bodies = [body for content in contents for body in content.values()]
            for told in [*item.get("parameters", []), *described.get("parameters", []), *bodies]:
                if "example" in told:
                    assert fits(told["example"], told["schema"], document), told
                    examples += 1
    assert examples > 100


TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def fits(value, schema, document) -> bool:
    """Whether a JSON Schema of the document, by the keywords that it uses, holds for `value`."""
    if reference := schema.get("$ref"):
        return fits(value, document["components"]["schemas"][reference.rpartition("/")[2]], document)

    def inner(found, rule):
        return fits(found, rule, document)

    keywords = {
        "type": lambda rule: isinstance(value, TYPES[rule]),
        "enum": lambda rule: value in rule,
        "pattern": lambda rule: re.search(rule, value),
        "minLength": lambda rule: len(value) >= rule,
        "maxLength": lambda rule: len(value) <= rule,
        "const": lambda rule: value == rule,
        "minimum": lambda rule: value >= rule,
        "maximum": lambda rule: value <= rule,
        "required": lambda rule: set(rule) <= set(value),
        "properties": lambda rule: all(inner(value[name], each) for name, each in rule.items() if name in value),
        "patternProperties": lambda rule: all(
            inner(found, each) for name, found in value.items() for form, each in rule.items() if re.search(form, name)
        ),
        "items": lambda rule: all(inner(item, rule) for item in value),
        "minItems": lambda rule: len(value) >= rule,
        "maxItems": lambda rule: len(value) <= rule,
        "oneOf": lambda rule: sum(1 for each in rule if inner(value, each)) == 1,
        "anyOf": lambda rule: any(inner(value, each) for each in rule),
        "allOf": lambda rule: all(inner(value, each) for each in rule),
    }
    silent = {"additionalProperties", "description", "default", "format"}
    return all(keywords[name](rule) for name, rule in schema.items() if name not in silent)


@pytest.mark.parametrize("value", ["0", 1, {"a": [1]}, {"b": ["1", "02"]}])
def test_an_example_that_does_not_fit_is_found(value):
    schema = {
        "type": "object",
        "required": ["b"],
        "properties": {"b": {"type": "array", "items": {"type": "string", "pattern": "^[1-9]$"}}},
    }

    assert not fits(value, schema, {})
    assert fits({"b": ["1"]}, schema, {})


@pytest.mark.spec("URL-8", "FRM-1", "ZIP-4")
async def test_parameters_say_which_values_are_valid():
    document = await openapi(data_partitions=True)
    instance = "/partitions/{partition}/studies/{study}/series/{series}/instances/{instance}"

    def schema(path, name):
        item = document["paths"][path]
        found = [*item["get"].get("parameters", []), *item.get("parameters", [])]
        return next(parameter["schema"] for parameter in found if parameter["name"] == name)

    frames = schema(f"{instance}/frames/{{frames}}", "frames")["pattern"]
    assert [bool(re.fullmatch(frames, text)) for text in ("1", "1,2", "0", "1,0", "a")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    viewport = schema(f"{instance}/rendered", "viewport")["pattern"]
    valid = [bool(re.fullmatch(viewport, text)) for text in ("512,512", "8,8,0,0,-4,4", "512", "0,5", "a,b")]
    assert valid == [True, True, False, False, False]
    assert schema("/partitions/{partition}/wado", "requestType") == {"enum": ["WADO"]}
    study = "/partitions/{partition}/studies/{study}"
    for archive in (study, f"{study}/series/{{series}}", instance):
        assert schema(archive, "dicomdir") == {"type": "boolean", "default": False}
    accept = schema(f"{instance}/metadata", "accept")["enum"]
    assert accept == ["application/dicom+json", 'multipart/related; type="application/dicom+xml"', "*/*"]


@pytest.mark.spec("ERR-2")
@pytest.mark.spec("THR-1", "THR-2")
async def test_every_transaction_that_needs_an_action_may_be_refused_for_a_while():
    protected = {row.name for row in RESOURCES.values() if row.action is not None}
    seen = set()
    for item in (await openapi(data_partitions=True))["paths"].values():
        for method, described in item.items():
            name = described["operationId"].removesuffix(f"_{method}") if method != "parameters" else ""
            if name in protected:
                seen.add(name)
                for status in ("429", "503"):
                    assert described["responses"][status]["headers"].keys() == {"Retry-After"}
    assert seen == protected


async def test_a_failure_is_described_as_text_and_as_problem_details():
    document = await openapi()
    paths = document["paths"]

    for method, status in (("get", "400"), ("get", "401"), ("get", "406"), ("post", "415")):
        content = paths["/studies"][method]["responses"][status]["content"]
        assert set(content) == {"text/plain", "application/problem+json"}
        assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert "content" not in paths["/studies"]["head"]["responses"]["406"]
    assert "requestId" in document["components"]["schemas"]["Problem"]["required"]


@pytest.mark.spec("URL-8")
async def test_yaml_and_json_say_the_same():
    response = await handler_of(app(), "openapi_yaml").get("/v2/api.yaml")

    assert field(response, "content-type") == "application/yaml; charset=utf-8"
    assert read_yaml(response.body.decode()) == await openapi()


def test_yaml_of_every_kind_of_value():
    value = {"a": {"b": [1, "x: y", {"c": None, "d": [[], {}, [True]]}], "#": "ä\n"}, "e": {}}

    assert read_yaml(yaml.dumps(value).decode()) == value


def read_yaml(text: str):
    """Block style with JSON scalars, by indentation: an independent reading of what the emitter may write."""
    lines = [(len(line) - len(line.lstrip()), line.lstrip()) for line in text.splitlines()]

    def block(position: int, indent: int):
        found = None
        while position < len(lines) and lines[position][0] == indent:
            line = lines[position][1]
            if line.startswith("-"):
                found = [] if found is None else found
                rest, add = line[1:].strip(), found.append
            else:
                found = {} if found is None else found
                key, end = json.JSONDecoder().raw_decode(line)
                assert line[end] == ":"
                rest, add = line[end + 1 :].strip(), lambda value, key=key, into=found: into.__setitem__(key, value)
            if rest:
                add(json.loads(rest))
                position += 1
            else:
                value, position = block(position + 1, lines[position + 1][0])
                add(value)
        return found, position

    value, end = block(0, 0)
    assert end == len(lines)
    return value


# --------------------------------------------------------------------------------------------------- capabilities


@pytest.mark.spec("CAP-1")
@pytest.mark.parametrize(
    "accept", [None, "*/*", "application/vnd.sun.wadl+xml", "application/json;q=0.5, application/*"]
)
async def test_capabilities_are_a_wadl_document_by_default(accept):
    headers = [("Accept", accept)] if accept else []

    response = await handler_of(app(), "capabilities").request("OPTIONS", "/v2/", headers)

    assert (response.status, field(response, "content-type")) == (200, "application/vnd.sun.wadl+xml")
    names = {"w": "http://wadl.dev.java.net/2009/02"}
    document = ET.fromstring(response.body)
    resources = document.find("w:resources", names)
    assert resources.get("base") == "http://dicom.example/"
    paths = [resource.get("path") for resource in resources.findall("w:resource", names)]
    assert "v2/studies/{study}/series/{series}/instances/{instance}/frames/{frames}" in paths
    search = document.find(".//w:method[@id='search_study_series_get']", names)
    keys = [parameter.get("name") for parameter in search.findall("w:request/w:param", names)]
    assert {"limit", "offset", "fuzzymatching", "includefield", "Modality"} <= set(keys)
    assert "PatientID" not in keys


@pytest.mark.spec("CAP-1")
@pytest.mark.parametrize("accept", ["application/dicom+json", "application/json", "application/json, */*;q=0.1"])
async def test_capabilities_are_json_for_those_who_prefer_it(accept):
    response = await handler_of(app(), "capabilities").request("OPTIONS", "/v2/", [("Accept", accept)])

    assert field(response, "content-type") == accept.partition(",")[0]
    assert json.loads(response.body)["apiVersion"] == "v2"


@pytest.mark.spec("CAP-1")
async def test_capabilities_in_no_other_type():
    response = await handler_of(app(), "capabilities").request("OPTIONS", "/v2/", [("Accept", "image/png")])

    assert response.status == 406


@pytest.mark.spec("CAP-1")
async def test_a_preflight_of_the_capabilities_is_not_a_request_for_them():
    preflight = [("Origin", "https://viewer.example"), ("Access-Control-Request-Method", "GET")]

    response = await handler_of(app(), "capabilities").request("OPTIONS", "/v2/", preflight)

    assert (response.status, response.body) == (204, b"")


@pytest.mark.spec("CAP-2")
async def test_conformance_tells_features_limits_resources_and_search_keys():
    fields = {"data_partitions": True, "max_file_bytes": 1000, "bulk_data_uris": False}

    response = await handler_of(app(**fields), "conformance").get("/v2/conformance")

    facts = json.loads(response.body)
    assert {name: facts[name] for name in ("version", "commit")} == running_version()
    assert (facts["apiVersion"], facts["supportedVersions"]) == ("v2", ["1.0-prerelease", "1", "2"])
    assert (facts["features"]["dataPartitions"], facts["features"]["bulkDataUris"]) == (True, False)
    assert (facts["limits"]["fileBytes"], facts["limits"]["searchMaximum"]) == (1000, 200)
    assert {"name", "path", "methods", "consumes", "produces"} == set(facts["resources"][0])
    assert facts["resources"][0]["path"] == "/v2/partitions/{partition}/studies"
    assert "PatientID" in facts["searchKeys"]["study"]


@pytest.mark.spec("CAP-2")
async def test_conformance_tells_which_store_it_is_while_that_can_be_asked():
    known = await handler_of(app(), "conformance").get("/v2/conformance")
    unknown = await handler_of(app(store=StoreRow(answers=False)), "conformance").get("/v2/conformance")

    assert json.loads(known.body)["storeId"] == "5f" * 16
    assert (unknown.status, "storeId" in json.loads(unknown.body)) == (200, False)


@pytest.mark.spec("CAP-2")
async def test_conformance_differs_by_version():
    facts = json.loads((await handler_of(app(), "conformance").get("/v1/conformance")).body)

    assert (facts["features"]["upsert"], facts["features"]["bulkDataUris"]) == (False, False)
    assert facts["resources"][0]["methods"] == ["POST"]


@pytest.mark.spec("CAP-1")
def test_search_resources_are_searched_by_their_own_and_their_parents_attributes():
    keys = search_keys()

    assert matching_keys(RESOURCES["search_instances"]) == keys["study"] + keys["series"] + keys["instance"]
    assert matching_keys(RESOURCES["search_study_instances"]) == keys["series"] + keys["instance"]
    assert matching_keys(RESOURCES["search_series_instances"]) == keys["instance"]
    assert "RequestAttributesSequence.RequestedProcedureID" in keys["series"]


# --------------------------------------------------------------------------------------------------------- health


@pytest.mark.spec("URL-9", "HC-1", "AUTH-5")
async def test_health_is_200_with_the_details():
    async def well():
        return None

    response = await handler_of(app({"tables": well}), "health_check").get("/health/check")

    assert (response.status, field(response, "api-supported-versions")) == (200, None)
    assert json.loads(response.body) == {
        "overallStatus": "Healthy",
        "details": [{"name": "tables", "status": "Healthy", "description": "No problem was found."}],
        **running_version(),
    }


@pytest.mark.spec("URL-9", "HC-1")
async def test_ill_health_is_503_with_the_details():
    async def ill():
        raise Unavailable("account xyz")

    response = await handler_of(app({"tables": ill}), "health_check").get("/health/check")

    assert response.status == 503
    assert json.loads(response.body)["overallStatus"] == "Unhealthy"
    assert b"xyz" not in response.body


@pytest.mark.spec("HC-3")
async def test_an_excluded_check_does_not_count():
    async def ill():
        raise Unavailable("down")

    response = await handler_of(app({"events": ill}, health_checks_excluded=("events",)), "health_check").get(
        "/health/check"
    )

    assert (response.status, json.loads(response.body)["details"]) == (200, [])


# ------------------------------------------------------------------------------------------------------- fallback


@pytest.mark.spec("URL-11", "URL-3", "URL-1")
@pytest.mark.parametrize(
    ("method", "target", "status"),
    [("GET", "/", 404), ("DELETE", "/v2/studies", 405), ("GET", "/v7/studies/1.2/x", 400), ("GET", "/v2/nothing", 404)],
)
async def test_the_fallback_answers_what_nobody_else_does(method, target, status):
    assert (await handler_of(app(), "zz_fallback").request(method, target)).status == status


async def test_a_path_whose_own_function_is_switched_off_is_not_found():
    assert (await handler_of(app(), "zz_fallback").get("/v2/studies")).status == 404


# ------------------------------------------------------------------------------------------------------- their costs

DESCRIPTIONS = [
    ("openapi_json", "GET", "/v2/api.json", "document"),
    ("openapi_yaml", "GET", "/v2/api.yaml", "document"),
    ("capabilities", "OPTIONS", "/v2", "wadl"),
]


@pytest.mark.spec("URL-8", "URL-10")
@pytest.mark.parametrize(("name", "method", "target", "maker"), DESCRIPTIONS)
async def test_a_description_is_made_once_and_names_the_host_of_each_request(name, method, target, maker, monkeypatch):
    made = []
    original = getattr(prepared, maker)

    def counted(*arguments, **options):
        made.append(maker)
        return original(*arguments, **options)

    monkeypatch.setattr(prepared, maker, counted)
    function = handler_of(app(), name)
    bodies = [
        (await function.request(method, target, [("Host", host)])).body for host in ("a.example", "b.example:8080")
    ]

    assert made == [maker]
    assert b'"http://a.example/' in bodies[0]
    assert bodies[1] == bodies[0].replace(b"http://a.example/", b"http://b.example:8080/")
    assert b"root.invalid" not in bodies[0]


@pytest.mark.parametrize(("name", "method", "target", "maker"), DESCRIPTIONS)
async def test_a_description_may_be_kept_and_is_not_sent_to_who_has_it(name, method, target, maker):
    function = handler_of(app(), name)
    first = await function.request(method, target)
    again = await function.request(method, target, [("If-None-Match", field(first, "etag"))])

    assert field(first, "cache-control") == "public, max-age=300"
    assert (again.status, again.body) == (304, b"")
    assert field(again, "etag") == field(first, "etag")
