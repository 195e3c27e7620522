"""JSON documents of other servers: large ones are read as small ones are, a part at a time."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.outgoing import documents
from shared.outgoing.documents import read_document

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture
def large(monkeypatch):
    """Every document is a large one."""
    monkeypatch.setattr(documents, "AT_ONCE", 0)


@given(VALUES, st.sampled_from([None, 2]), st.booleans())
def test_a_large_document_has_the_values_of_a_small_one(value, indent, ascii_only):
    body = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        expected = orjson.loads(body)
    except ValueError:  # a lone surrogate
        return
    assert documents._loads_in_slices(body) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "{",
            "[",
            "{]",
            "[}",
            "[1,]",
            "[1 2]",
            "[,1]",
            "{,}",
            '{"a"}',
            '{"a":}',
            '{"a":1,}',
            '{"a":1 "b":2}',
        ),
        *(
            "{1:2}",
            "[[[[1,]]]]",
            '{"a":[{"b":tru}]}',
            "1 2",
            "[1]]",
            "[NaN]",
            '{"a":-Infinity}',
            '"abc',
            "[1]\x00",
            "\ufeff[]",
        ),
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
)
async def test_what_is_no_json_is_refused(large, text):
    with pytest.raises(ValueError, match=r"."):
        await read_document(text.encode())


async def test_a_bundle_is_read_entry_by_entry(large, monkeypatch):
    lengths = []
    scan = documents._scan

    def noted(text, at):
        value, end = scan(text, at)
        lengths.append(end - at)
        return value, end

    monkeypatch.setattr(documents, "_scan", noted)
    entry = {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "id": "1"}}
    bundle = {"resourceType": "Bundle", "entry": [entry] * 50}
    assert await read_document(orjson.dumps(bundle)) == bundle
    assert max(lengths) <= len(orjson.dumps(entry))
