"""What is said of advisories, and what is not claimed."""

import pytest

from scripts.audit import NotRun, main, node_advisories, python_advisories

CLEAN = {"dependencies": [{"name": "a", "version": "1", "vulns": []}]}
BAD = {"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "X-1", "fix_versions": ["2"]}]}]}
SKIPPED = {"dependencies": [*CLEAN["dependencies"], {"name": "b", "skip_reason": "not found"}]}
CLEAN_NODE = {"vulnerabilities": {}}
BAD_NODE = {"vulnerabilities": {"b": {"severity": "high", "range": "<3"}}}


def reports(python, node):
    def report(command):
        found = node if command[0] == "npm" else python
        if isinstance(found, Exception):
            raise found
        return found

    return report


@pytest.mark.parametrize(
    ("python", "node", "arguments", "code"),
    [
        (CLEAN, CLEAN_NODE, [], 0),
        (BAD, CLEAN_NODE, [], 1),
        (CLEAN, BAD_NODE, ["--where-reachable"], 1),
        (NotRun("no network"), CLEAN_NODE, [], 2),
        (NotRun("no network"), CLEAN_NODE, ["--where-reachable"], 0),
        (NotRun("no network"), BAD_NODE, ["--where-reachable"], 1),
        ({"unknown": 1}, {"unknown": 1}, [], 2),
        (SKIPPED, CLEAN_NODE, [], 2),
        (CLEAN, {"message": "405", "error": {"summary": ""}}, [], 2),
    ],
)
def test_an_advisory_fails_and_so_does_an_audit_that_could_not_be_made(capsys, python, node, arguments, code):
    assert main(arguments, reports(python, node)) == code

    printed = capsys.readouterr().out
    assert ("NOT RUN" in printed) == (code == 2 or isinstance(python, NotRun))


def test_advisories_are_named():
    assert python_advisories(BAD) == ["a 1: X-1, mended in 2"]
    assert node_advisories(BAD_NODE) == ["b: high, <3"]


def test_what_could_not_be_looked_up_is_said(capsys):
    main(["--where-reachable"], reports(NotRun("no such host"), {"error": {"summary": "refused"}}))

    assert capsys.readouterr().out.splitlines() == [
        "NOT RUN: advisories of Python packages: no such host",
        "NOT RUN: advisories of Azurite's packages: refused",
    ]
