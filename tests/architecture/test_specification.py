"""Pages, code and tests agree: what is cited exists, and every rule that is built is shown by a test."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

from shared.dicom.identifiers import InstanceIdentifier
from shared.index_schema import blob_names, keys
from shared.index_schema.changes import Change
from shared.storage.ports import Kind
from tests import rules

ROOT = rules.ROOT
CODE = sorted(
    path for folder in ("shared", "devhost", "benchmarks", "scripts", "tests") for path in (ROOT / folder).rglob("*.py")
)
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
STORAGE = ROOT / "docs" / "design" / "storage.md"

PAGES = (*rules.PAGES.glob("*.md"), STORAGE)
SECTIONS = {(path.stem, number) for path in PAGES for number in rules.sections(path)}
"""What can be cited: the name of a document and the number of a section."""

NO_RULES = {"UTF-8", "UTF-16"}
"""What looks like an identifier in the product's code and is none."""

FAMILIES = "|".join(sorted({rule.family for rule in rules.all_rules()}))
_CITED = re.compile(rf"(?<![\w-])(?:{FAMILIES})-\d{{1,2}}[a-z]?(?![\w-])")
_NAMES = "|".join(path.stem for path in PAGES)
_PLACES = re.compile(rf"\b({_NAMES}) §(\d[\d.]*\d|\d)((?:(?:,| to| and) §\d[\d.]*\d|(?:,| to| and) §\d)*)")


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_of(path: Path) -> str:
    """The text in one line, so that a citation is found over the end of a line."""
    return re.sub(r"\s*\n\s*(?:# )?", " ", path.read_text())


def _sections_in(text: str) -> Iterator[tuple[str, str]]:
    for name, first, more in _PLACES.findall(text):
        yield from ((name, number) for number in (first, *re.findall(r"\d[\d.]*\d|\d", more)))


def test_an_identifier_stands_once():
    counted = Counter(rule.identifier for rule in rules.all_rules())

    assert [identifier for identifier, times in counted.items() if times > 1] == []


def test_every_rule_has_a_text():
    assert [rule.identifier for rule in rules.all_rules() if len(rule.text) < 20] == []


def test_additions_are_to_rules_that_are_built():
    built = {rule.identifier for rule in rules.all_rules() if rule.built}

    assert set(rules.additions()) - built == set()


def test_every_rule_that_is_cited_exists():
    known = rules.specification()
    cited = {relative(path): set(_CITED.findall(path.read_text())) for path in [*CODE, *DOCUMENTS]}

    assert {path: missing for path, found in cited.items() if (missing := found - known.keys())} == {}


def test_the_product_cites_nothing_that_only_looks_like_a_rule():
    looks_like_one = re.compile(rf"(?<![\w-]){rules.IDENTIFIER}(?![\w-])")
    cited = {relative(path): set(looks_like_one.findall(path.read_text())) for path in (ROOT / "shared").rglob("*.py")}

    known = rules.specification().keys() | NO_RULES
    assert {path: missing for path, found in cited.items() if (missing := found - known)} == {}


def test_every_rule_in_a_mark_exists():
    assert sorted(rules.tested_rules().keys() - rules.specification().keys()) == []


def test_every_rule_of_what_is_built_is_shown_by_a_test():
    assert [rule.identifier for rule in rules.not_shown()] == []


def test_a_rule_is_called_not_built_only_while_nothing_shows_it():
    assert [rule.identifier for rule in rules.all_rules() if not rule.built and rules.is_shown(rule)] == []


def test_a_rule_that_another_carries_out_names_rules_and_files_that_exist():
    carriers = {carrier for rule in rules.all_rules() for carrier in rule.carriers}

    assert [each for each in carriers if not (each in rules.specification() or (ROOT / each).is_file())] == []


def test_every_section_that_is_cited_exists():
    cited = {relative(path): set(_sections_in(text_of(path))) for path in CODE}

    assert {path: missing for path, found in cited.items() if (missing := found - SECTIONS)} == {}


def test_a_section_is_cited_with_its_document():
    assert [relative(path) for path in CODE if re.search(r"(?:^|[(:;] ?| of | in )§\d", text_of(path))] == []


def test_every_invariant_of_the_storage_that_is_cited_exists():
    invariants = STORAGE.read_text().partition("### Invariants")[2].partition("\n## ")[0]
    numbers = set(re.findall(r"^(\d+)\. ", invariants, re.MULTILINE))
    cited = {number for path in [*CODE, *DOCUMENTS] for number in re.findall(r"\binvariant (\d+)", text_of(path))}

    assert cited - numbers == set()


def _table(heading: str) -> dict[str, list[str]]:
    """The table of a section of the storage design: what stands in code in its first column, to its cells."""
    section = STORAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = (rules.cells(line) for line in section.splitlines())
    return {row[0].strip("`"): row for row in rows if row and row[0].startswith("`")}


def test_the_storage_design_names_every_table():
    assert set(_table("2. Tables")) == set(get_args(Kind.__value__))


def test_the_storage_design_names_every_row_of_a_study():
    assert [row_key[0] for row_key in _table("3. The rows of a study")] == list(keys.RowKind)
    assert set(_table("3. The rows of a study")) == {
        keys.ANCHOR,
        keys.SUMMARY,
        keys.series_row("{series}"),
        keys.pending_row("{change}"),
        keys.folded_row("{change}"),
        keys.cleanup_row(0, "{sk}").replace("00000000", "{ver}"),
        keys.instance_row("{series}", "{instance}"),
    }


def test_the_storage_design_names_every_column_of_a_change():
    value = {"00200012": "7"}
    change = Change("", "create", "", "", 1, 1, schema=2, instance_attributes=value, old_attributes=value)
    change = replace(change, errors=[("t2x0", "r!")], original="file")
    rows = _table("3. The rows of a study")

    assert set(re.findall(r"`(\w+)`", rows["D!{change}"][3])) == set(change.properties())
    assert set(re.findall(r"`(\w+)`", rows["E!{change}"][3])) == set(change.logged_properties())


def test_the_storage_design_names_blobs_as_they_are():
    name = blob_names.blob_name("{ns}", InstanceIdentifier("{study}", "{series}", "{sop}"), "{upload id}")

    assert f"`{{h3}}{name[3:]}`" in STORAGE.read_text()
