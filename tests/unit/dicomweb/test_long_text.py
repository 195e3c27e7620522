"""Long documents are worked on in pieces, and come out whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicomweb import xml_model
from shared.dicomweb.long_text import TEXT_PIECE, cut, decoded, joined, text_pieces

pytestmark = pytest.mark.spec("STOW-46")

PIECE = 256 * 1024


KEY = b'"BulkDataURI":"'


@given(st.lists(st.integers(0, 600_000), max_size=6))
def test_pieces_end_between_tokens_and_make_up_the_document(lengths):
    document = b",".join(b"x" * length for length in lengths)
    pieces = list(cut(document))
    assert b"".join(pieces) == joined(pieces) == document
    assert all(PIECE < len(piece) <= 2 * PIECE for piece in pieces[:-1])


@given(st.integers(2 * PIECE - 40, 2 * PIECE + 40), st.sampled_from([b"x", b'\\"', "é".encode()]))
def test_no_key_is_cut(before, text):
    document = (text * before)[:before] + KEY + text * 300_000
    assert sum(piece.count(KEY) for piece in cut(document, KEY)) == 1
    assert b"".join(cut(document, KEY)) == document


def test_a_piece_is_as_long_as_it_must_be():
    assert max(map(len, cut(b"x," * 1_000_000))) <= PIECE + 2


def test_a_character_on_the_edge_of_two_pieces_is_one():
    text = "x" + "é€😀" * 100_000
    assert decoded(text.encode()) == text
    assert "".join(text_pieces(text)) == text


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(UnicodeDecodeError):
        decoded(b"x" * PIECE + b"\xc3")


def test_a_long_text_is_escaped_as_a_short_one():
    def written(times):
        return xml_model.dumps({"0040A160": {"vr": "UT", "Value": ["<é\x01&" * times + "\0"]}}).decode()

    assert written(TEXT_PIECE).count("&lt;é\ufffd&amp;") == TEXT_PIECE
    assert len(written(TEXT_PIECE)) == len(written(1)) + (TEXT_PIECE - 1) * len("&lt;é\ufffd&amp;")
