"""Long elements are scanned in pieces, to the same values."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicomweb import json_scanner
from shared.dicomweb.json_input import read_json
from shared.dicomweb.json_scanner import read, scan
from shared.errors import InvalidRequest

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


@given(VALUES, st.sampled_from([(", ", ": "), (" ,\t", "\n:"), (",", ":")]), st.booleans(), st.integers(2, 9))
def test_a_text_of_a_client_is_read_in_pieces_as_at_one_go(value, separators, ascii_only, short):
    text = f" {json.dumps(value, separators=separators, ensure_ascii=ascii_only)}\r\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_scanner, "_SHORT", short)
        patch.setattr(json_scanner, "_AGAIN", short // 2)
        patch.setattr(json_scanner, "TEXT_PIECE", 13)
        assert read(text) == orjson.loads(text) == value


@given(st.text(alphabet='"\\u/,:[]{} \n1e-.dD83', max_size=40))
def test_what_is_no_json_at_one_go_is_none_in_pieces(text):
    try:
        value, is_json = orjson.loads(text), True
    except orjson.JSONDecodeError:
        value, is_json = None, False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_scanner, "_SHORT", 4)
        patch.setattr(json_scanner, "_AGAIN", 2)
        try:
            assert (read(text), is_json) == (value, True)
        except (ValueError, IndexError):
            assert not is_json


@pytest.mark.parametrize(
    "half", [r'"\ud83d"', r'"x\uDE00x"', r'["\ud83d\ud83d"]', '"' + "a" * 5000 + r'\ud83d"', "NaN"]
)
def test_half_a_character_and_no_number_are_refused(half):
    with pytest.raises(ValueError, match=r"."):
        read(half)


@pytest.mark.parametrize(
    ("text", "value"),
    [("9223372036854775807", 2**63 - 1), ("18446744073709551615", 2**64 - 1), ("18446744073709551616", 2.0**64)],
)
def test_a_number_is_exact_as_far_as_64_bits_go(text, value):
    assert read(f"[{text}]") == [value]
    assert type(read(text)) is type(orjson.loads(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        ("[" * 370 + '"' + "a" * 2100 + '"' + "]" * 370 + ",") * 40,
        ('{"a":' * 200 + '"' + "a" * 3000 + '"' + "}" * 200 + ",") * 40,
        '["' + '\\"' * 100_000 + '"],',
    ],
)
def test_what_is_looked_at_is_at_most_some_times_the_text(text, monkeypatch):
    looked_at = 0
    scan_at_one_go = json_scanner._scan

    def watched(piece, at=0):
        nonlocal looked_at
        looked_at += min(len(piece) - at, 20_000)
        return scan_at_one_go(piece, at)

    monkeypatch.setattr(json_scanner, "_scan", watched)
    text = f"[{text}1]"
    assert read(text) == orjson.loads(text)
    assert looked_at < 8 * len(text)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, ("[" + " " * 3000) * 900])
def test_what_is_nested_too_deep_is_refused(text):
    with pytest.raises((ValueError, RecursionError)):
        read(text)


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


@pytest.mark.parametrize("number", ["1e400", "-1E+400", "9" * 400])
def test_a_number_that_cannot_be_held_is_refused_in_texts_of_any_length(number):
    for text in (f"[{number}]", f"[{'1.5,' * 40_000}{number}]"):
        with pytest.raises(InvalidRequest):
            read_json(text.encode())
    assert read_json(b"[1e308, 1e-400]") == [1e308, 0.0]
