import pytest

from shared.dicomweb.query_parameters import parse_query
from shared.dicomweb.versions import ApiVersion
from shared.index_schema.schema import BUILT_IN
from shared.index_search.extents import Extent, judges_by_list, smallest, to_merge
from shared.index_search.limits import DEFAULT_LIMITS as LIMITS
from shared.index_search.sources import DistinctValues, ListUnion, PostingList, Span
from shared.search.planner import Plan, plan
from shared.search.request import parse_search


def planned(query: str, resource: str = "search_studies", **route: str) -> Plan:
    return plan(parse_search(resource, route, parse_query(query), ApiVersion.V2, BUILT_IN))


def only_source(query: str, resource: str = "search_studies") -> ListUnion:
    found = planned(query, resource)
    assert found.unserved == ()
    assert found.studies is None
    assert len(found.sources) == 1
    return found.sources[0]


def test_without_keys_the_list_of_all_studies_is_walked_and_says_it_all():
    assert planned("") == Plan(exact=True)
    assert planned("PatientID=*") == Plan(exact=True)


def test_of_a_study_in_the_path_only_its_rows_are_read():
    assert planned("Modality=CT", "search_study_series", study="1.2") == Plan(studies=("1.2",))
    assert planned("", "search_series_instances", study="1.2", series="1.3") == Plan(studies=("1.2",))


@pytest.mark.spec("MATCH-3")
def test_studies_that_are_named_are_read():
    assert planned("StudyInstanceUID=1.2,1.3&PatientName=*x*").studies == ("1.2", "1.3")


@pytest.mark.parametrize(
    "query", ["StudyInstanceUID=,", "PatientName=%5E", 'StudyInstanceUID=""&emptyvaluematching=true']
)
def test_what_nothing_can_match_reads_nothing(query):
    assert planned(query).studies == ()


@pytest.mark.parametrize(
    ("query", "resource", "lists"),
    [
        ("PatientID=A%20B", "search_studies", [("pi", "a~20b")]),
        ("AccessionNumber=X1", "search_studies", [("an", "x1")]),
        ("StudyID=7", "search_studies", [("si", "7")]),
        ("StudyDescription=Chest", "search_studies", [("ds", "chest")]),
        ("PatientName=Doe%5EJohn", "search_studies", [("pn", "doe^john")]),
        ("ReferringPhysicianName=M%C3%BCller%5E", "search_studies", [("rn", "muller")]),
        ("StudyDate=20200131", "search_studies", [("sd", "d20200131")]),
        ("PatientBirthDate=20200131-20200131", "search_studies", [("bd", "d20200131")]),
        ("ModalitiesInStudy=CT%2CMR", "search_studies", [("mo", "ct"), ("mo", "mr")]),
        ("Modality=CT,CT", "search_series", [("mo", "ct")]),
        ("ManufacturerModelName=x", "search_series", [("mm", "x")]),
        ("SeriesInstanceUID=1.2", "search_series", [("su", "1.2")]),
        ("00400275.00401001=R1", "search_series", [("rp", "r1")]),
        ("RequestAttributesSequence.ScheduledProcedureStepID=S1", "search_series", [("ps", "s1")]),
        ("PatientName=smi&fuzzymatching=true", "search_studies", [("pe", "smi")]),
        ("PatientName=sm*", "search_studies", [("pe", "sm")]),
        ("PatientName=*%5Ejo*", "search_studies", [("pe", "jo")]),
    ],
)
def test_a_value_is_one_sorted_list(query, resource, lists):
    assert only_source(query, resource).parts == tuple(PostingList(*item) for item in lists)


def test_instances_have_their_own_table():
    assert only_source("SOPInstanceUID=1.2", "search_instances") == ListUnion((PostingList("iu", "1.2"),), 0, "idxi")


def test_numbers_are_looked_up_by_value():
    assert only_source("SeriesNumber=3", "search_series") == only_source("SeriesNumber=0003", "search_series")


@pytest.mark.spec("MATCH-1")
def test_a_range_of_dates_is_a_span_covered_by_periods():
    assert only_source("StudyDate=20150101-20161231").parts == (
        Span("sd!d20150101", 'sd!d20161231"', (PostingList("sd", "y2015"), PostingList("sd", "y2016"))),
    )
    (part,) = only_source("StudyDate=20261001-").parts
    assert isinstance(part, Span)
    assert (part.low, part.high) == ("sd!d20261001", 'sd!d~"')
    assert part.cover[-1] == DistinctValues("sd!x203!", 'sd!x999"')


def test_a_range_of_times_is_a_span_covered_by_hours():
    (part,) = only_source("StudyTime=0930-11").parts

    assert part == Span(
        "st!t093000000000",
        'st!t115960999999"',
        (PostingList("st", "h09"), PostingList("st", "h10"), PostingList("st", "h11")),
    )


@pytest.mark.spec("MATCH-2")
def test_a_prefix_is_a_span_or_the_lists_of_its_values():
    (part,) = only_source("StudyDescription=Chest*").parts

    low, high = "ds!chest", "ds!chest\ud7ff"
    assert part == Span(low, high, (DistinctValues(low, high),))


@pytest.mark.spec("MATCH-5")
def test_long_words_of_names_are_spans_covered_by_their_first_letters():
    found = planned("PatientName=smith%20jo&fuzzymatching=true")

    assert [source.parts for source in found.sources] == [
        (Span("pt!smith", "pt!smith\ud7ff", (PostingList("pe", "smi"),)),),
        (PostingList("pe", "jo"),),
    ]


@pytest.mark.parametrize(
    "query",
    [
        "PatientName=*smi*",
        "PatientName=*smi*&fuzzymatching=true",
        "PatientID=*1",
        "StudyDescription=?x",
        'AccessionNumber=""&emptyvaluematching=true',
        "StudyDescription=a\\*b&multiplevaluematching=true",
    ],
)
@pytest.mark.spec("MATCH-2", "MATCH-11")
def test_what_no_list_serves_is_judged_on_rows(query):
    found = planned(query)

    assert found.sources == ()
    assert found.bounded
    assert not found.exact


def test_a_key_of_very_many_values_is_judged_on_rows():
    values = "%5C".join(map(str, range(129)))

    assert planned(f"PatientID={values}&multiplevaluematching=true").sources == ()


def test_keys_that_lists_serve_come_with_those_that_none_does():
    found = planned("PatientName=*smi*&StudyDate=20200101&PatientID=x")

    assert [source.parts[0].code for source in found.sources] == ["pi", "sd"]
    assert [item.key for item in found.unserved] == ["00100010"]


@pytest.mark.parametrize(
    ("query", "exact"),
    [
        ("PatientID=x", True),
        ("StudyDate=20200101", True),
        ("StudyDate=20200101-20200131", False),
        ("PatientID=x*", False),
        ("PatientID=x&StudyDate=20200101", False),
        ("ModalitiesInStudy=CT,MR", False),
    ],
)
def test_one_list_of_one_value_says_it_all(query, exact):
    assert planned(query).exact is exact


def test_few_studies_are_found_in_the_shortest_list_that_is_wholly_known():
    assert smallest([Extent(64, False, 1), Extent(300, True, 1), Extent(12, True, 9)], LIMITS) == 2
    assert smallest([Extent(64, False, 1), Extent(301, True, 1)], LIMITS) is None


def test_a_list_that_is_dense_beside_the_sparsest_is_left_out():
    sparse, similar, dense = Extent(64, False, 0.001), Extent(64, False, 0.002), Extent(64, False, 10.0)

    assert to_merge([dense, sparse, similar], need=101, shards=16, limits=LIMITS) == [1, 2]
    assert to_merge([dense, similar], need=101, shards=16, limits=LIMITS) == [1]
    assert to_merge([dense], need=101, shards=16, limits=LIMITS) == [0]
    assert to_merge([sparse, Extent(900, True, 10.0)], need=101, shards=16, limits=LIMITS) == [0, 1]


def test_candidates_are_judged_by_the_list_of_all_studies_while_few_rows_lie_between():
    assert judges_by_list(Extent(64, False, 0.1), Extent(64, False, 1.0), LIMITS)
    assert not judges_by_list(Extent(64, False, 0.001), Extent(64, False, 1.0), LIMITS)
    assert judges_by_list(Extent(400, True, 0.001), Extent(500, True, 1.0), LIMITS)
