"""Long elements are scanned in pieces, to the same values."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicomweb import json_scanner
from shared.dicomweb.json_scanner import scan

pytestmark = pytest.mark.spec("STOW-46")

TEXT = st.text(st.sampled_from('a"\\\n\x1fé😀}]'), max_size=40)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
)


@given(VALUES)
def test_a_value_is_read_in_pieces_as_at_one_go(value):
    text = orjson.dumps(value).decode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_scanner, "_SHORT", 2)
        patch.setattr(json_scanner, "TEXT_PIECE", 7)
        assert scan(f"x{text}x", 1) == (value, 1 + len(text))


@pytest.mark.parametrize("text", ['"abc', '"abc\\', '["a"', '{"a":1', '{"a"', "[1,"])
def test_what_is_cut_short_is_refused(text):
    with pytest.raises((ValueError, IndexError)):
        scan(text, 0)


@pytest.mark.parametrize("value", ['"' * 200_000, "\\" * 200_000, ["a"] * 100_000, {"Alphabetic": "\n" * 200_000}])
def test_no_step_reads_more_than_a_piece(value, monkeypatch):
    steps = []

    def watched(text, at=0):
        steps.append(min(len(text) - at, 1 << 20))
        return json.JSONDecoder().raw_decode(text, at)

    monkeypatch.setattr(json_scanner, "_scan", watched)
    text = json.dumps({"vr": "UT", "Value": [value]}, separators=(",", ":"), ensure_ascii=False)
    assert scan(text, 0)[0]["Value"] == [value]
    assert max(steps) <= 6 * 16 * 1024 + 2
