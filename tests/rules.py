"""The rules of docs/specification, and the tests that show them.

`python -m tests.rules STOW-41` prints a rule; `python -m tests.rules` lists the rules that no test shows. A test names
the rules that it shows with `@pytest.mark.spec("STOW-12")`. Everything here is read from the pages and from the tests;
docs/specification/README.md says how a page is read.
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PAGES = ROOT / "docs" / "specification"

IDENTIFIER = r"[A-Z]{1,5}(?:-[A-Z]{2})?-\d{1,2}[a-z]?"
NOT_BUILT = "Not built yet"

_HEADING = re.compile(r"(#+) (?:(\d+(?:\.\d+)*)\.? )?(.+)")
_CELL = re.compile(r"(?<!\\)\|")
_CARRIERS = re.compile(r"Carried out by ([^|]+?)\.(?= |$)")
_ADDITION = re.compile(rf"to ({IDENTIFIER})")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the specification."""

    identifier: str
    text: str
    """The cells of its row, as they stand there."""
    page: str
    """The name of its page, without suffix."""
    section: str
    """The headings that it stands under, outermost first."""
    built: bool
    """False under "Not built yet"."""
    carriers: tuple[str, ...]
    """The rules and files that show it; empty: a test of its own does."""

    @property
    def family(self) -> str:
        """What stands before the number."""
        return self.identifier.rpartition("-")[0]


def cells(row: str) -> list[str]:
    """The cells of a row of a table; empty for any other line."""
    return [cell.strip() for cell in _CELL.split(row.strip())[1:-1]] if row.startswith("|") else []


def read_page(page: Path) -> Iterator[Rule]:
    """The rules of a page in their order. Raises ValueError for an addition to no rule."""
    headings: dict[int, str] = {}
    for line in page.read_text().splitlines():
        if heading := _HEADING.fullmatch(line):
            level = len(heading[1])
            headings = {depth: title for depth, title in headings.items() if depth < level}
            headings[level] = " ".join(filter(None, heading.group(2, 3)))
            continue
        identifier, *text = cells(line) or [""]
        if not re.fullmatch(IDENTIFIER, identifier):
            continue
        carriers = _CARRIERS.search(line)
        yield Rule(
            identifier,
            " | ".join(text),
            page.stem,
            " / ".join(title for depth, title in headings.items() if depth > 1),
            NOT_BUILT not in headings.values(),
            tuple(each.strip("` ") for each in carriers[1].split(",")) if carriers else (),
        )


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule of every page, also one that is there twice."""
    return tuple(rule for page in sorted(PAGES.glob("*.md")) for rule in read_page(page))


@cache
def specification() -> Mapping[str, Rule]:
    """The rules by identifier."""
    return {rule.identifier: rule for rule in all_rules()}


def additions() -> list[str]:
    """The rules to which rows under "Not built yet" add something."""
    rows = (cells(line) for page in PAGES.glob("*.md") for line in page.read_text().splitlines())
    return [match[1] for row in rows if row and (match := _ADDITION.fullmatch(row[0]))]


def sections(page: Path) -> set[str]:
    """The numbers of the sections of a document."""
    found = (_HEADING.fullmatch(line) for line in page.read_text().splitlines())
    return {heading[2] for heading in found if heading and heading[2]}


def _marks(node: ast.AST) -> Iterator[str]:
    for call in ast.walk(node):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr != "spec":
            continue
        for argument in call.args:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value


@cache
def tested_rules() -> Mapping[str, frozenset[str]]:
    """Identifiers in `spec` marks, with the test files that name them."""
    found: dict[str, frozenset[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for identifier in _marks(ast.parse(path.read_text())):
            found[identifier] = found.get(identifier, frozenset()) | {str(path.relative_to(TESTS))}
    return found


def is_shown(rule: Rule) -> bool:
    """Whether a test, or all that carry it out, show the rule."""
    if rule.identifier in tested_rules():
        return True
    return bool(rule.carriers) and all(_carries(carrier) for carrier in rule.carriers)


def _carries(carrier: str) -> bool:
    if "/" in carrier:
        return (ROOT / carrier).is_file()
    return carrier in specification() and is_shown(specification()[carrier])


def not_shown() -> list[Rule]:
    """The rules of what is built that nothing shows."""
    return [rule for rule in all_rules() if rule.built and not is_shown(rule)]


def _describe(rule: Rule) -> str:
    tests = sorted(tested_rules().get(rule.identifier, ()))
    place = f"docs/specification/{rule.page}.md, {rule.section}"
    return "\n".join([f"{rule.identifier}: {rule.text}", f"  {place}", *(f"  tests/{test}" for test in tests)])


def main(identifiers: list[str]) -> int:
    """Print the rules that are named, or without a name those that nothing shows. 1: there is something to do."""
    known = specification()
    for identifier in identifiers:
        print(_describe(known[identifier]) if identifier in known else f"{identifier}: no such rule")
    if identifiers:
        return int(not known.keys() >= set(identifiers))
    missing, built = not_shown(), [rule for rule in known.values() if rule.built]
    print(f"{len(built) - len(missing)} of {len(built)} rules are shown by tests.")
    for rule in missing:
        print(f"not shown: {rule.identifier}: {rule.text[:100]}")
    print(f"not built yet: {', '.join(rule.identifier for rule in known.values() if not rule.built)}")
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
