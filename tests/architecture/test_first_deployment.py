"""Each point of docs/operate/first-deployment.md names tests that there are, or a page that says why there is none."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/operate/first-deployment.md"
ROWS = re.findall(r"^\| (?!What could|-)(.+?) \| (.+?) \| (.+?) \|$", PAGE.read_text(), re.MULTILINE)


def test_every_point_is_shown_by_tests_that_there_are():
    shown = {point: re.findall(r"`(tests/[\w/.]+)::(\w+|\*)`", by) for point, _, by in ROWS}
    missing = {
        f"{path}::{name}"
        for tests in shown.values()
        for path, name in tests
        if not (ROOT / path).is_file()
        or (name != "*" and not re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE))
    }

    assert len(ROWS) == 27
    assert missing == set()
    assert [point for point, tests in shown.items() if not tests] == []
