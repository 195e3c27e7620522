from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.change_feed.request import SequenceWindow, TimeWindow, parse_include_metadata, parse_window
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest

V1, V2 = ApiVersion.V1, ApiVersion.V2


def refusal(query: str, version: ApiVersion = V2) -> str:
    with pytest.raises(InvalidRequest) as refused:
        parse_window(query, version)
    return str(refused.value)


def start(text: str) -> datetime | None:
    window = parse_window(f"startTime={text}", V2)
    assert isinstance(window, TimeWindow)
    return window.start


@pytest.mark.spec("CF-1", "CF-2", "CF-3", "CF-4", "CF-5")
def test_what_is_not_said_has_a_default():
    assert parse_window("", V1) == SequenceWindow(after=0, limit=10, metadata=True)
    assert parse_window("", V2) == TimeWindow(None, None, offset=0, limit=100, metadata=True)


@pytest.mark.spec("CF-1", "CF-2", "CF-5", "GEN-6", "GEN-16")
def test_names_and_booleans_are_read_in_any_case():
    assert parse_window("OFFSET=7&Limit=100&includemetadata=FALSE", V1) == SequenceWindow(7, 100, metadata=False)
    window = parse_window("offset=7&limit=200&includeMetadata=True&STARTTIME=2026-01-02T03:04:05Z", V2)
    assert window == TimeWindow(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), None, 7, 200, metadata=True)


@pytest.mark.spec("CF-3", "CF-4", "CF-19")
def test_v1_ignores_what_it_does_not_know():
    assert parse_window("startTime=nonsense&endTime=&else=1", V1) == SequenceWindow(0, 10, metadata=True)
    assert parse_window("else=1&else=2", V2) == TimeWindow(None, None, 0, 100, metadata=True)


@pytest.mark.spec("CF-2", "CF-15", "AERR-4", "GEN-30")
@pytest.mark.parametrize(("version", "most"), [(V1, 100), (V2, 200)])
def test_a_limit_out_of_range_is_refused_in_the_words_that_clients_know(version, most):
    text = f"The query parameter 'Limit' is invalid. The field Limit must be between 1 and {most}."
    for limit in (0, -1, most + 1, 10**25):
        assert refusal(f"limit={limit}", version) == text
    assert parse_window(f"limit={most}", version).limit == most


@pytest.mark.spec("CF-1", "CF-15")
@pytest.mark.parametrize("version", [V1, V2])
def test_an_offset_is_a_positive_64_bit_integer(version):
    for offset in ("-1", str(2**63), "x", "1.5", "", "0x1", "٣"):
        assert refusal(f"offset={offset}", version).startswith("The query parameter 'Offset' is invalid.")
    parse_window(f"offset={2**63 - 1}", version)


@pytest.mark.spec("CF-15", "GEN-16")
@pytest.mark.parametrize("value", ["0", "1", "yes", "", "truee"])
def test_only_true_and_false_are_booleans(value):
    for version in (V1, V2):
        assert refusal(f"includeMetadata={value}", version).startswith("The query parameter 'IncludeMetadata'")
    with pytest.raises(InvalidRequest):
        parse_include_metadata(f"includeMetadata={value}")


def test_a_parameter_that_is_given_twice_is_refused():
    assert "more than once" in refusal("limit=1&LIMIT=2")
    with pytest.raises(InvalidRequest):
        parse_include_metadata("includeMetadata=true&includemetadata=true")


@pytest.mark.spec("CF-17")
def test_latest_reads_one_parameter_only():
    assert parse_include_metadata("") is True
    assert parse_include_metadata("limit=0&offset=x&startTime=y&includeMetadata=false") is False


@pytest.mark.spec("CF-12")
@pytest.mark.parametrize(
    "text", ["2026-01-31T09:15:00", "2026-01-31", "2026-01-31T09:15:00.1234567", "2026-01-31T09:15"]
)
def test_a_time_without_a_zone_is_refused(text):
    for name, parameter in (("StartTime", "startTime"), ("EndTime", "endTime")):
        expected = f"The query parameter '{name}' is invalid. Date and time value must specify a time zone."
        assert refusal(f"{parameter}={text}") == expected


@pytest.mark.spec("CF-13", "CF-14")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "2026-13-01T00:00:00Z",
        "2026-01-31T25:00:00Z",
        "2026-01-31T09:15:00%2B99:00",
        "1700000000",
        "Z",
        "2026-01-31T09:15:00+01:00",  # an unencoded plus sign is a blank
    ],
)
def test_what_is_no_time_is_refused(text):
    assert refusal(f"startTime={text}").startswith("The query parameter 'StartTime' is invalid.")


@pytest.mark.spec("CF-3", "CF-14")
@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T09:15:00Z",
        "2026-01-31t09:15:00z",
        "2026-01-31T09:15Z",
        "2026-01-31T10:15:00%2B01:00",
        "2026-01-31T10:15:00%2b0100",
        "2026-01-31T10:15:00.0000000%2B01",
        "2026-01-31T03:45:00-05:30",
        "2026-01-31+09:15:00Z",
    ],
)
def test_a_time_is_read_as_clients_write_it(text):
    assert start(text) == datetime(2026, 1, 31, 9, 15, tzinfo=UTC)


@pytest.mark.spec("CF-3", "CF-4")
def test_a_finer_time_than_entries_have_selects_what_it_would_exactly():
    # an entry of .123456 is earlier than .1234561
    assert start("2026-01-31T09:15:00.1234561Z") == datetime(2026, 1, 31, 9, 15, 0, 123457, tzinfo=UTC)
    assert start("2026-01-31T09:15:59.9999999Z") == datetime(2026, 1, 31, 9, 16, tzinfo=UTC)


@pytest.mark.spec("CF-3", "CF-4")
def test_the_ends_of_time_are_times():
    window = parse_window("startTime=0001-01-01T00:00:00%2B14:00&endTime=9999-12-31T23:59:59.9999999Z", V2)
    assert isinstance(window, TimeWindow)
    assert window.start == datetime.min.replace(tzinfo=UTC)
    assert window.end == datetime.max.replace(tzinfo=UTC)


@pytest.mark.spec("CF-13")
def test_a_window_ends_after_it_starts():
    time = "2026-01-31T09:15:00"
    for end in (f"{time}Z", "2026-01-31T09:14:59.9999999Z", f"{time}%2B00:01"):
        assert refusal(f"startTime={time}Z&endTime={end}").startswith("The query parameter 'EndTime' is invalid.")
    parse_window(f"startTime={time}Z&endTime={time}.000001Z", V2)


@given(st.text(max_size=40))
def test_nothing_but_a_refusal_comes_of_any_text(text):
    for version in (V1, V2):
        for query in (text, f"startTime={text}", f"limit={text}", f"endTime=2026-01-31T0{text}"):
            try:
                parse_window(query, version)
            except InvalidRequest:
                continue
