"""Extended query tags are a package and ten other files; the index below them knows attributes."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "develop" / "extended-query-tags.md").read_text()
PACKAGE = "shared/extended_query_tags/"
CODE = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (ROOT / "pyproject.toml", ROOT / "function_app.py", *sorted((ROOT / "shared").rglob("*.py")))
}
OTHERS = {path: text for path, text in CODE.items() if not path.startswith(PACKAGE)}
TAG = re.compile(r"extended[ _-]?query[ _-]?tag", re.IGNORECASE)
IN_THE_INDEX = re.compile(
    r"\.custom\b|\bcustom_(?:value|codes)\b|\blocated\(|\bfailures_in\b|\b[Ii]ndexing[_ ]?[Ee]rrors?\b"
)
"""What custom attributes and indexing errors are reached by."""


def named(section: str) -> dict[str, str]:
    """The files in the table of a section of the page, with what is said of each."""
    found = re.findall(r"^\| `([^`]+)` \| (.+) \|$", section, re.MULTILINE)
    assert len(found) == len(dict(found))
    return dict(found)


OF_THE_FEATURE, OF_THE_INDEX = map(named, PAGE.split("\n## "))


def test_the_page_names_the_ten_files_beside_the_package_that_speak_of_tags():
    assert {path for path, text in OTHERS.items() if TAG.search(text)} == OF_THE_FEATURE.keys()
    assert len(OF_THE_FEATURE) == 10
    assert "ten files" in PAGE.partition("\n## ")[0]


def test_the_page_names_the_modules_that_know_custom_attributes_and_indexing_errors():
    modules = {path: text for path, text in OTHERS.items() if path.endswith(".py")}

    assert {path for path, text in modules.items() if IN_THE_INDEX.search(text)} == OF_THE_INDEX.keys()


@pytest.mark.parametrize("path", sorted({**OF_THE_FEATURE, **OF_THE_INDEX}))
def test_each_of_them_has_its_reason(path):
    said = [each[path] for each in (OF_THE_FEATURE, OF_THE_INDEX) if path in each]

    assert all(len(text.split()) >= 5 for text in said)


def test_the_package_is_imported_where_it_is_wired():
    importing = {
        path for path, text in OTHERS.items() if re.search(r"(?:from|import) shared\.extended_query_tags", text)
    }

    assert importing == {"shared/wiring/updates.py"}
