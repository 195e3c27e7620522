import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dicom import wildcards
from shared.dicom.key_values import attribute_match
from shared.dicom.matching import AnyOf, Between, Empty, Equal, Universal, literal_prefix
from shared.errors import InvalidRequest


def matches(vr: str, value: str, text: str | None, **options) -> bool:
    return attribute_match(vr, value, **options).matches(text)


# ----------------------------------------------------------------------------------------------------------- text


@pytest.mark.spec("MATCH-2", "MATCH-9", "IDX-6", "CON-8")
@pytest.mark.parametrize(
    ("vr", "value", "text", "expected"),
    [
        ("LO", "abc", "ABC", True),
        ("LO", "ABC", "abc ", True),
        ("CS", "X", "X\0", True),
        ("CS", "X\0", "X", True),
        ("CS", "X", "X \0 ", True),
        ("LO", "abc", "abcd", False),
        ("LO", "abc", "ab", False),
        ("LO", "résumé", "RÉSUMÉ", True),
        ("LO", "resume", "résumé", False),
        ("LO", "abc", None, False),
        ("SH", "A.C", "ABC", False),
        ("AS", "010Y", "010y", True),
        ("AS", "01?Y", "010Y", False),
        ("UI", "1.2.3", "1.2.3\0", True),
        ("UI", "1.2.3", "1.2.3 ", True),
        ("UI", "1.2.4", "1.2.3", False),
    ],
)
def test_text_is_compared_as_a_whole_without_case_and_padding(vr, value, text, expected):
    assert matches(vr, value, text) is expected


@pytest.mark.spec("QIDO-3")
@pytest.mark.parametrize("value", ["nonsense", "1.2.", "1.2.*", "1.2,x", "1.2\\abc", "1" * 65])
def test_what_is_no_uid_is_refused_instead_of_finding_nothing(value):
    with pytest.raises(InvalidRequest, match="It is not a UID: 1 to 64 digits and dots"):
        attribute_match("UI", value)


@pytest.mark.spec("MATCH-2")
@pytest.mark.parametrize("vr", ["AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"])
@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ("ab*", "ABC", True),
        ("ab*", "AB", True),
        ("ab*", "xab", False),
        ("*bc", "ABC", True),
        ("*b*", "abc", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("a*b*c", "a--b--b--c", True),
        ("a*b*c", "a--c--b", False),
        ("a*b*b", "ab", False),
        ("[a]*", "[a]bc", True),
        ("[a]*", "abc", False),
        ("*", None, True),
        ("***", "", True),
        ("?*", "", False),
        ("?*", "x", True),
    ],
)
def test_wildcards_stand_for_any_run_and_for_one_character(vr, value, text, expected):
    assert matches(vr, value, text) is expected


@given(
    pattern=st.text("ab*?", min_size=1, max_size=8),
    text=st.text("ab", max_size=8),
)
@settings(max_examples=200)
def test_a_wildcard_matches_exactly_what_its_definition_says(pattern, text):
    def fits(pattern: str, text: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "*":
            return any(fits(pattern[1:], text[skipped:]) for skipped in range(len(text) + 1))
        return bool(text) and pattern[0] in ("?", text[0]) and fits(pattern[1:], text[1:])

    assert matches("LO", pattern, text) is fits(pattern, text)


def test_a_hostile_pattern_is_answered_at_once():
    """With a backtracking matcher this would take longer than the universe has existed."""
    assert not matches("UT", "*a" * 40 + "b", "a" * 10_000)


@pytest.mark.spec("MATCH-2", "W-14")
@pytest.mark.parametrize("vr", ["UI", "DA", "IS", "PN", "TM", "DT", "FD", "CS"])
def test_an_asterisk_alone_matches_an_absent_attribute_whatever_the_vr(vr):
    assert attribute_match(vr, "*") == Universal()
    assert matches(vr, "*", None)


def test_what_stands_before_the_first_wildcard_is_the_literal_prefix():
    assert literal_prefix("ab?c*") == "ab"
    assert literal_prefix("*ab") == ""
    assert literal_prefix("ab") == "ab"


@pytest.mark.spec("MATCH-2")
@pytest.mark.parametrize("vr", ["SQ", "OB", "UN", "AT"])
def test_other_vrs_cannot_be_matched(vr):
    with pytest.raises(InvalidRequest):
        attribute_match(vr, "x")


# ---------------------------------------------------------------------------------------------------------- lists


@pytest.mark.spec("MATCH-3")
@pytest.mark.parametrize("value", ["1.2,1.3", "1.2\\1.3", " 1.2 , 1.3 ", "1.2,,1.3"])
def test_a_list_of_uids_matches_any_of_them(value):
    assert matches("UI", value, "1.2")
    assert matches("UI", value, "1.3\0")
    assert not matches("UI", value, "1.2,1.3")
    assert not matches("UI", value, "1")


def test_a_list_of_one_is_that_one():
    assert attribute_match("UI", "1.2,") == Equal("1.2")


def test_a_list_of_nothing_matches_nothing():
    assert attribute_match("UI", ",") == AnyOf(())
    assert not matches("UI", ",", None)


@pytest.mark.spec("MATCH-8")
def test_codes_are_lists_where_the_caller_says_so():
    assert matches("CS", "CT,MR", "mr", list_separator=",")
    assert not matches("CS", "CT,MR", "mr")


@pytest.mark.spec("MATCH-11")
def test_multiple_value_matching_separates_values_by_backslashes():
    assert matches("LO", "a\\b", "B", multiple_values=True)
    assert not matches("LO", "a\\b", "B")
    assert matches("DA", "20200101\\20210101-", "20220101", multiple_values=True)
    assert attribute_match("LO", "a\\*", multiple_values=True) == Universal()


@pytest.mark.spec("MATCH-11")
@pytest.mark.parametrize(
    ("text", "expected"), [(None, True), ("", True), ("  ", True), ("\0", True), ("x", False), ('""', False)]
)
def test_empty_value_matching_finds_what_is_absent_or_empty(text, expected):
    assert matches("LO", '""', text, empty_value=True) is expected


@pytest.mark.spec("MATCH-11", "MATCH-6")
def test_empty_value_matching_concerns_fuzzy_names_too():
    assert attribute_match("PN", '""', empty_value=True, fuzzy=True) == Empty()


def test_without_empty_value_matching_two_quotation_marks_are_text():
    assert matches("LO", '""', '""')
    assert not matches("LO", '""', None)


# ------------------------------------------------------------------------------------------------ dates and times


@pytest.mark.spec("MATCH-1", "W-14", "D-40")
@pytest.mark.parametrize(
    ("vr", "value", "text", "expected"),
    [
        ("DA", "20200229", "20200229", True),
        ("DA", "20200229", "20200229 ", True),
        ("DA", "20200229", "20200228", False),
        ("DA", "20200101-20201231", "20200101", True),
        ("DA", "20200101-20201231", "20201231", True),
        ("DA", "20200101-20201231", "20210101", False),
        ("DA", "20200101-20200101", "20200101", True),
        ("DA", "20200101-", "99991231", True),
        ("DA", "20200101-", "20191231", False),
        ("DA", "-20200101", "00010101", True),
        ("DA", "-20200101", "20200102", False),
        ("DA", "20200101", "2020.01.01", False),
        ("DA", "20200101-", "20200230", False),
        ("DA", "20200101", None, False),
        ("TM", "10", "10", True),
        ("TM", "10", "105959.999999", True),
        ("TM", "10", "110000", False),
        ("TM", "1030", "103059", True),
        ("TM", "103015", "103015.5", True),
        ("TM", "103015.5", "103015.51", True),
        ("TM", "103015.50", "103015.51", False),
        ("TM", "-10", "105959", True),
        ("TM", "-10", "11", False),
        ("TM", "2330-", "235959.9", True),
        ("TM", "0000-0030", "000000", True),
        ("TM", "10", "10:30:00", False),
        ("TM", "2359", "235960", True),
        ("DT", "20161231", "20161231235960", True),
        ("DT", "2020", "20200615103000.5", True),
        ("DT", "202006", "20200630235959", True),
        ("DT", "202006", "202007", False),
        ("DT", "-2020", "20201231235959.999999", True),
        ("DT", "-2020", "2021", False),
        ("DT", "2020010112-2020010113", "20200101135959", True),
        ("DT", "20200101120000", "20200101120000+0500", True),
        ("DT", "20200101", "20200101", True),
        ("DT", "2020010110-", "20200101", False),
    ],
)
def test_dates_and_times_match_by_their_periods(vr, value, text, expected):
    assert matches(vr, value, text) is expected


@pytest.mark.spec("MATCH-1")
@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("DA", "-"),
        ("DA", "2020-01-02"),
        ("DA", "20200230"),
        ("DA", "20201301"),
        ("DA", "00000101"),
        ("DA", "202001"),
        ("DA", "NotADate"),
        ("DA", "20200102-20200101"),
        ("DA", "20200102-x"),
        ("DA", "٢٠٢٠٠١٠١"),
        ("TM", "24"),
        ("TM", "1060"),
        ("TM", "103061"),
        ("TM", "1"),
        ("TM", "11-10"),
        ("TM", "10:30"),
        ("TM", "103000.1234567"),
        ("DT", "20200101120000+0100"),
        ("DT", "20200101120000-0100"),
        ("DT", "202013"),
        ("DT", "2020010124"),
        ("DT", "20"),
        ("DT", "2021-2020"),
    ],
)
def test_what_is_no_date_time_or_range_is_refused(vr, value):
    with pytest.raises(InvalidRequest) as refusal:
        attribute_match(vr, value)

    assert value == "-" or value not in str(refusal.value)
    notation = {"DA": "YYYYMMDD-YYYYMMDD", "TM": "HHMMSS-HHMMSS", "DT": "YYYYMMDDHHMMSS"}[vr]
    assert notation in str(refusal.value) or str(refusal.value) == "The range ends before it starts."


def test_ranges_name_their_ends():
    assert attribute_match("DA", "20200101 - 20200131") == Between("DA", "20200101", "20200131")
    assert attribute_match("DA", "-20200131") == Between("DA", "", "20200131")
    assert attribute_match("DA", "20200101-") == Between("DA", "20200101", "~")


# -------------------------------------------------------------------------------------------------------- numbers


@pytest.mark.spec("MATCH-2")
@pytest.mark.parametrize(
    ("vr", "value", "text", "expected"),
    [
        ("IS", "3", "0003", True),
        ("IS", "+3", "3 ", True),
        ("IS", "3", "4", False),
        ("IS", "3", "three", False),
        ("US", "65535", "65535", True),
        ("SS", "-1", "-1", True),
        ("UV", "18446744073709551615", "18446744073709551615", True),
        ("FD", "1.50", "1.5", True),
        ("FD", "1e3", "1000", True),
        ("FD", "0.1", "0.10000000149011612", False),
        ("FL", "0.1", "0.10000000149011612", True),
        ("FL", "1e300", "1.0", False),
        ("FL", ".5", "0.5", True),
        ("DS", "1.0", "1", True),
        ("DS", "abc", "ABC", True),
        ("DS", "1.0", None, False),
    ],
)
def test_numbers_are_compared_by_value(vr, value, text, expected):
    assert matches(vr, value, text) is expected


@pytest.mark.spec("MATCH-2")
@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("IS", "1.5"),
        ("IS", "x"),
        ("US", "1_0"),
        ("SL", "99999999999999999999"),
        ("UL", ""),
        ("FD", "one"),
        ("FL", "nan"),
        ("FD", "inf"),
        ("FD", "1e999"),
        ("FD", "1,5"),
    ],
)
def test_what_is_no_number_is_refused(vr, value):
    with pytest.raises(InvalidRequest):
        attribute_match(vr, value)


@given(
    vr=st.sampled_from(["LO", "UI", "PN", "DA", "TM", "DT", "IS", "DS", "FL", "CS"]),
    value=st.text(max_size=30),
    text=st.none() | st.text(max_size=30),
    fuzzy=st.booleans(),
    several=st.booleans(),
)
@settings(max_examples=200)
def test_any_key_is_refused_as_invalid_or_gives_an_answer(vr, value, text, fuzzy, several):
    try:
        match = attribute_match(vr, value, fuzzy=fuzzy, multiple_values=several, empty_value=several)
    except InvalidRequest:
        return

    assert match.matches(text) in (True, False)


# ----------------------------------------------------------------------------------------------------------- cost


def test_a_long_text_of_digits_that_is_no_number_is_looked_at_once():
    """Each digit tried as the last one before the point, this would take days."""
    with pytest.raises(InvalidRequest):
        attribute_match("FD", "1" * 1_000_000 + "x")
    assert not matches("FD", "1", "1" * 1_000_000 + "x")
    assert matches("FD", "15", "1.5E+1")


@pytest.mark.spec("MATCH-2")
def test_a_pattern_longer_than_the_values_is_never_compiled():
    before = wildcards._expression.cache_info().misses
    for pattern in ("*a" * 4000, "?" * 200, "a" * 100 + "*", "*b" * 65):
        assert not matches("LO", pattern, "a" * 64)
        assert not matches("PN", f"{pattern}^*^^^^^^^^^^^^^^", "a" * 64)
    assert wildcards._expression.cache_info().misses == before
    assert matches("LO", "*a" * 64, "a" * 64)
    assert matches("PN", "a*^b?^", "Abc^BB")


@pytest.mark.spec("MATCH-3", "MATCH-11")
def test_values_of_a_list_are_looked_up_not_compared():
    values = [f"1.{number}" for number in range(1, 1001)]
    found = attribute_match("UI", ",".join(values))
    assert found.alternatives == tuple(map(Equal, values))
    assert found._others == ()
    assert [found.matches(text) for text in ("1.999", "1.1000\0", "1.1001", None)] == [True, True, False, False]
    assert found == AnyOf(found.alternatives)


@pytest.mark.spec("MATCH-12")
@pytest.mark.parametrize(
    ("vr", "value", "count"),
    [("LO", "{}", 1000), ("LO", "a{}*", 128), ("PN", "{}", 128), ("DT", "{:04}", 128), ("IS", "{}", 128)],
)
def test_a_list_has_so_many_values_and_no_more(vr, value, count):
    def listed(number):
        return attribute_match(vr, "\\".join(value.format(n + 1) for n in range(number)), multiple_values=True)

    assert len(listed(count).alternatives) == count
    with pytest.raises(InvalidRequest, match="Send several searches"):
        listed(count + 1)
