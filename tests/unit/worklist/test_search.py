"""Searches of the worklist (worklist §9, storage §11)."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dicomweb.query_parameters import parse_query
from shared.errors import TooLarge
from shared.index_search.limits import DEFAULT_LIMITS
from shared.workitems.workitem import created, without_transaction_uid
from shared.worklist.search.matching import is_match
from shared.worklist.search.transaction import WorklistSearch
from tests.builders.full_workitem import full
from tests.builders.worklist import Worklist, code, codes, element, new_workitem, parsed_search
from tests.fakes.tables import MemoryTableStore

SMALL = replace(DEFAULT_LIMITS, few=3, smallest_page=2, largest_page=8, distinct_values=3, rows_beside=4)


@pytest.mark.spec("WQ-5", "WQ-6", "WQ-12", "WQ-13")
@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("Modality=CT", "Invalid query: AttributeId Modality is not queryable. Queryable here: AdmissionID, "),
        ("TransactionUID=1.2", "Invalid query: AttributeId TransactionUID is not queryable."),
        ("ReferencedRequestSequence=x", "Invalid query: AttributeId ReferencedRequestSequence is not queryable."),
        ("PatientID=", "It has no value."),
        ("PatientID=1&00100020=1", "The attribute is given more than once."),
        ("PatientID=1&PatientID=1", "The attribute is given more than once."),
        ("NoSuchAttribute=1", "The query parameter 'NoSuchAttribute' is invalid."),
        ("a.b.c.d=1", "nested deeper"),
        ("ReferencedRequestSequence.Modality=CT", "not queryable"),
        ("00404005=-", "neither a value nor a range"),
        ("00404005=20260201-20260101", "The range ends before it starts."),
        ("00404005=20260131120000%2B0100", "neither a value nor a range"),
        ('PatientName="a&fuzzymatching=true', "quotation mark"),
        ("StudyInstanceUID=x", "It is not a UID"),
        ("limit=0", "The field Limit must be between 1 and 200."),
        ("limit=201", "The field Limit must be between 1 and 200."),
        ("limit=x", "Limit"),
        ("offset=-1", "Offset"),
        ("fuzzymatching=1", "FuzzyMatching"),
        ("orderby=PatientID", "OrderBy"),
        ("includefield=ReferencedRequestSequence.AccessionNumber", "IncludeField"),
        ("includefield=NoSuchAttribute", "IncludeField"),
        ("includefield=all,PatientName", "'all' stands alone."),
    ],
)
async def test_what_cannot_be_searched_for_is_refused(query, text):
    reply = await (await full()).send("GET", f"workitems?{query}")

    assert reply.status == 400
    assert text in reply.text


# ------------------------------------------------------------------------------------------------------------ results


@pytest.mark.spec("WQ-1", "WQ-9", "WQ-12")
@pytest.mark.parametrize("query", ["", "ProcedureStepState=SCHEDULED", "PatientID=P*", "PatientID=*P"])
async def test_results_are_newest_first_page_by_page(query):
    worklist = Worklist()
    uids = []
    for number in range(25):
        worklist.time.seconds += 1
        uids.append(await worklist.create(f"1.{number}", t00100020=element("LO", "P")))

    assert await worklist.find(query) == uids[::-1]
    paged = [uid for at in range(0, 30, 7) for uid in await worklist.find(f"{query}&limit=7&offset={at}")]
    assert paged == uids[::-1]
    assert (await worklist.send("GET", f"workitems?{query}&offset=25")).status == 204


@pytest.mark.spec("WQ-2", "WQ-1", "WL-6")
async def test_without_results_the_answer_is_empty():
    worklist = await full()

    reply = await worklist.send("GET", "workitems?PatientID=nobody")
    assert (reply.status, reply.body) == (204, b"")
    reply = await worklist.send("GET", "workitems?PatientID=P-1")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/dicom+json")


@pytest.mark.spec("WQ-4", "WQ-13", "WS-3")
async def test_results_have_the_default_attributes_those_matched_and_those_asked_for():
    worklist = await full()
    stored = await worklist.retrieve("1.2.3")

    async def returned(query):
        return (await worklist.send("GET", f"workitems?{query}")).json[0]

    plain = await returned("")
    assert {"00100010", "00741000", "0040A370"} <= plain.keys()
    assert not {"00404010", "00400400", "00404011", "00741216", "00741224"} & plain.keys()
    assert plain.items() <= stored.items()
    matched = await returned("ReplacedProcedureStepSequence.ReferencedSOPInstanceUID=1.55")
    assert matched.keys() - plain.keys() == {"00741224"}
    asked = await returned("includefield=00404010&includefield=CommentsOnTheScheduledProcedureStep,TransactionUID")
    assert asked.keys() - plain.keys() == {"00404010", "00400400"}
    assert await returned("includefield=all") == stored


@pytest.mark.spec("WQ-3")
async def test_a_workitem_that_changes_between_list_and_row_is_left_out():
    worklist = Worklist()
    for uid in ("1.1", "1.2"):
        worklist.time.seconds += 1
        await worklist.create(uid)
    once = ["1.2"]

    async def meanwhile(_kind, operation):
        if operation == "get" and once:
            assert (await worklist.change(once.pop(), "IN PROGRESS")).status == 200

    worklist.tables.before = meanwhile
    reply = await worklist.send("GET", "workitems?ProcedureStepState=SCHEDULED")

    assert reply.status == 206
    assert [each["00080018"]["Value"][0] for each in reply.json] == ["1.1"]
    assert (await worklist.send("GET", "workitems?ProcedureStepState=SCHEDULED")).status == 200


@pytest.mark.spec("WQ-3")
async def test_what_a_list_holds_beyond_the_matches_was_not_changed():
    worklist = Worklist()
    await worklist.create("1.1", t00741204=element("LO", "Nodule x"))
    await worklist.create("1.2", t00741204=element("LO", "Nodule xy"))

    reply = await worklist.send("GET", "workitems?ProcedureStepLabel=Nod*x")

    assert (reply.status, len(reply.json)) == (200, 1)


@pytest.mark.spec("WU-23", "WQ-8")
async def test_an_update_is_found_at_once_by_its_new_values_alone():
    worklist = await full()

    await worklist.update("1.2.3", {"00404025": codes("NAME9"), "0020000D": element("UI", "1.78")})

    assert await worklist.find("ScheduledStationNameCodeSequence.CodeValue=NAME9") == ["1.2.3"]
    assert await worklist.find("StudyInstanceUID=1.78") == ["1.2.3"]
    assert await worklist.find("ScheduledStationNameCodeSequence.CodeValue=NAME1") == []
    assert await worklist.find("StudyInstanceUID=1.77") == []
    worklist.check()


# --------------------------------------------------------------------------------------------------------------- cost


async def filled(count):
    """A worklist of `count` workitems, of which every search of WANTED finds the same."""
    worklist = Worklist()
    for number in range(count):
        rare = number % (count // 20) == 0
        attributes = without_transaction_uid(
            created(
                new_workitem(
                    t00100020=element("LO", f"P{number}"),
                    t00100010=element("PN", {"Alphabetic": f"Doe^{number}"}),
                    t00404005=element("DT", f"2026{number % 12 + 1:02}{number % 28 + 1:02}"),
                    t00404025=codes("RARE" if rare else f"S{number % 7}"),
                ),
                f"1.{number}",
                1e9 + number,
            )
        )
        worklist.time.seconds += 1
        await worklist.workitems.create("0", f"1.{number}", attributes)
    return worklist


WANTED = (
    "PatientID=P40",
    "PatientName=doe^40",
    "ProcedureStepState=SCHEDULED&limit=10",
    "limit=10",
    "ScheduledStationNameCodeSequence.CodeValue=RARE",
    "ScheduledStationNameCodeSequence.CodeValue=RARE&ProcedureStepState=SCHEDULED&limit=10",
    "ProcedureStepState=COMPLETED",
    "SOPInstanceUID=1.40",
)


async def costs(worklist):
    found = {}
    for query in WANTED:
        worklist.tables.requests = 0
        results = len(await worklist.find(query))
        found[query] = results, worklist.tables.requests
    return found


@pytest.mark.spec("WQ-14")
async def test_a_search_costs_the_same_in_few_and_in_many_workitems():
    few, many = await costs(await filled(100)), await costs(await filled(1600))

    assert few == many


@pytest.mark.spec("WQ-14")
async def test_what_no_list_serves_is_bounded():
    worklist = Worklist()
    for number in range(40):
        await worklist.create(f"1.{number}", t00100020=element("LO", f"P{number}"))
    limits = replace(SMALL, bounded_rows=20)
    worklist.search = WorklistSearch(worklist.tables, worklist.workitems, lambda: 0.0, limits)

    with pytest.raises(TooLarge):
        await worklist.search.page("0", parsed_search("PatientID=*x"))
    assert len((await worklist.search.page("0", parsed_search("PatientID=P1*"))).workitems) == 11


async def test_deep_pages_of_one_list_are_not_read():
    worklist = await filled(1000)
    worklist.tables.requests = 0

    assert await worklist.find("ProcedureStepState=SCHEDULED&offset=900&limit=5")
    assert worklist.tables.requests < 60


# ------------------------------------------------------------------------------- whatever lists, pages and bounds are

VALUES = ("a", "b", "ab", "B ")
QUERIES = st.sampled_from(
    [
        "PatientID=a",
        "PatientID=b*",
        "PatientID=*b",
        "PatientID=?",
        "ProcedureStepLabel=ab",
        "ProcedureStepLabel=a*",
        "ScheduledStationNameCodeSequence.CodeValue=a",
        "ScheduledStationNameCodeSequence.CodeValue=*b",
        "PatientName=a*",
        "PatientName=b&fuzzymatching=true",
        "00404005=20260102",
        "00404005=20260101-20260301",
        "00404005=2026-",
        'PatientID=""',
        "ScheduledStationNameCodeSequence.CodingSchemeDesignator=a",
        'ScheduledStationNameCodeSequence.CodingSchemeDesignator=""',
    ]
)


def schemed(chance):
    """A code that may have a scheme."""
    scheme = chance.choice([{}, {"00080102": element("SH", chance.choice(VALUES))}])
    return code(chance.choice(VALUES)) | scheme


@settings(deadline=None, max_examples=60)
@given(
    queries=st.lists(QUERIES, max_size=3),
    seed=st.integers(0, 1000),
    count=st.integers(0, 60),
    window=st.tuples(st.integers(1, 20), st.integers(0, 30)),
    pages=st.sampled_from([{}, {"page_limit": 3}, {"empty_page_every": 3}]),
)
async def test_a_search_finds_what_matches_and_nothing_else(queries, seed, count, window, pages):
    chance = random.Random(seed)
    worklist = Worklist(MemoryTableStore(**pages))
    stored = []
    for number in range(count):
        attributes = without_transaction_uid(
            created(
                new_workitem(
                    t00100010=element("PN", {"Alphabetic": chance.choice(VALUES)}),
                    t00741204=element("LO", chance.choice(VALUES)),
                    t00404005=element("DT", f"20260{chance.randrange(1, 5)}0{chance.randrange(1, 4)}"),
                    t00404025=element("SQ", *(schemed(chance) for _ in range(chance.randrange(3)))),
                    **chance.choice([{}, {"t00100020": element("LO", chance.choice(VALUES))}]),
                ),
                f"1.{number}",
                1e9,
            )
        )
        worklist.time.seconds += 1
        stored.append(await worklist.workitems.create("0", f"1.{number}", attributes))
    limit, offset = window
    unique = {query.partition("=")[0]: query for query in queries}
    query = parsed_search("&".join([*unique.values(), "emptyvaluematching=true", f"limit={limit}", f"offset={offset}"]))
    search = WorklistSearch(worklist.tables, worklist.workitems, lambda: 0.0, SMALL)

    page = await search.page("0", query)

    expected = [item.uid for item in reversed(stored) if is_match(item.attributes, query.filters)]
    assert [item.uid for item in page.workitems] == expected[offset : offset + limit]
    assert not page.changed


@pytest.mark.spec("WQ-12")
def test_a_search_has_a_hundred_results_unless_it_says_something_else():
    assert (parsed_search("").limit, parsed_search("").offset) == (100, 0)
    assert [parsed_search(f"limit={number}").limit for number in (1, 200)] == [1, 200]


def test_control_parameters_are_those_of_all_searches():
    assert parse_query("Limit=5&OFFSET=2").limit == parsed_search("Limit=5&OFFSET=2").limit == 5


async def test_long_values_are_found_too():
    worklist = Worklist()
    await worklist.create(t00741204=element("LO", "x" * 300 + "y"))

    assert await worklist.find(f"ProcedureStepLabel={'x' * 300}y") == ["1.2.3"]
    assert await worklist.find(f"ProcedureStepLabel={'x' * 300}z") == []
    assert await worklist.find("ProcedureStepLabel=*y") == ["1.2.3"]
