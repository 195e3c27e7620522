"""Which rules of the behavioural specification have a test: `python -m tests.rules` prints the report.

A test names the rules that it shows with `@pytest.mark.spec("STOW-12")`. The list of rules is `tests/data/rules.json`.
"""

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent


def known_rules() -> list[str]:
    """Every rule of sections 1 to 9 and 12 of the DICOMweb specification, and of 4, 5 and 9 of the other APIs."""
    rules = json.loads((TESTS / "data" / "rules.json").read_text())["rules"]
    return [f"{family}-{number}" for family, numbers in rules.items() for number in numbers]


def not_built() -> dict[str, str]:
    """Rules of features that do not exist yet, with the feature."""
    return dict(json.loads((TESTS / "data" / "rules.json").read_text())["not_built"])


def _marks(node: ast.AST) -> Iterator[str]:
    for call in ast.walk(node):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr != "spec":
            continue
        for argument in call.args:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value


def tested_rules() -> dict[str, set[str]]:
    """Rule to the test files that name it in a `spec` mark."""
    found: dict[str, set[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for rule in _marks(ast.parse(path.read_text())):
            found.setdefault(rule, set()).add(str(path.relative_to(TESTS)))
    return found


def main() -> int:
    """Print the rules without a test; the exit code is 1 if a rule of something that is built has none."""
    tested, later = tested_rules(), not_built()
    missing = [rule for rule in known_rules() if rule not in tested and rule not in later]
    print(f"{sum(rule in tested for rule in known_rules())} of {len(known_rules())} rules have a test.")
    for rule in missing:
        print(f"no test: {rule}")
    for rule, feature in later.items():
        print(f"not built: {rule} ({feature})")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
