import json
import logging

import pytest

from shared import telemetry


def line(caplog) -> dict:
    (record,) = caplog.records
    return json.loads(record.getMessage())


def test_an_event_is_one_line_of_json_without_empty_fields(caplog):
    caplog.set_level(logging.INFO)

    telemetry.event("stored", instances=3, study=None, seconds=0.5)

    assert line(caplog) == {"event": "stored", "instances": 3, "seconds": 0.5}


@pytest.mark.spec("TEL-3")
def test_a_failure_names_types_and_places_but_never_texts(caplog):
    try:
        try:
            raise ValueError("PatientName Doe")
        except ValueError as cause:
            raise RuntimeError("PatientID 7") from cause
    except RuntimeError as error:
        telemetry.failure("store", error, instance="x")

    written = line(caplog)
    assert [each["type"] for each in written["errors"]] == ["builtins.RuntimeError", "builtins.ValueError"]
    assert "test_telemetry.py" in written["errors"][0]["frames"][0]
    assert "Patient" not in json.dumps(written)
    assert caplog.records[0].exc_info is None


def test_a_cycle_of_causes_ends(caplog):
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first

    telemetry.failure("x", first)

    assert len(line(caplog)["errors"]) == 2


def test_a_pseudonym_is_stable_and_tells_nothing():
    assert telemetry.pseudonym("1.2.3") == telemetry.pseudonym("1.2.3") != telemetry.pseudonym("1.2.4")
    assert "1.2.3" not in telemetry.pseudonym("1.2.3")


@pytest.mark.spec("AUD-7")
def test_the_audit_trail_has_a_logger_of_its_own():
    audit, ordinary = logging.getLogger(telemetry.AUDIT_LOGGER), logging.getLogger(telemetry.TELEMETRY_LOGGER)

    assert audit.parent is ordinary.parent
    assert audit is not ordinary
