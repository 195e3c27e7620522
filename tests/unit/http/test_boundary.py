"""The checks of dicomweb §4.2 in their order, partitions, and what a handler is told."""

import json

import pytest

from shared.errors import InvalidRequest, NotAcceptable, UnsupportedMedia
from shared.http.messages import Response
from shared.http.transaction import Transaction
from tests.builders.http import (
    ALL,
    INSTANCE,
    KnownPartitions,
    ask,
    boundary,
    context,
    context_of,
    error,
    field,
    refuse,
    routed,
    say_hello,
)


# Each step of dicomweb §4.2 as a change to a request that is right; a request with several fails at the first.
@pytest.mark.spec("HDR-2", "PART-5")
async def test_the_first_failing_check_wins():
    at = boundary(data_partitions=True)
    tokens = {"none": (), "weak": (("Authorization", "Bearer delete"),), "all": ALL}

    async def status(
        *,
        version="v2",
        query="",
        caller="all",
        parse=None,
        partition="ward",
        accept=None,
        study="1.2",
        handler=say_hello,
    ):
        steps = {
            name: refuse(failure) for name, failure in (("parse", parse), ("accept", accept)) if failure is not None
        }
        target = f"/{version}/partitions/{partition}/studies/{study}{query}"
        response = await ask("GET", target, tokens[caller], **steps, at=at, handler=handler)
        return (200, "hello") if response.status == 200 else error(response)

    wrong = {
        "version": "vx",
        "query": "?a=%3Cb",
        "caller": "none",
        "parse": UnsupportedMedia(),
        "partition": "other",
        "accept": NotAcceptable(),
        "study": "abc",
    }
    statuses = [404, 400, 401, 415, 400, 406, 400]
    for number, expected in enumerate(statuses):
        remaining = dict(list(wrong.items())[number:])
        assert (await status(**remaining))[0] == expected, remaining

    assert (await status(**{**wrong, "version": "v2", "query": ""}))[0] == 401
    assert await status(partition="other", accept=NotAcceptable()) == (400, "Specified PartitionName does not exist.")
    assert await status(caller="weak", accept=NotAcceptable()) == (406, "Not Acceptable.")
    assert await status(caller="weak", study="abc") == (403, "Authorization failed.")
    assert await status(study="abc") == (400, "The StudyInstanceUID of the path is not a valid UID.")
    assert await status() == (200, "hello")


@pytest.mark.spec("HDR-2")
@pytest.mark.parametrize("query", ["a=<", "a=%3c", "%3C=b", "PatientName=x&<"])
async def test_an_angle_bracket_in_the_query_is_refused_everywhere(query):
    for target in ("/v2/studies", "/v2/conformance", "/health/check"):
        response = await ask("GET", f"{target}?{query}")

        assert error(response) == (400, "The query string included invalid characters.")


@pytest.mark.spec("URL-3", "URL-4")
async def test_an_unsupported_version_gets_an_error_object_and_the_list_of_versions():
    for method, target in (("GET", "/v9/studies"), ("GET", "/v9/nothing"), ("PATCH", "/v9/studies")):
        response = await ask(method, target, ())

        assert response.status == 400
        assert json.loads(response.body)["error"]["code"] == "UnsupportedApiVersion"
        assert field(response, "api-supported-versions") == "1.0-prerelease, 1, 2"
        assert field(response, "content-type").startswith("application/json")


@pytest.mark.spec("URL-1", "URL-3")
@pytest.mark.parametrize("target", ["/", "/studies", "/studies/1.2", "/vx/studies", "/v2/nothing", "/api.yaml", "/v"])
async def test_an_unknown_path_is_not_found(target):
    assert (await ask("GET", target, ())).status == 404


@pytest.mark.spec("URL-11", "PUT-5", "DEL-14")
@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("DELETE", "/v2/studies", "GET, HEAD, POST, PUT"),
        ("PUT", "/v1/studies", "GET, HEAD, POST"),
        ("PUT", "/v1/studies/1.2", "DELETE, GET, HEAD, POST"),
        ("PATCH", INSTANCE, "DELETE, GET, HEAD"),
        ("OPTIONS", "/v2/studies", "GET, HEAD, POST, PUT"),
        ("POST", "/health/check", "GET, HEAD"),
        ("GET", "/v2/", "OPTIONS"),
        ("POST", "/v2/partitions", "GET, HEAD"),
    ],
)
async def test_a_known_path_with_another_method_says_which_are_allowed(method, target, allow):
    response = await ask(method, target, ())

    assert (response.status, field(response, "allow")) == (405, allow)


@pytest.mark.spec("PUT-1")
async def test_put_exists_in_v2():
    assert (await ask("PUT", "/v2/studies")).status == 200


@pytest.mark.spec("PART-1")
@pytest.mark.parametrize(
    "target",
    ["/v2/partitions/ward/studies", f"/v2/partitions/ward/{INSTANCE[4:]}/metadata", "/v2/partitions/ward/other"],
)
async def test_a_partition_path_is_refused_while_partitions_are_off(target):
    response = await ask("GET", target)

    assert error(response) == (400, "Data partitions feature is disabled.")


@pytest.mark.spec("PART-1")
@pytest.mark.parametrize(
    ("method", "target"),
    [("POST", "/v2/studies"), ("GET", "/v2/series"), ("DELETE", "/v2/studies/1.2"), ("GET", INSTANCE)],
)
async def test_a_path_without_partition_is_refused_while_partitions_are_on(method, target):
    response = await ask(method, target, at=boundary(data_partitions=True))

    assert error(response) == (400, "PartitionName value is missing in the route segment.")


@pytest.mark.spec("PART-1")
async def test_who_the_caller_is_comes_before_partitions():
    assert (await ask("GET", "/v2/partitions/ward/studies", ())).status == 401
    assert (await ask("GET", "/v2/studies", (), at=boundary(data_partitions=True))).status == 401


async def test_a_method_that_the_other_form_of_the_path_lacks_is_not_allowed():
    response = await ask("PATCH", "/v2/studies", at=boundary(data_partitions=True))

    assert (response.status, field(response, "allow")) == (405, "GET, HEAD, POST, PUT")


@pytest.mark.spec("PART-2")
async def test_what_is_never_partitioned_works_without_a_partition():
    at = boundary(data_partitions=True)

    assert (await ask("GET", "/v2/partitions", at=at)).status == 200
    assert (await ask("GET", "/v2/conformance", at=at)).status == 200


@pytest.mark.spec("PART-3")
@pytest.mark.parametrize("name", ["a" * 65, "a b", "a%2Fb", "%C3%A4", "a$"])
async def test_a_name_that_breaks_the_syntax_is_refused(name):
    response = await ask("POST", f"/v2/partitions/{name}/studies", at=boundary(data_partitions=True))

    assert error(response) == (400, "The specified PartitionName is invalid.")


@pytest.mark.spec("PART-4", "PART-6", "AUTH-19")
async def test_a_store_creates_its_partition_and_nothing_else_does():
    known = KnownPartitions("ward")
    at = boundary(known, data_partitions=True)

    for method, target in (("GET", "studies"), ("DELETE", "studies/1.2"), ("GET", "studies/1.2/metadata")):
        response = await ask(method, f"/v2/partitions/new/{target}", at=at)
        assert error(response) == (400, "Specified PartitionName does not exist.")
    assert known.names == ["ward"]

    writer = (("Authorization", "Bearer write"),)
    _, context = await context_of("POST", "/v2/partitions/new/studies", writer, at=at)
    assert (context.partition.name, known.names) == ("new", ["ward", "new"])


@pytest.mark.spec("PART-5")
async def test_the_partition_exists_even_if_the_store_then_fails():
    known = KnownPartitions()

    async def fail(request, context):
        raise InvalidRequest("malformed")

    response = await ask("PUT", "/v2/partitions/new/studies", handler=fail, at=boundary(known, data_partitions=True))

    assert (response.status, known.names) == (400, ["new"])


async def test_who_may_not_store_creates_no_partition():
    known = KnownPartitions()
    reader = (("Authorization", "Bearer read"),)

    response = await ask("POST", "/v2/partitions/new/studies", reader, at=boundary(known, data_partitions=True))

    assert (response.status, known.names) == (403, [])


@pytest.mark.spec("PART-7")
async def test_everything_belongs_to_the_default_partition_while_partitions_are_off():
    _, context = await context_of("GET", "/v2/studies")

    assert (context.partition.key, context.partition.name, context.partition.namespace) == (1, "Microsoft.Default", "0")


@pytest.mark.spec("CON-8", "UID-1")
async def test_uids_of_the_path_reach_the_handler_without_padding():
    request, _ = await context_of("GET", "/v2/studies/1.2%20%20/series/1.2.3%00/metadata")

    assert (request.route["study"], request.route["series"]) == ("1.2", "1.2.3")


@pytest.mark.spec("UID-1", "UID-3")
@pytest.mark.parametrize("uid", ["abc.1", "98-0-705", "1.", "1" * 65, "%20", "1.2%2F3", "%00"])
async def test_a_uid_of_the_path_that_breaks_the_rules_is_refused(uid):
    assert (await ask("GET", f"/v2/studies/{uid}/metadata")).status == 400
    assert (await ask("DELETE", f"/v2/studies/1/series/{uid}")).status == 400


@pytest.mark.spec("UID-2")
@pytest.mark.parametrize("uid", ["1.02.3", "1..2", ".1", "1" * 64])
async def test_uids_of_real_archives_pass(uid):
    assert (await ask("GET", f"/v2/studies/{uid}")).status == 200


@pytest.mark.spec("URL-10", "URL-2")
async def test_urls_of_the_answer_repeat_how_the_client_asked():
    _, context = await context_of("GET", "/v1.0-prerelease/studies", host="pacs.example:8443")
    assert context.urls.study("1.2") == "https://pacs.example:8443/v1.0-prerelease/studies/1.2"

    _, context = await context_of("GET", "/v2/partitions/ward/studies", at=boundary(data_partitions=True))
    assert context.urls.study("1.2") == "https://dicom.example/v2/partitions/ward/studies/1.2"


@pytest.mark.spec("GEN-40", "GEN-41", "GEN-42", "GEN-43")
async def test_forwarded_headers_count_only_where_a_proxy_is_trusted():
    forwarded = (*ALL, ("X-Forwarded-Host", "front.example"), ("X-Forwarded-Prefix", "/imaging"))

    _, context = await context_of("GET", "/v2/studies", forwarded)
    assert context.urls.study("1.2") == "https://dicom.example/v2/studies/1.2"

    _, context = await context_of("GET", "/v2/studies", forwarded, at=boundary(trust_forwarded_headers=True))
    assert context.urls.study("1.2") == "https://front.example/imaging/studies/1.2"

    _, context = await context_of("GET", "/v2/studies", forwarded[:2], at=boundary(trust_forwarded_headers=True))
    assert context.urls.study("1.2") == "https://front.example/v2/studies/1.2"


async def test_a_public_base_url_replaces_what_the_request_says():
    _, context = await context_of("GET", "/v2/studies", at=boundary(public_base_url="https://public.example/dicom"))

    assert context.urls.study("1.2") == "https://public.example/dicom/v2/studies/1.2"


@pytest.mark.spec("STOW-41")
@pytest.mark.parametrize(
    ("host", "value"),
    [
        ("pacs.example", '299 pacs.example: "text"'),
        ("pacs.example:7071", '299 pacs.example: "text"'),
        ("[2001:db8::1]:443", '299 [2001:db8::1]: "text"'),
        ("", '299 - "text"'),
    ],
)
async def test_a_warning_names_the_host_without_its_port(host, value):
    assert context(host).warning("text") == ("Warning", value)


@pytest.mark.spec("STOW-41")
async def test_a_warning_quotes_what_would_end_its_text():
    assert context("a").warning('"b" \\ c') == ("Warning", '299 a: "\\"b\\" \\\\ c"')


async def test_a_request_is_read_once_and_its_answer_sees_what_was_read():
    read: list[str] = []

    def parse(request, version):
        read.append(f"parse {version.value} {request.query}")
        return "parsed"

    def accept(request, version):
        read.append("accept")
        return "accepted"

    async def answer(parsed, accepted, context):
        return Response(200, (), f"{parsed} {accepted} {context.scope.study_instance_uid}".encode())

    at = boundary()
    resource, request = routed("GET", "/v2/studies/1.2/metadata?a=b", (*ALL, ("Host", "dicom.example")))
    response = await at.run(resource, request, Transaction(parse, accept, answer))

    assert response.body == b"parsed accepted 1.2"
    assert read == ["parse 2 a=b", "accept"]


@pytest.mark.spec("META-7", "D-24")
async def test_the_representations_that_a_client_holds_are_known_to_the_answer():
    _, told = await context_of("GET", "/v2/studies/1.2/metadata", (*ALL, ("If-None-Match", 'W/"7", "8-2"')))
    assert [told.if_none_match.has(tag) for tag in ('"7"', 'W/"8-2"', '"9"')] == [True, True, False]

    _, told = await context_of("GET", "/v2/studies/1.2/metadata")
    assert not told.if_none_match.has('"7"')
