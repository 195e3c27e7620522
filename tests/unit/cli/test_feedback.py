"""`dicom feedback`: requests, files and what is printed."""

import argparse
import io
import json
import sys
from contextlib import contextmanager

import pytest
from arro3.io import read_parquet

from dicom_cli import feedback, parquet
from dicom_cli.main import parser_for
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.output import Output
from shared.cohorts.feedback.response import CASE_COLUMNS, LINE_COLUMNS


class FakeService:
    """Remembers what it was asked, and answers one body."""

    def __init__(self, body):
        self.body = body
        self.asked = []

    def ask(self, method, path, *, body, headers, expect):
        self.asked.append((method, path, json.loads(body)))
        assert {200, 201} == set(expect)

        class Answer:
            json = staticmethod(lambda: json.loads(self.body))

        return Answer()

    @contextmanager
    def stream(self, path, *, query, headers):
        self.asked.append((path, query, headers["Accept"]))
        yield io.BytesIO(self.body)


def run(service, *words):
    arguments = parser_for("feedback").parse_args(["feedback", *words], argparse.Namespace())
    return feedback.run(arguments, service, Output(as_json=True, quiet=False))


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (
            ("reader", "--practitioner", "tele-1", "--since", "2026-01-01"),
            ("/v2/feedback/reader", {"practitioner": "tele-1", "since": "2026-01-01"}, "application/json"),
        ),
        (
            ("reader", "--practitioner", "tele-1", "--format", "fhir"),
            ("/v2/feedback/reader", {"practitioner": "tele-1"}, "application/fhir+json"),
        ),
        (
            ("model", "--device", "A B", "--after", "t"),
            ("/v2/feedback/model", {"device": "A B", "after": "t"}, "application/x-ndjson"),
        ),
    ],
)
def test_an_answer_is_printed_as_it_comes(words, asked, capfdbinary):
    service = FakeService(b'{"cases":[]}\n')

    assert run(service, *words) is ExitCode.DONE
    assert service.asked == [asked]
    assert capfdbinary.readouterr().out == b'{"cases":[]}\n'


def test_an_answer_is_written_into_a_file(tmp_path, capsys):
    service = FakeService(b"model,version\r\n")
    out = tmp_path / "pairs.csv"

    assert run(service, "model", "--device", "A", "--format", "csv", "--out", str(out)) is ExitCode.DONE
    assert (out.read_bytes(), service.asked[0][2]) == (b"model,version\r\n", "text/csv")
    assert "15 bytes" in capsys.readouterr().err


def test_a_reader_is_told(capsys):
    service = FakeService(b'{"delivered":2,"existing":0}')

    assert run(service, "reader", "--practitioner", "tele-1", "--deliver") is ExitCode.DONE
    assert service.asked == [("POST", "/v2/feedback/reader/deliver", {"practitioner": "tele-1"})]
    assert json.loads(capsys.readouterr().out) == {"delivered": 2, "existing": 0}


def test_an_assessment_is_sent():
    service = FakeService(b'{"id":"Observation/1"}')

    run(service, "assess", "--report", "rep-1", "--outcome", "Procedure/b", "--agreement", "minor")
    document = {"report": "rep-1", "outcome": "Procedure/b", "agreement": "minor", "comment": ""}
    assert service.asked == [("POST", "/v2/feedback", document)]


LINE = {
    "model": "StentPlanner",
    "version": "1.0",
    "predictedAt": "2026-03-05",
    "studyUid": "2.25.7000.11",
    "seriesUids": ["1.2", "1.3"],
    "prediction": 3,
    "outcome": 3.5,
    "outcomeSource": "Observation/x",
    "delta": 0.5,
    "agree": False,
    "patientPseudonym": "p-1",
}
LATER = {**LINE, "prediction": 2.5, "outcome": None, "outcomeSource": ""}
LATER = {name: value for name, value in LATER.items() if name not in ("delta", "agree")}
SUMMARY = {"model": "StentPlanner", "version": "1.0", "count": 2, "next": "token-1"}


def columns(path):
    table = read_parquet(path).read_all()
    return {name: table[name].to_pylist() for name in table.column_names}, table.schema


@pytest.mark.spec("COH-35")
def test_predictions_are_written_as_parquet(tmp_path, capsys):
    lines = b"".join(json.dumps(each).encode() + b"\n" for each in (LINE, LATER, {"summary": SUMMARY}))
    service, out = FakeService(lines), tmp_path / "pairs.parquet"

    assert run(service, "model", "--device", "StentPlanner", "--format", "parquet", "--out", str(out)) is ExitCode.DONE
    assert service.asked[0][2] == "application/x-ndjson"
    found, schema = columns(out)
    assert list(found) == list(LINE)
    assert (found["prediction"], found["outcome"]) == ([3.0, 2.5], [3.5, None])
    assert (found["agree"], found["delta"], found["seriesUids"]) == ([False, None], [0.5, None], ["1.2 1.3"] * 2)
    assert json.loads(schema.metadata_str["dicom.feedback"]) == {"summaries": [SUMMARY]}
    assert "--after token-1" in capsys.readouterr().err


@pytest.mark.spec("COH-35")
@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([True, None], [True, None]),
        (["benign", "malignant"], ["benign", "malignant"]),
        ([1, "1"], ["1", "1"]),
        ([{"code": "a"}], ['{"code": "a"}']),
    ],
)
def test_a_prediction_has_the_type_of_what_it_is(tmp_path, values, written):
    lines = b"\n".join(json.dumps({**LINE, "prediction": each}).encode() for each in values)
    run(FakeService(lines), "model", "--device", "A", "--format", "parquet", "--out", str(tmp_path / "x"))

    assert columns(tmp_path / "x")[0]["prediction"] == written


@pytest.mark.parametrize("body", [b"", b'{"summary": {"model": "A", "count": 0}}'])
def test_no_predictions_are_a_table_without_rows(tmp_path, body):
    run(FakeService(body), "model", "--device", "A", "--format", "parquet", "--out", str(tmp_path / "x"))

    assert set(map(len, columns(tmp_path / "x")[0].values())) == {0}


@pytest.mark.spec("COH-33")
def test_reads_are_written_as_parquet_a_row_for_each_outcome(tmp_path):
    outcome = {"outcome": "Procedure/b", "strength": "explicit", "date": "2025-03-05", "text": "biopsy"}
    case = {"report": "DiagnosticReport/r", "study": "ImagingStudy/s", "text": "Text."}
    document = {"cases": [{**case, "outcomes": [outcome, outcome]}, {**case, "outcomes": []}], "coverage": "1 of 2"}
    service, out = FakeService(json.dumps(document).encode()), tmp_path / "reads.parquet"

    run(service, "reader", "--practitioner", "tele-1", "--format", "parquet", "--out", str(out))
    found, schema = columns(out)
    assert (found["text"], found["outcomeText"]) == (["Text."] * 3, ["biopsy", "biopsy", None])
    assert json.loads(schema.metadata_str["dicom.feedback"]) == {"coverage": "1 of 2"}


def test_parquet_without_a_file_or_without_its_writer_is_wrong_use(tmp_path, monkeypatch):
    words = ("model", "--device", "A", "--format", "parquet")
    with pytest.raises(CommandFailed, match="--out"):
        run(FakeService(b""), *words)
    monkeypatch.setitem(sys.modules, "arro3.core", None)
    with pytest.raises(CommandFailed, match="parquet") as failed:
        run(FakeService(b""), *words, "--out", str(tmp_path / "x"))
    assert failed.value.code is ExitCode.WRONG_USE


def test_columns_of_parquet_are_those_of_the_answers_as_csv():
    """The program is a project of its own and imports nothing of the service: this holds the two lists together."""
    assert parquet._OF_MODEL == LINE_COLUMNS
    assert set(parquet._OF_READER) <= set(CASE_COLUMNS)
