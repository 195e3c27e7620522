"""Classes of failures."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from shared.errors import DependencyRefused, Unavailable
from shared.outgoing.failures import Failure, answer_failed, failure_of, retry_after_seconds


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        *((status, Failure.REFUSED) for status in (400, 404, 405, 410, 415, 422)),
        (401, Failure.AUTHENTICATION),
        (403, Failure.PERMISSION),
        (409, Failure.CONFLICT),
        (412, Failure.RACE),
        (413, Failure.TOO_LARGE),
        (429, Failure.THROTTLED),
        (503, Failure.THROTTLED),
        (502, Failure.UNAVAILABLE),
        (504, Failure.UNAVAILABLE),
        (408, Failure.TRANSIENT),
        (500, Failure.TRANSIENT),
        (507, Failure.TRANSIENT),
    ],
)
def test_each_status_has_its_class(status: int, failure: Failure) -> None:
    assert failure_of(status) is failure
    later = failure in (Failure.UNAVAILABLE, Failure.THROTTLED, Failure.TRANSIENT)
    assert isinstance(answer_failed("FHIR", status, {}, b""), Unavailable if later else DependencyRefused)


def test_what_concerns_the_server_is_told_from_what_concerns_one_request() -> None:
    of_server = {each for each in Failure if each.of_the_server}
    assert of_server == {Failure.UNAVAILABLE, Failure.THROTTLED, Failure.AUTHENTICATION, Failure.PERMISSION}


def test_retry_after_is_read_in_both_forms() -> None:
    now = datetime(2026, 6, 30, 12, tzinfo=UTC).timestamp()
    later = format_datetime(datetime(2026, 6, 30, 12, 0, 40, tzinfo=UTC), usegmt=True)
    earlier = format_datetime(datetime(2026, 6, 30, 11, tzinfo=UTC), usegmt=True)
    values = {"7": 7.0, "100000": 300.0, later: 40.0, earlier: 0.0, "": 0.0, "soon": 0.0, "-1": 0.0}
    assert {value: retry_after_seconds(value, now) for value in values} == values


def test_an_outcome_is_kept_unless_it_is_something_else_or_long() -> None:
    outcome = b'{"resourceType":"OperationOutcome","issue":[]}'
    assert answer_failed("FHIR", 422, {}, outcome).outcome == {"resourceType": "OperationOutcome", "issue": []}
    long = b'{"resourceType":"OperationOutcome","issue":["' + b"x" * 20_000 + b'"]}'
    for body in (b"", b"{", b"[]", b'{"resourceType":"Patient"}', long):
        assert answer_failed("FHIR", 422, {}, body).outcome is None
