from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dicomweb.multipart import (
    MultipartReader,
    PartData,
    PartEnd,
    PartHeaders,
    closing,
    content_type,
    new_boundary,
    part_head,
)
from shared.errors import InvalidRequest

BOUNDARY = b"bound"


def read(*chunks: bytes, boundary: bytes = BOUNDARY) -> list[tuple[dict[str, str], bytes]]:
    """The parts of a body that arrives in `chunks`. Also checks that the events are in order."""
    reader = MultipartReader(boundary)
    parts: list[tuple[dict[str, str], bytes]] = []
    is_open = False
    for chunk in chunks:
        for event in reader.feed(chunk):
            match event:
                case PartHeaders(headers):
                    assert not is_open
                    is_open = True
                    parts.append((dict(headers), b""))
                case PartData(data):
                    assert is_open
                    assert data
                    parts[-1] = (parts[-1][0], parts[-1][1] + data)
                case PartEnd():
                    assert is_open
                    is_open = False
    reader.finish()
    assert not is_open
    return parts


def outcome(chunks: list[bytes]) -> object:
    try:
        return read(*chunks)
    except InvalidRequest:
        return "refused"


def test_parts_come_out_with_their_headers_and_bytes():
    body = b"--bound\r\nContent-Type: application/dicom\r\n\r\nfirst\r\n--bound\r\n\r\nsecond\r\n--bound--\r\n"

    assert read(body) == [({"content-type": "application/dicom"}, b"first"), ({}, b"second")]


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (b"--bound--", []),
        (b"--bound--\r\n", []),
        (b"preamble\r\n--bound\r\n\r\nx\r\n--bound--\r\nepilogue \r\n--bound\r\n", [({}, b"x")]),
        (b"--bound \t\r\n\r\nx\r\n--bound  \r\n\r\ny\r\n--bound-- \r\n", [({}, b"x"), ({}, b"y")]),
        (b"--bound\r\nA: b\r\n\r\n\r\n--bound--", [({"a": "b"}, b"")]),
        (b"--bound\r\nA: b\r\n\r\n--bound--", [({"a": "b"}, b"")]),
        (b"--bound\r\nA: b\r\n--bound--", [({"a": "b"}, b"")]),
        (b"--bound\r\n\r\n\r\n--bound--", [({}, b"")]),
        (b"--bound\r\n--bound--", [({}, b"")]),
        (b"--bound\r\nA: b\r\n  c\r\n\td\r\n\r\nx\r\n--bound--", [({"a": "b c d"}, b"x")]),
        (b"--bound\r\nA :b\r\n\r\nx\r\n--bound--", [({"a": "b"}, b"x")]),
        (b"--bound\r\n\r\n--boundless\r\n--bound--", [({}, b"--boundless")]),
        (b"--bound\r\n\r\n\r\n--boundless\r\n--bound--", [({}, b"\r\n--boundless")]),
        (b"--bound\r\n\r\n--boun\r\n--bound--", [({}, b"--boun")]),
        (b"--bound\r\n\r\n\r\n\r\n\r\n--bound--", [({}, b"\r\n\r\n")]),
        (b"--bound\r\n\r\nx\r\n--bound y\r\n--bound--", [({}, b"x\r\n--bound y")]),
        (b"--bound\r\n\r\nx\n--bound\n\r\n--bound--", [({}, b"x\n--bound\n")]),
    ],
)
def test_framing_that_real_clients_write_is_read(body, parts):
    assert read(body) == parts
    assert read(*(body[i : i + 1] for i in range(len(body)))) == parts


@pytest.mark.spec("STOW-6")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no delimiter at all",
        b"--bound",
        b"--bound\r\n",
        b"--bound\r\nA: b\r\n",
        b"--bound\r\nA: b\r\n\r\ndata",
        b"--bound\r\n\r\ndata\r\n--bound",
        b"--bound\r\n\r\ndata\r\n--bound-",
        b"--bound\r\n\r\ndata\r\n--bound\r\n",
        b"--bound\r\nno colon\r\n\r\ndata\r\n--bound--",
        b"--bound\r\n: no name\r\n\r\ndata\r\n--bound--",
        b"--bound\r\n folded: first\r\n\r\ndata\r\n--bound--",
        b"--bound\r\nA: b\nc\r\n\r\ndata\r\n--bound--",
        b"--bound\r\nA: " + b"x" * 17000 + b"\r\n\r\ndata\r\n--bound--",
        b"--bound\r\n" + b"A: b\r\n" * 3000 + b"\r\ndata\r\n--bound--",
    ],
)
def test_malformed_framing_is_refused(body):
    with pytest.raises(InvalidRequest):
        read(body)


def test_a_closing_delimiter_inside_data_is_refused_rather_than_cutting_the_file_short():
    with pytest.raises(InvalidRequest, match="contains the boundary"):
        read(b"--bound\r\n\r\nhalf\r\n--bound--half\r\n--bound--")


@pytest.mark.parametrize("boundary", [b"", b"x" * 201, b"a\r\nb"])
def test_an_impossible_boundary_is_refused(boundary):
    with pytest.raises(InvalidRequest):
        MultipartReader(boundary)


def test_the_header_limit_does_not_depend_on_the_cuts():
    for length in range(16370, 16390):
        body = b"--bound\r\nA: " + b"x" * length + b"\r\n\r\ndata\r\n--bound--"
        cuts = [outcome([body[:at], body[at:]]) for at in range(length, len(body))]

        assert all(result == outcome([body]) for result in cuts)


# Pieces that make a delimiter, or nearly: random bytes alone would never come close.
PIECES = [
    b"\r",
    b"\n",
    b"\r\n",
    b"-",
    b"--",
    b"bound",
    b"--bound",
    b"\r\n--bound",
    b" ",
    b"\t",
    b"A: b\r\n",
    b"x",
    b":",
]


@settings(max_examples=200)
@given(st.lists(st.sampled_from(PIECES), max_size=20), st.data())
def test_every_way_of_cutting_a_body_gives_the_same_events(pieces, data):
    body = b"--bound\r\n" * data.draw(st.booleans()) + b"".join(pieces) + b"\r\n--bound--" * data.draw(st.booleans())
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))

    assert outcome([body[a:b] for a, b in pairwise([0, *cuts, len(body)])]) == outcome([body])
    assert outcome([body[i : i + 1] for i in range(len(body))]) == outcome([body])


HEADERS = st.lists(
    st.tuples(
        st.text("abcdefghij-", min_size=1, max_size=10),
        st.text("abc /;=\"'*.", max_size=20).map(lambda text: text.strip()),
    ),
    max_size=3,
    unique_by=lambda header: header[0],
)


@pytest.mark.spec("WADO-22")
@settings(max_examples=100)
@given(st.lists(st.tuples(HEADERS, st.binary(max_size=200)), min_size=1, max_size=4), st.integers(1, 64))
def test_what_the_writer_writes_the_reader_reads(parts, size):
    boundary = new_boundary()
    body = b"".join(
        part_head(boundary, headers, first=number == 0) + data for number, (headers, data) in enumerate(parts)
    ) + closing(boundary)

    found = read(*(body[i : i + size] for i in range(0, len(body), size)), boundary=boundary.encode())

    assert found == [(dict(headers), data) for headers, data in parts]


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_hostile_bytes_raise_nothing_but_invalid_request(body):
    outcome([body])
    outcome([b"--bound\r\n" + body])


def test_memory_stays_constant_while_data_streams_past():
    reader = MultipartReader(BOUNDARY)
    reader.feed(b"--bound\r\n\r\n")
    for chunk in (b"\r\n--boun" * 1000, b"\r" * 10_000, b"x" * 100_000):
        reader.feed(chunk)

        assert len(reader._held) <= len(b"\r\n--bound")


@pytest.mark.spec("WADO-22", "WADO-23")
def test_the_writer_frames_parts_without_preamble_or_epilogue():
    headers = [("Content-Type", "application/dicom; transfer-syntax=1.2.840.10008.1.2.1")]

    body = part_head("b", headers, first=True) + b"one" + part_head("b", headers, first=False) + b"two" + closing("b")

    assert body == (
        b"--b\r\nContent-Type: application/dicom; transfer-syntax=1.2.840.10008.1.2.1\r\n\r\none"
        b"\r\n--b\r\nContent-Type: application/dicom; transfer-syntax=1.2.840.10008.1.2.1\r\n\r\ntwo"
        b"\r\n--b--\r\n"
    )


@pytest.mark.spec("WADO-21")
def test_the_content_type_names_the_type_of_the_parts():
    assert content_type("b", "application/dicom") == 'multipart/related; type="application/dicom"; boundary=b'


def test_a_part_header_cannot_smuggle_in_another():
    with pytest.raises(ValueError, match="line break"):
        part_head("b", [("Content-Location", "x\r\nSet-Cookie: y")], first=True)


def test_boundaries_are_long_and_never_the_same():
    boundaries = {new_boundary() for _ in range(100)}

    assert len(boundaries) == 100
    assert {len(boundary) for boundary in boundaries} == {64}


@pytest.mark.spec("STOW-6")
@pytest.mark.parametrize("line", [b"a: b\r\n", b" folded\r\n"])
def test_a_part_has_at_most_64_lines_of_headers(line):
    for count, is_read in ((63, True), (64, False), (1000, False)):
        body = b"--bound\r\nA: b\r\n" + line * count + b"\r\nx\r\n--bound--"
        found = outcome([body])
        assert (found != "refused") is is_read
        assert found == outcome([body[:300], body[300:]])
