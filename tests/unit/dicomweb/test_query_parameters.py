import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dicomweb.query_parameters import QueryParameters, pairs, parse_query
from shared.errors import InvalidRequest


@pytest.mark.spec("QIDO-5")
def test_names_and_values_are_decoded_and_trimmed_in_order():
    assert pairs("%20PatientName=%20Doe%5EJohn+&a=b+c&a=&PatientID") == [
        ("PatientName", "Doe^John"),
        ("a", "b c"),
        ("a", ""),
        ("PatientID", ""),
    ]


def test_an_empty_query_asks_for_the_first_hundred_of_everything():
    assert parse_query("") == QueryParameters(limit=100, offset=0, fuzzy_matching=False)


@pytest.mark.spec("QIDO-1")
def test_names_of_control_parameters_are_case_insensitive():
    query = parse_query("LIMIT=5&Offset=6&FuzzyMatching=TRUE&IncludeField=PatientName&EmptyValueMatching=true")

    assert (query.limit, query.offset, query.fuzzy_matching, query.empty_value_matching) == (5, 6, True, True)
    assert query.include_fields == ("PatientName",)
    assert query.keys == ()


@pytest.mark.spec("QIDO-5")
def test_what_is_no_control_parameter_is_a_matching_key_as_spelt():
    assert parse_query("00100010=x&limit=1&patientname=y&PatientName=").keys == (
        ("00100010", "x"),
        ("patientname", "y"),
        ("PatientName", ""),
    )


@pytest.mark.spec("ACC-6")
def test_the_accept_parameter_is_no_matching_key():
    assert parse_query("accept=application/json&Accept=x").keys == ()


def test_include_fields_may_be_repeated_and_separated_by_commas():
    query = parse_query("includefield=00081030%2C00080060&includefield=PatientName,%20Modality")

    assert query.include_fields == ("00081030", "00080060", "PatientName", "Modality")
    assert not query.include_all


@pytest.mark.spec("QIDO-32")
@pytest.mark.parametrize("text", ["all", "ALL", "PatientName,All"])
def test_all_is_recognised_in_any_case_and_beside_other_fields(text):
    query = parse_query(f"includefield={text}")

    assert query.include_all
    assert "all" not in [name.lower() for name in query.include_fields]


@pytest.mark.spec("QIDO-6", "MATCH-11")
@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "Limit"),
        ("limit=201", "Limit"),
        ("limit=-1", "Limit"),
        ("limit=", "Limit"),
        ("limit=ten", "Limit"),
        ("limit=1.5", "Limit"),
        ("limit=1_0", "Limit"),
        ("limit=5&Limit=5", "Limit"),
        ("offset=-1", "Offset"),
        ("offset=", "Offset"),
        ("offset=9223372036854775808", "Offset"),
        ("offset=x", "Offset"),
        ("offset=1&offset=2", "Offset"),
        ("fuzzymatching=", "FuzzyMatching"),
        ("fuzzymatching=1", "FuzzyMatching"),
        ("fuzzymatching=yes", "FuzzyMatching"),
        ("fuzzymatching=true&fuzzymatching=true", "FuzzyMatching"),
        ("emptyvaluematching=x", "EmptyValueMatching"),
        ("multiplevaluematching=0", "MultipleValueMatching"),
        ("includefield=", "IncludeField"),
        ("includefield=PatientName,", "IncludeField"),
    ],
)
def test_a_control_parameter_of_wrong_type_or_range_or_given_twice_is_refused(query, name):
    with pytest.raises(InvalidRequest, match=rf"^The query parameter '{name}' is invalid\. "):
        parse_query(query)


def test_the_refusal_of_a_limit_says_its_range():
    with pytest.raises(InvalidRequest) as refusal:
        parse_query("limit=500")

    assert str(refusal.value) == "The query parameter 'Limit' is invalid. The field Limit must be between 1 and 200."


@pytest.mark.parametrize(("query", "limit", "offset"), [("limit=1&offset=0", 1, 0), ("limit=200", 200, 0)])
def test_the_ends_of_the_ranges_are_allowed(query, limit, offset):
    assert (parse_query(query).limit, parse_query(query).offset) == (limit, offset)
    assert parse_query("offset=9223372036854775807").offset == 2**63 - 1


def test_broken_utf_8_is_refused():
    with pytest.raises(InvalidRequest):
        parse_query("PatientName=%ff%fe")


def test_a_flood_of_parameters_is_refused():
    with pytest.raises(InvalidRequest):
        parse_query("&".join(f"a{number}=1" for number in range(10_000)))


@given(st.text(max_size=60))
@settings(max_examples=150)
def test_any_text_is_read_or_refused_as_invalid(query):
    try:
        parsed = parse_query(query)
    except InvalidRequest:
        return

    assert 1 <= parsed.limit <= 200
