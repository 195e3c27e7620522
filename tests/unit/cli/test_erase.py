"""`dicom erase`: shows, asks, and says when somebody else has to confirm."""

import argparse
import io
import json
from types import SimpleNamespace

import pytest

from dicom_cli import erase
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.output import Output

PLAN = {"studies": 1, "instances": 2, "workitems": 0, "studyInstanceUids": ["1.2"], "untouched": []}


class Service:
    """Answers as the service does; `waits`: another person has to confirm."""

    def __init__(self, *, waits):
        self.waits = waits
        self.asked = []

    def path(self, rest):
        return f"/v2/{rest}"

    def ask(self, method, path, *, query=(), body=None, headers=None):
        self.asked.append((method, path, *query))
        if query:
            answer = PLAN
        elif method == "POST":
            answer = {"id": "0" * 32, "href": "https://h/v2/operations/1"}
        else:
            answer = {
                "status": "notStarted",
                "results": {**PLAN, **({"waitsForConfirmation": True} if self.waits else {})},
            }
        return SimpleNamespace(status=200 if method == "GET" else 202, json=lambda: json.loads(json.dumps(answer)))


def run(service, *words, typed="ERASE\n", monkeypatch=None):
    parser = argparse.ArgumentParser()
    erase.add_to(parser)
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    return erase.run(parser.parse_args(words), service, Output(as_json=False, quiet=False))


def test_an_erasure_that_waits_says_how_it_is_confirmed(monkeypatch, capsys):
    service = Service(waits=True)
    assert run(service, "4711", "--reason", "r", monkeypatch=monkeypatch) is ExitCode.DONE
    assert f"dicom erase --confirm {'0' * 32}" in capsys.readouterr().out
    assert [each[:2] for each in service.asked][:2] == [("POST", "/v2/patients/$erase")] * 2


def test_one_that_begins_at_once_is_followed(monkeypatch):
    service = Service(waits=False)
    followed = []
    monkeypatch.setattr(erase, "waited", lambda *_args, **_more: followed.append(1) or ExitCode.DONE)
    run(service, "4711", "--reason", "r", monkeypatch=monkeypatch)
    assert followed == [1]


@pytest.mark.parametrize("typed", ["", "yes\n", "erase\n"])
def test_nothing_is_erased_without_the_word(monkeypatch, typed):
    service = Service(waits=True)
    with pytest.raises(CommandFailed):
        run(service, "4711", "--reason", "r", typed=typed, monkeypatch=monkeypatch)
    assert len(service.asked) == 1


@pytest.mark.parametrize("words", [(), ("4711",), ("--reason", "r"), ("4711", "--confirm", "1")])
def test_what_is_missing_is_said(monkeypatch, words):
    service = Service(waits=True)
    with pytest.raises(CommandFailed):
        run(service, *words, monkeypatch=monkeypatch)
    assert service.asked == []
