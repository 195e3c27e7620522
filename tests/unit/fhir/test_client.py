"""The FHIR client on a server in memory."""

import itertools

import orjson
import pytest

from shared.errors import DependencyRefused, Unavailable
from shared.fhir import client
from shared.fhir.client import FhirClient, Retry
from shared.fhir.resources import token
from shared.fhir.transaction import Entry, create
from shared.outgoing.failures import Failure, RequestFailed, request_failed
from shared.outgoing.server import Answer
from tests.fakes.fhir import FakeFhirServer, outcome

PATIENT = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "a,b|c$d\\e"}]}


async def test_a_search_finds_an_identifier_with_every_special_character() -> None:
    server = FakeFhirServer()
    server.put(PATIENT)
    server.put({**PATIENT, "identifier": [{"system": "urn:x", "value": "a"}]})
    found = await FhirClient(server).search("Patient", [("identifier", token("urn:x", "a,b|c$d\\e"))])
    assert [each["identifier"] for each in found] == [PATIENT["identifier"]]


async def test_searches_name_no_patient_in_their_address() -> None:
    server = FakeFhirServer()
    await FhirClient(server).search("Patient", [("identifier", token("urn:x", "secret"))])
    assert [target for _, target, _, _ in server.sent] == ["Patient/_search"]


async def test_a_server_without_searches_by_post_is_asked_by_get() -> None:
    server = FakeFhirServer(posts=False)
    server.put(PATIENT)
    client = FhirClient(server)
    for _ in range(2):
        assert len(await client.search("Patient", [("identifier", "urn:x|")])) == 1
    assert [method for method, *_ in server.sent] == ["POST", "GET", "GET"]


@pytest.mark.spec("CAST-SR-2")
async def test_all_pages_are_read_and_only_matches_taken() -> None:
    server = FakeFhirServer(page=3)
    for number in range(10):
        server.put({"resourceType": "Patient", "id": str(number)})
    found = await FhirClient(server).search("Patient", [])
    assert sorted(each["id"] for each in found) == [str(number) for number in range(10)]


async def test_pages_in_a_circle_come_to_an_end() -> None:
    server = FakeFhirServer()
    page = b'{"resourceType":"Bundle","link":[{"relation":"next","url":"Patient?x"}]}'
    server.fault = lambda _method, _target: Answer(200, {}, page)
    with pytest.raises(RequestFailed) as raised:
        await FhirClient(server).search("Patient", [])
    assert raised.value.failure is Failure.UNUSABLE


@pytest.mark.parametrize(("pages", "size"), [(5, 10**9), (10**9, 500)])
async def test_pages_without_end_come_to_one(monkeypatch: pytest.MonkeyPatch, pages: int, size: int) -> None:
    monkeypatch.setattr(client, "_PAGES_TOGETHER", pages)
    monkeypatch.setattr(client, "MOST_BYTES", size)
    server, numbers = FakeFhirServer(), itertools.count()

    def page(_method: str, _target: str) -> Answer:
        following = {"relation": "next", "url": f"Patient?page={next(numbers)}"}
        return Answer(
            200, {}, orjson.dumps({"resourceType": "Bundle", "link": [following], "entry": [{"resource": PATIENT}]})
        )

    server.fault = page
    with pytest.raises(RequestFailed) as raised:
        await FhirClient(server).search("Patient", [])
    assert raised.value.failure is Failure.UNUSABLE
    assert next(numbers) <= 7
    found = FhirClient(server).pages("Patient", [])  # who holds one page at a time may read on
    assert [len((await anext(found)).matches) for _ in range(8)] == [1] * 8


@pytest.mark.parametrize(
    "answer", [b'{"a":' + b"[" * 300_000, b"[" + b"[]," * 1_100_000 + b"[]]", b'{"n":' + b"9" * 300_000 + b"1e99999}"]
)
async def test_a_document_that_is_a_bomb_is_unusable(answer: bytes) -> None:
    server = FakeFhirServer()
    server.fault = lambda _method, _target: Answer(200, {}, answer)
    with pytest.raises(RequestFailed) as raised:
        await FhirClient(server).search("Patient", [])
    assert raised.value.failure is Failure.UNUSABLE


@pytest.mark.spec("CAST-SR-3")
async def test_a_server_that_refuses_to_be_strict_is_asked_once_more() -> None:
    server = FakeFhirServer()
    server.strict_refused = True
    server.put(PATIENT)
    pages = [page async for page in FhirClient(server).pages("Patient", [("identifier", "urn:x|")])]
    assert [(len(page.matches), page.strict) for page in pages] == [(1, False)]
    with pytest.raises(DependencyRefused):
        await FhirClient(server).search("Patient", [], handling="strict")


async def test_reads_are_repeated_as_told_and_writes_never() -> None:
    server = FakeFhirServer()
    client = FhirClient(server, retry=Retry(attempts=3, seconds=0.0))
    server.fault = lambda _method, _target: Answer(503, {}, b"")
    with pytest.raises(Unavailable):
        await client.search("Patient", [])
    assert server.requests == 3
    with pytest.raises(Unavailable):
        await client.transaction([create(PATIENT, "")])
    assert server.requests == 4


async def test_a_failure_carries_the_outcome_and_never_shows_it() -> None:
    server = FakeFhirServer()
    server.fault = lambda _method, _target: Answer(422, {}, outcome("invalid"))
    with pytest.raises(RequestFailed) as raised:
        await FhirClient(server).create(PATIENT)
    assert raised.value.failure is Failure.REFUSED
    assert raised.value.outcome is not None
    assert "told why" not in str(raised.value)


async def test_what_is_read_is_there_or_not() -> None:
    server = FakeFhirServer()
    stored = server.put(PATIENT)
    client = FhirClient(server)
    assert await client.read("Patient", stored["id"]) == stored
    assert await client.read("Patient", "other") is None


async def test_a_conditional_create_tells_whether_it_created() -> None:
    client = FhirClient(FakeFhirServer())
    first, created = await client.create(PATIENT, if_none_exist="identifier=urn:x|")
    again, repeated = await client.create(PATIENT, if_none_exist="identifier=urn:x|")
    assert (created, repeated, first["id"] == again["id"]) == (True, False, True)


async def test_an_update_of_another_version_is_a_race() -> None:
    server = FakeFhirServer()
    stored = server.put(PATIENT)
    client = FhirClient(server)
    assert (await client.update(stored, if_match="1"))["meta"]["versionId"] == "2"
    with pytest.raises(RequestFailed) as raised:
        await client.update(stored, if_match="1")
    assert raised.value.failure is Failure.RACE


async def test_a_transaction_does_all_or_nothing() -> None:
    server = FakeFhirServer()
    stored = server.put(PATIENT)
    client = FhirClient(server)
    stale = Entry("PUT", f"Patient/{stored['id']}", stored, if_match="7")
    with pytest.raises(RequestFailed):
        await client.transaction([create({"resourceType": "Endpoint"}, ""), stale])
    assert server.all("Endpoint") == []
    first = create({"resourceType": "Endpoint"}, "")
    second = create({"resourceType": "ImagingStudy", "endpoint": [{"reference": first.full_url}]}, "")
    answers = await client.transaction([first, second])
    assert [answer.status for answer in answers] == [201, 201]
    (endpoint,) = server.all("Endpoint")
    assert server.all("ImagingStudy")[0]["endpoint"] == [{"reference": f"Endpoint/{endpoint['id']}"}]


@pytest.mark.parametrize("answer", [b"[]", b"{", b'{"resourceType":"Bundle","type":"transaction-response"}'])
async def test_an_answer_of_another_form_is_unusable(answer: bytes) -> None:
    server = FakeFhirServer()
    server.fault = lambda _method, _target: Answer(200, {}, answer)
    with pytest.raises(RequestFailed) as raised:
        await FhirClient(server).transaction([create(PATIENT, "")])
    assert raised.value.failure is Failure.UNUSABLE


@pytest.mark.parametrize(
    ("status", "method", "failure"),
    [
        ("204", "DELETE", None),
        ("200 OK", "DELETE", None),
        ("404", "DELETE", None),
        ("410 Gone", "DELETE", None),
        ("404", "PUT", Failure.REFUSED),
        ("412 x", "PUT", Failure.RACE),
        ("409", "DELETE", Failure.CONFLICT),
        ("2000", "PUT", Failure.UNUSABLE),
        ("fine", "PUT", Failure.UNUSABLE),
    ],
)
async def test_each_entry_must_have_succeeded(status: str, method: str, failure: Failure | None) -> None:
    server = FakeFhirServer()
    body = f'{{"resourceType":"Bundle","type":"transaction-response","entry":[{{"response":{{"status":"{status}"}}}}]}}'
    server.fault = lambda _method, _target: Answer(200, {}, body.encode())
    entry = Entry(method, "Patient/1", None if method == "DELETE" else PATIENT)
    if failure is None:
        assert len(await FhirClient(server).transaction([entry])) == 1
        return
    with pytest.raises(RequestFailed) as raised:
        await FhirClient(server).transaction([entry])
    assert raised.value.failure is failure


async def test_a_lost_connection_is_told_as_it_is() -> None:
    server = FakeFhirServer()
    server.fault = lambda _method, _target: request_failed(Failure.UNAVAILABLE, "away")
    with pytest.raises(Unavailable):
        await FhirClient(server).capabilities()
