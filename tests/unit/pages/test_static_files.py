"""What the files of the pages hold: no markup made of values, nothing from elsewhere, the same in each language."""

import json
import re
from pathlib import Path

import pytest

from shared.operations.model import OperationStatus, OperationType
from shared.pages.static_files import static_files

FOLDER = Path(__file__).parents[3] / "shared" / "pages" / "static"
SCRIPTS = {path.relative_to(FOLDER).as_posix(): path.read_text() for path in sorted((FOLDER / "scripts").rglob("*.js"))}
LANGUAGES = {path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "texts").glob("*.json"))}
OTHERS = {
    path.relative_to(FOLDER).as_posix(): path.read_text()
    for path in sorted(FOLDER.rglob("*.*"))
    if path.suffix in {".html", ".css", ".svg"}
}


@pytest.mark.spec("VIEW-12", "VIEW-10")
@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_reads_markup_or_code(name):
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|setHTML|document\.write|DOMParser|srcdoc"
        r"|\beval\b|new Function|setAttribute\(\s*['\"](?:on|style)|\.cssText|javascript:|import\(\s*[^'\"]"
    )

    assert re.findall(forbidden, SCRIPTS[name]) == []


@pytest.mark.spec("VIEW-11")
@pytest.mark.parametrize("name", [*SCRIPTS, *OTHERS])
def test_no_file_names_another_host(name):
    text = {**SCRIPTS, **OTHERS}[name]
    hosts = [url for url in re.findall(r"https?://[^\s'\"`)]+", text) if url != "http://www.w3.org/2000/svg"]

    assert hosts == []
    assert re.findall(r"@import|\burl\(", text) == []


@pytest.mark.spec("VIEW-14")
def test_every_language_has_the_same_texts_with_the_same_values():
    assert sorted(LANGUAGES) == ["de", "en"]
    values = {
        language: {name: sorted(re.findall(r"\{\w+\}", text)) for name, text in texts.items()}
        for language, texts in LANGUAGES.items()
    }

    assert values["de"] == values["en"]
    assert [name for texts in LANGUAGES.values() for name, text in texts.items() if not text.strip()] == []


def used() -> tuple[set[str], set[str]]:
    """Names of texts in the scripts: whole ones, and beginnings of those that are put together."""
    whole, beginnings = set(), set()
    for text in SCRIPTS.values():
        whole |= set(re.findall(r"'([a-z0-9-]+(?:\.[A-Za-z0-9-]+)*)'", text))
        beginnings |= set(re.findall(r"`([a-z0-9.-]+\.)\$\{", text))
    return whole, beginnings


@pytest.mark.spec("VIEW-14")
def test_every_text_that_a_script_names_is_there():
    named = {name for text in SCRIPTS.values() for name in re.findall(r"\bt\('([^']+)'", text)}

    assert named - LANGUAGES["en"].keys() == set()
    assert len(named) > 100


@pytest.mark.spec("VIEW-7")
def test_every_kind_and_state_of_an_operation_has_its_words():
    texts = {name for name in LANGUAGES["en"] if name.startswith("operation.")}
    states = {state for state in OperationStatus if state is not OperationStatus.SUCCEEDED} | {"succeeded", "completed"}

    assert texts == {f"operation.type.{kind}" for kind in OperationType} | {
        f"operation.status.{each}" for each in states
    }


def test_every_text_is_used():
    whole, beginnings = used()

    assert [name for name in LANGUAGES["en"] if name not in whole and not name.startswith(tuple(beginnings))] == []


@pytest.mark.spec("VIEW-14")
def test_a_page_is_under_200_kilobytes():
    files = static_files(b"{}")
    later = ("/scripts/viewer/", "/scripts/views/", "/scripts/upload/")
    of_all = sum(
        len(file.content)
        for name, file in files.items()
        if not name.endswith((".tsv", "de.json")) and not any(each in name for each in later)
    )
    views = [name for name in SCRIPTS if name.startswith("scripts/views/")]

    for view in views:
        assert of_all + sum(len(SCRIPTS[name].encode()) for name in needed(view)) < 200_000, view
    assert sum(len(file.compressed) for file in files.values()) < 200_000


def needed(view: str) -> set[str]:
    """A view, and the modules that are fetched with it."""
    found, left = set(), [view]
    while left:
        name = left.pop()
        folder = (FOLDER / name).parent
        for target in re.findall(r"(?:from|import) '(\.[^']+)'", SCRIPTS[name]):
            path = (folder / target).resolve().relative_to(FOLDER.resolve()).as_posix()
            if path not in found and not path.startswith("scripts/parts/"):
                left.append(path)
        found.add(name)
    return found


@pytest.mark.spec("VIEW-14")
def test_every_view_is_fetched_when_it_is_shown():
    fetched = set(re.findall(r"import\('\./(views/[^']+)'\)", SCRIPTS["scripts/main.js"]))
    at_once = set(re.findall(r"import '\./(views/[^']+)'", SCRIPTS["scripts/main.js"]))

    assert {f"scripts/{name}" for name in fetched | at_once} == {
        name for name in SCRIPTS if name.startswith("scripts/views/")
    }
    assert at_once == {"views/sign_in.js", "views/unknown.js"}


def test_a_change_of_any_file_changes_the_places_of_all(tmp_path, monkeypatch):
    import shutil

    from shared.pages import static_files as module

    copied = tmp_path / "static"
    shutil.copytree(FOLDER, copied)
    before = set(static_files(b"{}"))
    monkeypatch.setattr(module, "_FOLDER", copied)
    assert set(static_files(b"{}")) == before
    (copied / "styles" / "pages.css").write_text("body {}")
    assert set(static_files(b"{}")) & before == {"", "configuration.json"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_says_what_it_is_and_stays_small(name):
    assert SCRIPTS[name].startswith("// ")
    assert len(SCRIPTS[name].splitlines()) <= 300
