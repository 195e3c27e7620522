"""`dicom feedback`: requests, files and what is printed."""

import argparse
import io
import json
from contextlib import contextmanager

import pytest

from dicom_cli import feedback
from dicom_cli.main import parser_for
from dicom_cli.outcomes import ExitCode
from dicom_cli.output import Output


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
