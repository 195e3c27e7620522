"""A JSON array in pieces of any size."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cast.json_stream import ObjectStream, read_object
from shared.cast.ports import Unreadable

VALUES = st.recursive(
    st.none() | st.text() | st.integers(-1000, 1000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=5), st.integers(1, 40))
def test_whole_objects_come_out_of_pieces(objects: list[dict[str, object]], size: int) -> None:
    document = b" " + orjson.dumps(objects)
    stream, found = ObjectStream(), []
    for at in range(0, len(document), size):
        found += [orjson.loads(each) for each in stream.feed(document[at : at + size])]
    stream.end()
    assert found == objects


@pytest.mark.parametrize("document", [b"", b'{"a": 1}', b'[{"a": 1', b"<html>", b'[{"a": "', b"[}"])
def test_what_is_no_array_is_unreadable(document: bytes) -> None:
    def read() -> None:
        stream = ObjectStream()
        list(stream.feed(document))
        stream.end()

    with pytest.raises(Unreadable):
        read()


def test_numbers_that_json_does_not_have_are_read() -> None:
    assert read_object(b'{"x": -Infinity}') == {"x": float("-inf")}
    assert read_object(b'{"x": ') is None
