"""Files that are cut, truncated, mutated or made to hurt: only ever InvalidPart10, and never much memory."""

import itertools
import tracemalloc
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_charset_files, get_testdata_file

from shared.dicom.part10.file_reader import InvalidPart10, Part10, Part10Reader, second_opinion
from shared.dicom.part10.value_representations import VALUE_REPRESENTATIONS
from tests.builders.datasets import add_private, ct, set_frames, set_pixels
from tests.builders.datasets import part10 as written
from tests.builders.part10_bytes import (
    DEFL,
    EBE,
    ELE,
    ILE,
    UNDEFINED,
    encapsulated,
    end_of_item,
    end_of_sequence,
    explicit,
    file_meta,
    identified,
    implicit,
    item,
    nested,
    part10,
)

KEEP = frozenset({0x00100010, 0x00100020, 0x0020000D})


@cache
def corpus() -> tuple[bytes, ...]:
    """Small files of every kind."""
    samples = ["rtplan.dcm", "UN_sequence.dcm", "priv_SQ.dcm", "nested_priv_SQ.dcm", "test-SR.dcm", "image_dfl.dcm"]
    names = [get_testdata_file(name, download=False) for name in samples] + get_charset_files("chrH3*.dcm")
    files = [Path(name).read_bytes() for name in names]
    files += [written(add_private(ct(), 2), syntax) for syntax in (ELE, ILE, EBE, DEFL)]
    frames = [b"\xff\xd8 frame %d" % number for number in range(4)]
    files.append(written(set_frames(set_pixels(ct(), frames=4), frames, fragments=2), "1.2.840.10008.1.2.4.50"))
    files.append(written(set_frames(set_pixels(ct(), frames=4), frames, extended=True), "1.2.840.10008.1.2.4.50"))
    steps = explicit(0x00400440, "SQ", item(explicit(0x00091001, "OB", bytes(500)), delimited=True), length=UNDEFINED)
    nested = steps + end_of_sequence() + explicit(0x00880200, "SQ", item(encapsulated(b"icon", b"more")))
    files.append(
        part10(identified(nested + explicit(0x7FE00010, "OW", bytes(600)) + explicit(0xFFFCFFFC, "OB", b"\0\0")))
    )
    return tuple(files)


def read(*chunks: bytes, strict: bool = True) -> Part10:
    reader = Part10Reader(strict=strict, keep_text=KEEP)
    for chunk in chunks:
        reader.feed(chunk)
    return reader.finish()


@cache
def whole(number: int) -> Part10:
    return read(corpus()[number])


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        yield data[start:end]


FILES = st.integers(0, len(corpus()) - 1)


@settings(max_examples=150)
@given(FILES, st.lists(st.integers(0, 1 << 20), max_size=12))
def test_a_file_reads_the_same_however_it_is_cut(number: int, cuts: list[int]) -> None:
    assert read(*pieces(corpus()[number], cuts)) == whole(number)


@pytest.mark.parametrize("number", range(len(corpus())))
@pytest.mark.parametrize("size", [1, 2, 3, 13])
def test_a_file_reads_the_same_in_tiny_chunks(number: int, size: int) -> None:
    data = corpus()[number][:20_000]
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    if len(data) == len(corpus()[number]):
        assert read(*chunks) == whole(number)
    else:
        with pytest.raises(InvalidPart10):
            read(*chunks)


@settings(max_examples=200)
@given(FILES, st.integers(0, 1 << 20), st.integers(1, 1 << 14))
def test_a_truncated_file_is_refused_or_is_its_first_elements(number: int, end: int, chunk: int) -> None:
    data = corpus()[number]
    data = data[: end % len(data)]
    try:
        part = read(*(data[start : start + chunk] for start in range(0, len(data), chunk)))
    except InvalidPart10:
        return
    attributes = whole(number).attributes
    assert part.length == len(data)
    assert part.attributes == {tag: attributes[tag] for tag in list(attributes)[: len(part.attributes)]}


@settings(max_examples=60)
@given(FILES, st.integers(0, 1 << 20))
def test_a_second_opinion_on_a_truncated_file_is_no_other_exception(number: int, end: int) -> None:
    data = corpus()[number]
    data = data[: end % len(data)]
    try:
        second_opinion(data)
    except InvalidPart10:
        return


MUTATIONS = st.lists(
    st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=4) | st.just(b"\xff\xff\xff\xff")), max_size=8
)


def mutated(number: int, mutations: list[tuple[int, bytes]]) -> bytes:
    data = bytearray(corpus()[number])
    for position, replacement in mutations:
        # Most of what there is to break is at the beginning.
        start = 132 + position % (min(len(data), 4000) - 132)
        data[start : start + len(replacement)] = replacement
    return bytes(data)


@settings(max_examples=200)
@given(FILES, MUTATIONS, st.integers(1, 1 << 14))
def test_a_mutated_file_is_read_or_refused(number: int, mutations: list[tuple[int, bytes]], chunk: int) -> None:
    data = mutated(number, mutations)
    reader = Part10Reader(strict=True, keep_text=KEEP)
    try:
        for start in range(0, len(data), chunk):
            reader.feed(data[start : start + chunk])
            assert reader.identifier is None or reader.identifier.study_instance_uid
        part = reader.finish()
    except InvalidPart10:
        return
    assert part.length == len(data)
    assert list(part.attributes) == sorted(part.attributes)


@settings(max_examples=100)
@given(FILES, MUTATIONS)
def test_a_second_opinion_on_a_mutated_file_is_no_other_exception(
    number: int, mutations: list[tuple[int, bytes]]
) -> None:
    try:
        second_opinion(mutated(number, mutations), strict=True, keep_text=KEEP)
    except InvalidPart10:
        return


@settings(max_examples=200)
@given(st.sampled_from([ELE, ILE, EBE, DEFL, "1.2.840.10008.1.2.4.50"]), st.binary(max_size=300))
def test_noise_is_read_or_refused(syntax: str, noise: bytes) -> None:
    for body in (noise, identified() + noise):
        for reading in (read, second_opinion):
            try:
                reading(file_meta(syntax) + body)
            except InvalidPart10:
                continue


def test_sequences_are_read_to_a_depth_that_is_bounded() -> None:
    attributes = read(part10(nested(b"", 64, tag=0x0040A730, delimited=True))).attributes
    for _ in range(63):
        (attributes,) = attributes["0040A730"]["Value"]
    assert attributes == {"0040A730": {"vr": "SQ", "Value": [{}]}}
    for depth in (65, 100_000):
        with pytest.raises(InvalidPart10):
            read(part10(nested(b"", depth, tag=0x0040A730, delimited=True)))
        with pytest.raises(InvalidPart10):
            second_opinion(part10(nested(b"", depth, tag=0x0040A730, delimited=True)))


LONG = 0xFFFFFFFE
REFUSED = {
    "no preamble": b"DICM" + bytes(200),
    "another prefix": bytes(128) + b"DICOM" + bytes(200),
    "nothing": b"",
    "a preamble only": bytes(132),
    "file meta information only": file_meta(),
    "no transfer syntax": bytes(128) + b"DICM" + explicit(0x00020002, "UI", "1.2") + explicit(0x00080060, "CS", "CT"),
    "an empty transfer syntax": bytes(128) + b"DICM" + explicit(0x00020010, "UI") + explicit(0x00080060, "CS", "CT"),
    "endless file meta information": bytes(128) + b"DICM" + explicit(0x00020102, "OB", b"", length=LONG),
    "a sequence in the file meta information": bytes(128) + b"DICM" + explicit(0x00020010, "SQ", b"\0\0\0\0"),
    "an element longer than the file": part10(explicit(0x00080060, "UT", b"CT", length=LONG)),
    "a bulk value longer than the file": part10(explicit(0x7FE00010, "OW", b"12", length=LONG)),
    "an element longer than its item": part10(
        explicit(0x00400275, "SQ", item(explicit(0x00080060, "CS", b"CT", length=4)))
    ),
    "a bulk value longer than its item": part10(
        explicit(0x00400275, "SQ", item(explicit(0x00091001, "OB", b"", length=9)))
    ),
    "a sequence longer than its item": part10(
        explicit(0x00400275, "SQ", item(explicit(0x00400440, "SQ", b"", length=9)))
    ),
    "an item longer than its sequence": part10(explicit(0x00400275, "SQ", item(b"", length=8)) + bytes(8)),
    "a sequence of elements": part10(explicit(0x00400275, "SQ", explicit(0x00080060, "CS", "CT"))),
    "a sequence that never ends": part10(explicit(0x00400275, "SQ", item(), length=UNDEFINED)),
    "an item that never ends": part10(explicit(0x00400275, "SQ", item(delimited=True)[:-8])),
    "a delimiter at the top": part10(end_of_item()),
    "a sequence delimiter at the top": part10(end_of_sequence()),
    "an item at the top": part10(item()),
    "a delimiter in an item of known length": part10(explicit(0x00400275, "SQ", item(item(delimited=True)[-8:]))),
    "a delimiter with a length": part10(
        explicit(0x00400275, "SQ", item() + end_of_sequence()[:-4] + b"\2\0\0\0", length=UNDEFINED)
    ),
    "text of undefined length": part10(explicit(0x0040A160, "UT", b"", length=UNDEFINED) + end_of_sequence()),
    "text of undefined length, implicit VR": part10(
        implicit(0x00100020, b"", length=UNDEFINED) + end_of_sequence(), ILE
    ),
    "numbers of undefined length": part10(implicit(0x00280010, item(), length=UNDEFINED) + end_of_sequence(), ILE),
    "a fragment of undefined length": part10(
        explicit(0x7FE00010, "OB", item() + item(delimited=True), length=UNDEFINED)
    ),
    "fragments that never end": part10(explicit(0x7FE00010, "OB", item() + item(b"12"), length=UNDEFINED)),
    "elements for fragments": part10(explicit(0x7FE00010, "OB", explicit(0x00080060, "CS", "CT"), length=UNDEFINED)),
    "the beginning of an element": part10(identified(b"\x20\x00\x0f\x00LO")),
    "one element twice": part10(explicit(0x00100020, "LO", "P1") + explicit(0x00100020, "LO", "P2")),
    "one element twice, later": part10(
        explicit(0x00100020, "LO", "P1") + explicit(0x00100030, "DA") + explicit(0x00100020, "LO", "P2")
    ),
    "one element twice in an item": part10(explicit(0x00400275, "SQ", item(explicit(0x00100020, "LO", "P1") * 2))),
    "no deflated data": file_meta(DEFL) + b"this is not deflated",
    "deflated data that end early": part10(identified(), DEFL)[:-4],
    "much after deflated data": part10(identified(), DEFL) + bytes(100),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_a_file_is_refused_that_has(data: bytes, chunk: int) -> None:
    with pytest.raises(InvalidPart10) as refused:
        read(*(data[start : start + chunk] for start in range(0, len(data), chunk)))
    assert "P1" not in str(refused.value)


FINAL = {"no preamble", "another prefix", "no transfer syntax", "a bulk value longer than the file", "no deflated data"}


@pytest.mark.parametrize("name", sorted(FINAL))
def test_a_refusal_says_when_a_second_opinion_is_of_no_use(name: str) -> None:
    with pytest.raises(InvalidPart10) as refused:
        read(REFUSED[name])
    assert refused.value.final is (name != "no deflated data")
    with pytest.raises(InvalidPart10):
        second_opinion(REFUSED[name])


def test_a_reader_that_has_refused_a_file_refuses_what_follows() -> None:
    reader = Part10Reader(strict=False)
    with pytest.raises(InvalidPart10):
        reader.feed(bytes(200))
    with pytest.raises(InvalidPart10):
        reader.feed(bytes(200))
    with pytest.raises(InvalidPart10):
        reader.finish()


def peak_of(chunks: Iterator[bytes], **options: int) -> tuple[int, Exception | Part10]:
    """The memory that reading takes at most, in bytes, and what becomes of it."""
    reader = Part10Reader(strict=False, **options)
    tracemalloc.start()
    try:
        for chunk in chunks:
            reader.feed(chunk)
        result: Exception | Part10 = reader.finish()
    except InvalidPart10 as error:
        result = error
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return peak, result


def repeated(head: bytes, unit: bytes, total: int, tail: bytes = b"") -> Iterator[bytes]:
    yield head
    block = unit * ((1 << 18) // len(unit))
    for _ in range(total // len(block)):
        yield block
    yield unit * (total % len(block) // len(unit))
    yield tail


MIB = 1 << 20


@pytest.mark.parametrize("nested", [False, True])
def test_bulk_values_stream_past(nested: bool) -> None:
    size = 96 * MIB
    bulk = explicit(0x54001010, "OW", b"", length=size)
    head = explicit(0x54000100, "SQ", item(bulk, length=size + len(bulk)), length=size + len(bulk) + 8)[
        : 20 + len(bulk)
    ]
    chunks = repeated(part10(identified(head if nested else bulk)), bytes(64), size)
    peak, result = peak_of(chunks)
    assert isinstance(result, Part10)
    assert result.length > size
    assert peak < 2 * MIB


def test_fragments_stream_past() -> None:
    one = item(bytes(MIB - 8))
    head = part10(identified(explicit(0x7FE00010, "OB", item(), length=UNDEFINED)), "1.2.840.10008.1.2.4.50")
    peak, result = peak_of(iter([head, *[one] * 64, end_of_sequence()]))
    assert isinstance(result, Part10)
    assert result.frames is not None
    assert peak < 4 * MIB


FLOODS = {
    "items": (explicit(0x00400275, "SQ", b"", length=UNDEFINED), item()),
    "fragments": (explicit(0x7FE00010, "OB", item(), length=UNDEFINED), item()),
    "numbers": (explicit(0x00091001, "UT", b"", length=64 * MIB), b"1\\"),
    "a text": (explicit(0x00091001, "UT", b"", length=3 * MIB), b"text"),
    "offsets": (explicit(0x7FE00010, "OB", item(b"", length=64 * MIB), length=UNDEFINED), bytes(4)),
    "extended offsets": (explicit(0x7FE00001, "OV", b"", length=64 * MIB), bytes(8)),
}


@pytest.mark.parametrize(("head", "unit"), FLOODS.values(), ids=FLOODS.keys())
def test_floods_are_refused_in_bounded_memory(head: bytes, unit: bytes) -> None:
    peak, result = peak_of(repeated(part10(head), unit, 64 * MIB), header_limit=2 * MIB)
    assert isinstance(result, InvalidPart10)
    assert peak < 24 * MIB


def elements(tag: int = 0x00091000) -> Iterator[bytes]:
    yield file_meta(ILE)
    for start in range(tag, tag + 500_000, 5_000):
        yield b"".join(implicit(one) for one in range(start, start + 5_000) if one & 0xFFFF)


def test_a_flood_of_elements_is_refused_in_bounded_memory() -> None:
    peak, result = peak_of(elements(), header_limit=2 * MIB)
    assert isinstance(result, InvalidPart10)
    assert result.final
    assert peak < 24 * MIB


@pytest.mark.parametrize("vr", ["US", "DS", "LO", "AT", "PN"])
def test_many_values_weigh_more_than_their_bytes(vr: str) -> None:
    raw = {"US": b"\1\2", "DS": b"1\\", "LO": b"\\\\", "AT": b"\1\2\3\4", "PN": b"a\\"}[vr] * 15_000
    body = b"".join(explicit(0x00091000 + number, vr, raw) for number in range(1, 60))
    peak, result = peak_of(iter([part10(body)]), header_limit=2 * MIB)
    assert isinstance(result, InvalidPart10)
    assert peak < 40 * MIB


def test_a_deflated_bomb_is_refused_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.dicom.part10.file_reader.INFLATED_BYTES", 40 * MIB)
    monkeypatch.setattr("shared.dicom.part10.tolerant_reader.ODD_INFLATED_BYTES", 40 * MIB)
    deflater = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    head = deflater.compress(identified(explicit(0x7FE00010, "OW", b"", length=0xFFFFFFFE)))
    bomb = b"".join(deflater.compress(bytes(MIB)) for _ in range(50)) + deflater.flush()
    peak, result = peak_of(iter([file_meta(DEFL), head, bomb]))
    assert isinstance(result, InvalidPart10)
    assert result.final
    assert peak < 8 * MIB
    with pytest.raises(InvalidPart10):
        second_opinion(file_meta(DEFL) + head + bomb)


def test_a_long_value_in_small_chunks_is_put_together_once() -> None:
    data = part10(identified(explicit(0x0040A160, "UT", b"x" * (4 * MIB))))
    result = read(*(data[start : start + 512] for start in range(0, len(data), 512)))
    assert result.attributes["0040A160"]["Value"] == ["x" * (4 * MIB)]


@pytest.mark.parametrize("unit", [item(), item(explicit(0x00080060, "CS", "CT"))], ids=["items", "elements"])
def test_a_second_opinion_does_not_read_without_end(unit: bytes) -> None:
    flood = explicit(0x00400275, "SQ", b"", length=UNDEFINED) + unit * 600_000
    with pytest.raises(InvalidPart10):
        second_opinion(part10(explicit(0x00080060, "??", b"CT") + flood))


VALUES = {
    "UC": (b"ab", b"abcdefgh", b"\xc3\xa9" * 4),
    "DS": (b"1.5", b"1.5x"),
    "IS": (b"12345",),
    "PN": (b"a", b"aa=bb=cc"),
    "US": (b"\xff\xff",),
    "UL": (bytes(4),),
    "FD": (b"12345678",),
    "AT": (b"1234",),
}


@pytest.mark.spec("STOW-50")
@pytest.mark.parametrize(("vr", "value"), [(vr, value) for vr, values in VALUES.items() for value in values])
def test_values_are_charged_what_they_take(vr: str, value: bytes) -> None:
    """A budget that believes less than the truth lets a process grow beyond it."""
    text = VALUE_REPRESENTATIONS[vr].kind not in {"binary", "tags"}
    count = 2000
    raw = b"\\".join([value] * count) if text else value * count
    sets = explicit(0x00080005, "CS", "ISO_IR 192")
    elements = b"".join(explicit(0x00720051 + number, vr, raw) for number in range(4))
    reader = Part10Reader(strict=False)
    reader.feed(part10(sets))
    tracemalloc.start()
    try:
        reader.feed(elements)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken <= reader.header_bytes + 16 * 1024
