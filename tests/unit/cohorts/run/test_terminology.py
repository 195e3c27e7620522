"""Value sets that a terminology server expands (COH-38)."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from shared.cohorts.terminology import MOST, Terminology
from shared.fhir.client import FhirClient
from shared.outgoing.server import Answer
from tests.builders.cohort_runs import Site
from tests.builders.cohorts import SEED
from tests.builders.http import error
from tests.fakes.fhir import FakeFhirServer, outcome

URL = "http://example.org/fhir/ValueSet/bone-tumours"
SNOMED = "http://snomed.info/sct"
DEFINITION = {**SEED, "conditions": [{**SEED["conditions"][0], "code": {"expand": {"url": URL}}}]}


def entry(code: str, **more: Any) -> dict[str, Any]:
    return {"system": SNOMED, "code": code, **more}


def site(contains: list[dict[str, Any]], *, total: int | None = None, status: int = 200, page: int = 1000) -> Site:
    """A site whose terminology server has one value set."""
    server = FakeFhirServer(base="http://terminology.test/fhir")

    def expand(_method: str, target: str) -> Answer:
        assert urlsplit(target).path == "ValueSet/$expand"
        asked = parse_qs(urlsplit(target).query)
        assert asked["url"] == [URL]
        if status != 200:
            return Answer(status, {}, outcome("not-found"))
        offset = int(asked["offset"][0])
        expansion: dict[str, Any] = {"contains": contains[offset : offset + page]}
        if total is not None:
            expansion["total"] = total
        return Answer(200, {}, orjson.dumps({"resourceType": "ValueSet", "expansion": expansion}))

    server.fault = expand
    return Site(terminology=Terminology(FhirClient(server)))


@pytest.mark.spec("COH-38")
@pytest.mark.parametrize("page", [1, 1000])
async def test_an_expansion_stands_for_its_codes_and_the_manifest_lists_them(page):
    contains = [
        entry("1"),
        entry("307576001"),
        {"display": "a group", "contains": [entry("2")]},
        entry("3", abstract=True),
    ]
    total = len(contains) if page == 1 else 5
    made = site(contains, total=total, page=page)
    manifest = await made.found(DEFINITION)

    assert [each["id"] for each in manifest["patients"]] == [f"Patient/pat-{n}" for n in (1, 14, 2, 3, 9)]
    assert [each["code"] for each in manifest["valueSets"][URL]] == ["1", "2", "307576001"]
    assert manifest["definition"]["conditions"][0]["code"] == {"expand": {"url": URL}}


@pytest.mark.spec("COH-38", "COH-10")
async def test_the_searches_that_are_explained_have_the_codes_of_the_expansion():
    answer = await site([entry("307576001")]).ask("run_cohort", "POST", "/v2/cohorts?explain=true", DEFINITION)

    assert isinstance(answer.body, bytes)
    assert orjson.loads(answer.body)["searches"][0]["parameters"] == {"code": f"{SNOMED}|307576001"}


@pytest.mark.spec("COH-38", "AERR-3")
@pytest.mark.parametrize(
    ("made", "told"),
    [
        (Site(), "no terminology server"),
        (site([], status=404), "does not expand it (404)"),
        (site([]), "no codes"),
        (site([entry(str(number)) for number in range(MOST + 1)], total=MOST + 1), f"more than {MOST} codes"),
    ],
)
async def test_what_cannot_be_expanded_is_refused_by_its_place(made, told):
    status, text = error(await made.ask("run_cohort", "POST", "/v2/cohorts", DEFINITION))

    assert (status, "'conditions[0].code.expand.url'" in text, told in text) == (400, True, True), text
    assert await made.operations.active() == []


@pytest.mark.spec("COH-38", "COH-5")
async def test_an_expansion_that_ends_too_early_loses_nobody_silently():
    answer = await site([entry("307576001")], total=2).ask("run_cohort", "POST", "/v2/cohorts", DEFINITION)

    assert answer.status == 424
