"""How the pages of the specification are read, and that what is wrong with them is noticed."""

import pytest

from tests import rules

PAGE = r"""# A page

| Id | Rule | Source |
|---|---|---|
| ABC-1 | One thing `a\|b`. | §1 |

## 2. Section

### 2.1 Part

| Id | v1 | v2 | Source |
|---|---|---|---|
| ABC-2a | Another. | Carried out by ABC-1, `tests/rules.py`. | MS |

ABC-9 is no rule here, and neither is a row of another table:

| Attribute | Tag |
|---|---|
| StudyDate | ABC-1 |

## Not built yet

| Id | Rule | Source |
|---|---|---|
| ABC-CD-3 | Later. | ours |
| to ABC-1 | More of it. | ours |
"""


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def test_a_rule_is_a_row_that_begins_with_its_identifier(page):
    found = {rule.identifier: rule for rule in rules.read_page(page)}

    assert list(found) == ["ABC-1", "ABC-2a", "ABC-CD-3"]
    assert found["ABC-1"].text == r"One thing `a\|b`. | §1"
    assert found["ABC-CD-3"].family == "ABC-CD"


def test_a_rule_has_the_section_that_it_stands_in(page):
    assert [(rule.page, rule.section) for rule in rules.read_page(page)] == [
        ("page", ""),
        ("page", "2 Section / 2.1 Part"),
        ("page", "Not built yet"),
    ]


def test_what_stands_under_not_built_yet_is_not_built(page):
    assert [rule.built for rule in rules.read_page(page)] == [True, True, False]


def test_a_rule_names_what_carries_it_out(page):
    assert [rule.carriers for rule in rules.read_page(page)] == [(), ("ABC-1", "tests/rules.py"), ()]


def test_sections_are_the_numbers_of_headings(page):
    assert rules.sections(page) == {"2", "2.1"}


@pytest.mark.parametrize(
    ("carriers", "shown"),
    [
        ((), False),
        (("STOW-41",), True),
        (("STOW-41", "tests/rules.py"), True),
        (("STOW-41", "XYZ-1"), False),
        (("tests/no_such_file.py",), False),
    ],
)
def test_a_rule_without_a_test_is_shown_only_by_all_that_carry_it_out(carriers, shown):
    assert rules.is_shown(rules.Rule("XYZ-2", "", "page", "", built=True, carriers=carriers)) is shown


def test_the_program_prints_a_rule_with_its_place_and_its_tests(capsys):
    assert rules.main(["STOW-41"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("STOW-41: ")
    assert "docs/specification/dicomweb.md, 6 Store (STOW-RS) / 6.6 Response" in printed
    assert "tests/unit/store/test_response.py" in printed


def test_the_program_says_that_there_is_no_such_rule(capsys):
    assert rules.main(["XYZ-1"]) == 1
    assert "no such rule" in capsys.readouterr().out
