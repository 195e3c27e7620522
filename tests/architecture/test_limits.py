"""The table of limits says what settings and code say."""

import importlib
import re
from pathlib import Path

import pytest

from shared.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "operate" / "limits.md"
UNITS = {"": 1, "bytes": 1, "s": 1, "h": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
ROWS = re.findall(r"^\| ([^|]+) \| (\d+)(?: (\w+))? \| `([^`]+)` \| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
SETTINGS = {field.alias: field.default for field in Settings.model_fields.values()}


def test_every_row_of_the_page_is_read():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and "Setting, or place" not in line]

    assert len(ROWS) == len(rows) > 25


@pytest.mark.parametrize(("what", "number", "unit", "place", "beyond"), ROWS, ids=[row[0] for row in ROWS])
def test_a_limit_is_what_the_page_says(what, number, unit, place, beyond):
    module, _, name = place.partition(":")
    value = getattr(importlib.import_module(module), name) if name else SETTINGS[module]

    assert value == int(number) * UNITS[unit], what
    assert beyond.strip()
