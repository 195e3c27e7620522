"""`dicom cohort`: questions, readings, runs and their files (docs/use/cohorts.md)."""

import argparse
import io
import json

import pytest

from dicom_cli import cohort
from dicom_cli.main import parser_for
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.output import Output

READING = {"sentence": "CT scans.", "definition": {"version": 1}, "definitionHash": "h", "notes": []}
MANIFEST = {
    "patients": [
        {
            "id": "p1",
            "age": 61,
            "studies": [{"id": "s", "uid": "1.2", "modality": ["CT"], "reports": [{"id": "r", "link": "identifier"}]}],
            "medications": [{"id": "m", "code": {"system": "x", "code": "=1"}, "status": "active"}],
        }
    ]
}


class FakeService:
    """Answers by path, in turn, and remembers what it was sent."""

    def __init__(self, **answers):
        self.answers = {name: list(found) for name, found in answers.items()}
        self.sent = []

    def ask(self, method, path, *, query=(), body=None, headers=None, expect=(200, 202)):
        status, document = self.answers[path.partition("?")[0].rpartition("/")[2]].pop(0)
        self.sent.append((method, path, json.loads(body) if body else None))
        assert status in expect

        class Answer:
            pass

        answer = Answer()
        answer.status, answer.json, answer.body = status, lambda: document, json.dumps(document).encode()
        return answer


def run(service, *words):
    arguments = parser_for("cohort").parse_args(["cohort", *words], argparse.Namespace())
    return cohort.run(arguments, service, Output(as_json=True, quiet=False))


def test_a_question_is_shown_and_not_run(capsys):
    service = FakeService(translate=[(200, READING)])
    assert run(service, "ask", "CT") is ExitCode.DONE
    said = capsys.readouterr()
    assert (json.loads(said.out)["definitionHash"], "CT scans." in said.err) == ("h", True)
    assert [path for _, path, _ in service.sent] == ["/v2/cohorts/translate"]


def test_a_question_that_was_not_wholly_understood_fails_and_is_run_by_force_alone(monkeypatch, capsys):
    monkeypatch.setattr(cohort, "_POLL_SECONDS", 0)
    unclear = {**READING, "unmatched": [{"text": "blue", "reason": "unknown"}]}
    assert run(FakeService(translate=[(200, unclear)]), "ask", "x", "--run") is ExitCode.SOME_FAILED
    service = FakeService(translate=[(200, unclear)], cohorts=[(202, {"id": "c"})], c=[(200, {"status": "succeeded"})])
    assert run(service, "ask", "x", "--run", "--force", "--yes") is ExitCode.DONE


def test_one_of_several_readings_has_to_be_chosen(monkeypatch, capsys):
    several = {"readings": [READING, {**READING, "definitionHash": "other"}]}
    with pytest.raises(CommandFailed, match="--reading"):
        run(FakeService(translate=[(409, several)]), "ask", "x")
    assert run(FakeService(translate=[(409, several)]), "ask", "x", "--reading", "2") is ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["definitionHash"] == "other"


def test_nothing_runs_without_a_yes(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert run(FakeService(translate=[(200, READING)]), "ask", "x", "--run") is ExitCode.DONE


def test_a_run_leaves_the_manifest_and_its_tables(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(cohort, "_POLL_SECONDS", 0)
    definition = tmp_path / "definition.json"
    definition.write_text('{"version": 1}')
    states = [(200, {"id": "c", "status": "running"}), (200, {"id": "c", "status": "succeeded"})]
    service = FakeService(cohorts=[(202, {"id": "c"})], c=states, manifest=[(200, MANIFEST)])
    folder = tmp_path / "result"
    assert run(service, "run", str(definition), "--as-of", "2026-01-31", "--out", str(folder)) is ExitCode.DONE
    assert service.sent[0][2] == {"version": 1, "asOf": "2026-01-31"}
    assert json.loads((folder / "manifest.json").read_text()) == MANIFEST
    assert (folder / "medications.csv").read_text().splitlines()[1] == "p1,m,x,'=1,active,"
    assert (folder / "reports.csv").read_text().splitlines()[1] == "p1,s,r,identifier"


@pytest.mark.spec("COH-17")
def test_a_definition_may_be_yaml(tmp_path):
    definition = tmp_path / "definition.yaml"
    definition.write_text("version: 1  # a remark\nasOf: 2026-06-30\n")
    service = FakeService(cohorts=[(200, {"searches": []})])

    assert run(service, "explain", str(definition), "--limit", "5") is ExitCode.DONE
    assert service.sent[0][2] == {"version": 1, "asOf": "2026-06-30", "limits": {"patients": 5}}


def test_what_is_no_definition_is_wrong_use(tmp_path):
    (tmp_path / "x.json").write_text("{")
    for name in ("x.json", "missing.json"):
        with pytest.raises(CommandFailed) as failed:
            run(FakeService(), "run", str(tmp_path / name))
        assert failed.value.code is ExitCode.WRONG_USE


@pytest.mark.parametrize(("words", "identified"), [((), False), (("--deidentify",), False), (("--identified",), True)])
@pytest.mark.parametrize("named_by_manifest", [False, True])
def test_a_cohort_is_exported_without_identities_unless_they_are_asked_for(
    words, identified, named_by_manifest, tmp_path
):
    service = FakeService(export=[(202, {"id": "o", "href": "x"})])
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(MANIFEST | {"id": "c1"}))

    run(
        service,
        "export",
        str(manifest) if named_by_manifest else "c1",
        "--to",
        "https://r.example/c",
        "--files",
        "--no-wait",
        *words,
    )
    ((method, path, body),) = service.sent
    assert (method, path) == ("POST", "/v2/cohorts/c1/export")
    assert (body["identified"], body["files"]) == (identified, True)
    assert body["destination"]["settings"] == {"blobContainerUri": "https://r.example/c"}
