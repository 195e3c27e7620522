"""`dicom cast` asks the resources of DICOMcast, and its exit code says what was found (dicomcast §5.6)."""

import argparse
import json

import pytest

from dicom_cli import cast
from dicom_cli.main import parser_for
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.output import Output


class Answered:
    def __init__(self, document):
        self.document = document

    def json(self):
        return self.document


class FakeService:
    """Answers by method and path, and remembers what it was asked."""

    partition = "ward"

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []

    def ask(self, method, path, *, query=(), body=None, headers=None):
        self.asked.append((method, path, dict(query), body))
        found = self.answers[path.rpartition("/")[2]]
        return Answered(found.pop(0) if isinstance(found, list) else found)


def run(service, *words):
    arguments = parser_for("cast").parse_args(["cast", *words], argparse.Namespace())
    return cast.run(arguments, service, Output(as_json=True, quiet=True))


@pytest.mark.spec("CLI-5")
def test_the_exit_code_says_whether_all_is_well(capsys):
    assert run(FakeService(check={"well": True}), "check") is ExitCode.DONE
    assert run(FakeService(check={"well": False}), "check") is ExitCode.SOME_FAILED
    assert run(FakeService(status={"circuit": {"open": True}}), "status") is ExitCode.SOME_FAILED
    assert capsys.readouterr().out.count("\n") == 3


@pytest.mark.spec("CLI-5")
@pytest.mark.parametrize(("differences", "code"), [(0, ExitCode.DONE), (3, ExitCode.DIFFERENT)])
def test_a_comparison_is_followed_to_its_end(differences, code, monkeypatch, capsys):
    monkeypatch.setattr(cast, "_PAUSE", 0)
    operation = [
        {"status": "running"},
        {"status": "completed", "results": {"resultHref": "https://x/v2/cast/verify/found"}},
    ]
    service = FakeService(verify={"id": "abc"}, abc=operation, found={"differences": differences})
    assert run(service, "verify", "--repair") is code
    assert [path for _, path, *_ in service.asked] == [
        "/v2/cast/verify",
        "/v2/operations/abc",
        "/v2/operations/abc",
        "/v2/cast/verify/found",
    ]


def test_a_comparison_that_failed_says_so():
    with pytest.raises(CommandFailed):
        run(FakeService(verify={"id": "abc"}, abc={"status": "failed"}), "verify")


def test_a_study_is_one_of_the_partition(capsys):
    service = FakeService(replay=None, patient=None, preview={})
    run(service, "replay", "--study", "1.2")
    run(service, "connect", "--study", "1.2", "--patient", "Patient/4")
    run(service, "preview", "--study", "1.2")
    run(service, "replay", "--class", "transient")
    assert service.asked == [
        ("POST", "/v2/cast/studies/1.2/replay", {"partition": "ward"}, None),
        ("POST", "/v2/cast/studies/1.2/patient", {"partition": "ward"}, b'{"reference": "Patient/4"}'),
        ("GET", "/v2/cast/studies/1.2/preview", {"partition": "ward"}, None),
        ("POST", "/v2/cast/replay", {"class": "transient"}, None),
    ]


@pytest.mark.spec("CAST-EV-8")
def test_every_study_is_marked_and_the_checkpoint_is_moved(monkeypatch, capsys):
    monkeypatch.setattr(cast, "_PAUSE", 0)
    operation = [{"status": "running"}, {"status": "succeeded", "results": {"studies": 3}}]
    service = FakeService(backfill={"id": "abc"}, abc=operation, reset={"checkpoint": 41})
    assert run(service, "backfill") is ExitCode.DONE
    assert run(service, "reset", "--to", "41") is ExitCode.DONE
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [{"studies": 3}, {"checkpoint": 41}]
    assert service.asked[-1] == ("POST", "/v2/cast/reset", {}, b'{"sequence": 41}')
    with pytest.raises(CommandFailed):
        run(FakeService(backfill={"id": "abc"}, abc={"status": "failed"}), "backfill")
