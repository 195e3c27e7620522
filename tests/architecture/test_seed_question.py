"""The question that the product was first described with is nowhere in the source: it is translated, not recognised."""

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_FOLDERS = ("shared", "cli", "scripts", "tests", "docs", "devhost", "benchmarks", "examples", "infra")
_SUFFIXES = {
    ".py",
    ".md",
    ".toml",
    ".json",
    ".yaml",
    ".yml",
    ".txt",
    ".tsv",
    ".ipynb",
    ".html",
    ".sh",
    ".js",
    ".mjs",
    ".bicep",
    "",
}
_RUN = 5
_RUNS = {
    "1b856785a6bf",
    "2555c42faaf3",
    "2a03bbaedc98",
    "2d7d0d7082d1",
    "372be59bc695",
    "39fd1785c5a2",
    "3fded9994072",
    "43db15a5bf87",
    "45f4155b5e6f",
    "4bc75d2b434c",
    "56be859d3841",
    "56e1c8a0b642",
    "5f358f0d2eeb",
    "690af2fa345a",
    "6bca48f9089a",
    "6bff874d7e81",
    "7577b67ce833",
    "770b2f506e2a",
    "859a18ea8d8b",
    "8faaa100bb2e",
    "901c0f4b864c",
    "92208974da31",
    "99947828de7a",
    "9a97403f52a6",
    "c123d04889c0",
    "c1eebb9f3af2",
    "c20a2137d38e",
    "c994d8169dd1",
    "d21ce80bf598",
    "df0151c00251",
    "e275e75f518b",
    "e4661422cbbd",
    "ed76910db8db",
    "f3d30bb282e4",
    "f574503dae76",
    "ff374134386d",
    "ff5487211734",
}
"""Hashes of every five words in a row of the question, in its known wordings."""


def _files():
    for folder in _FOLDERS:
        yield from (path for path in (ROOT / folder).rglob("*") if path.suffix in _SUFFIXES and path.is_file())
    yield from (path for path in ROOT.iterdir() if path.suffix in _SUFFIXES - {""} and path.is_file())


def _runs(text):
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[at : at + _RUN]) for at in range(len(words) - _RUN + 1)}


@pytest.mark.spec("NL-1")
def test_no_five_words_of_the_question_stand_in_a_row():
    seen = {path: _runs(path.read_text("utf-8", errors="replace")) for path in _files()}
    found = {
        str(path.relative_to(ROOT)): run
        for path, runs in seen.items()
        for run in runs
        if hashlib.sha256(run.encode()).hexdigest()[:12] in _RUNS
    }

    assert found == {}
