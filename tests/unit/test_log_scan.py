"""The search of the services' logs for patients of the tests: what it looks for, and that a finding fails a run."""

import logging

import pytest

from tests import log_scan
from tests.log_scan import TESTS, findings, searched, values_in_samples, values_in_sources

SOURCES = [*values_in_sources(TESTS)]


def scanned(tmp_path, line, values=SOURCES):
    (tmp_path / "devhost-1.log").write_text(f"an ordinary line\n{line}\n", encoding="utf-8")
    return findings(tmp_path, searched(iter(values)))


@pytest.mark.spec("TEL-2")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("cannot index Doe^Jane of 2024", "Doe^Jane"),
        ("GET /v2/studies?PatientName=Doe%5EJane", "Doe%5EJane"),
        ('{"error":"M\\u00fcller^J\\u00f6rg"}', "\\u00f6rg"),
        ("KeyError: 'M\\xfcller'", "xfcller"),
        ("ValueError: 'P-1' is no number", "P-1"),
        ("born 19700102", "19700102"),
        ("Doe17^Jane is there", "Jane"),
        ("refused: Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1In0.c2ln", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1In0"),
        ("no share of shr_0mGr0eYNsT6uBdHk2vWq4bA", "shr_0mGr0eYNsT6uBdHk2vWq4bA"),
        ("no study 2.25.123456789012345678901234567890", "2.25.123456789012345678901234567890"),
    ],
)
def test_a_line_that_names_a_patient_of_the_tests_is_found(tmp_path, text, value):
    [found] = scanned(tmp_path, f"2026-01-01 00:00:00,000 ERROR worker 0 dicom.telemetry: {text}")

    assert (found.file, found.number) == ("devhost-1.log", 2)
    assert value in found.value


@pytest.mark.spec("TEL-2")
def test_a_patient_of_a_sample_file_is_found(tmp_path):
    assert scanned(tmp_path, "stored for CompressedSamples^CT1", values_in_samples())
    assert scanned(tmp_path, "stored for שרון^דבורה", values_in_samples())


@pytest.mark.spec("TEL-2", "AUD-2")
@pytest.mark.parametrize(
    "line",
    [
        "INFO devhost: Executing 'Functions.store' (Id=5edc69d5-f09d-4fe9-a935-0a2600ec83d6)",
        'INFO worker 0 dicom.telemetry: {"event":"transaction","n":1,"new":"P1","uid":"1.2.840.10008.1.2"}',
        'INFO worker 0 dicom.audit: {"action":"Executed","uri":"http://localhost/v2/studies?PatientName=Doe^Jane"}',
    ],
)
def test_other_lines_and_the_audit_trail_are_no_findings(tmp_path, line):
    assert scanned(tmp_path, line) == []


@pytest.mark.spec("TEL-2")
def test_what_the_product_logs_in_a_process_of_the_tests_is_searched_too(tmp_path):
    handler = log_scan.InProcess(tmp_path)
    for name in ("dicom.telemetry", "dicom.audit", "a.test.of.its.own", "devhost.blobs"):
        handler.handle(logging.makeLogRecord({"name": name, "msg": f"{name} of Doe^Jane", "levelname": "WARNING"}))
    handler.close()

    found = findings(tmp_path, searched(iter(SOURCES)))
    assert [one.line.partition(" of ")[0] for one in found] == [
        "WARNING dicom.telemetry: dicom.telemetry",
        "WARNING devhost.blobs: devhost.blobs",
    ]


PLANTED = """
import os
from pathlib import Path

def test_that_passes():
    (Path(os.environ["DEVHOST_TEST_LOGS"]) / "devhost-1.log").write_text({line!r})
"""


@pytest.mark.spec("TEL-2")
@pytest.mark.parametrize(("line", "exit_code"), [("stored Doe^Jane\n", 1), ("stored an instance\n", 0)])
def test_a_finding_fails_a_run_in_which_every_test_passes(pytester, monkeypatch, line, exit_code):
    monkeypatch.setenv(log_scan.LOG_FOLDER, "restored afterwards")
    monkeypatch.setenv("DEVHOST_LOG_LEVEL", "INFO")
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = session")
    pytester.makepyfile(PLANTED.format(line=line))

    result = pytester.runpytest_inprocess("-p", "tests.log_scan", "-p", "no:cacheprovider")

    assert result.ret == exit_code
    assert ("patients in the log of the service" in result.stdout.str()) is (exit_code == 1)
