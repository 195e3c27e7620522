import math
from types import SimpleNamespace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dicomweb import json_model
from shared.dicomweb.json_model import (
    dumps,
    dumps_in_slices,
    join,
    loads_in_slices,
    rebase_bulk_data,
    with_character_set,
    without_bulk_data,
)

BULK = ("OB", "OD", "OF", "OL", "OV", "OW", "UN")

# Text that looks like the structure that the functions search for.
TRAPS = st.sampled_from(
    [
        '"BulkDataURI":"7FE00010"',
        '{"vr":"OB"}',
        '"7FE00010":{"vr":"OB","BulkDataURI":"7FE00010"}',
        ',"00080005":{"vr":"CS"}',
        '\\":{"vr":"UN"}',
        "\\",
        '"',
        "é",
        "plain",
        "",
    ]
)
TAGS = st.integers(0x00080006, 0x7FE0FFFF).map(lambda tag: f"{tag:08X}")


def datasets(depth: int = 2):
    text = st.builds(lambda value: {"vr": "LO", "Value": [value]}, TRAPS)
    bulk = st.builds(
        lambda vr, uri: {"vr": vr, **uri}, st.sampled_from(BULK), st.sampled_from([{}, {"BulkDataURI": "x/1/y"}])
    )
    number = st.builds(lambda value: {"vr": "FD", "Value": [value]}, st.floats(allow_nan=False, allow_infinity=False))
    elements = [text, bulk, number]
    if depth:
        items = st.lists(st.deferred(lambda: datasets(depth - 1)), max_size=2)
        elements.append(st.builds(lambda value: {"vr": "SQ", **({"Value": value} if value else {})}, items))
    return st.dictionaries(TAGS, st.one_of(elements), max_size=4).map(lambda found: dict(sorted(found.items())))


def without(dataset: dict) -> dict:
    return {
        tag: {**element, "Value": [without(item) for item in element["Value"]]}
        if element["vr"] == "SQ" and "Value" in element
        else element
        for tag, element in dataset.items()
        if element["vr"] not in BULK
    }


@pytest.mark.spec("META-3")
@settings(max_examples=200)
@given(datasets())
def test_bulk_elements_are_removed_at_every_level_and_nothing_else(dataset):
    assert orjson.loads(without_bulk_data(dumps(dataset))) == without(dataset)


@pytest.mark.spec("META-3")
def test_empty_bulk_elements_go_too_and_items_stay():
    document = dumps(
        {
            "00080060": {"vr": "CS", "Value": ["CT"]},
            "00281201": {"vr": "OW"},
            "54000100": {"vr": "SQ", "Value": [{"54001010": {"vr": "OW", "BulkDataURI": "54000100/1/54001010"}}]},
            "7FE00010": {"vr": "OW", "BulkDataURI": "7FE00010"},
        }
    )

    assert without_bulk_data(document) == (
        b'{"00080060":{"vr":"CS","Value":["CT"]},"54000100":{"vr":"SQ","Value":[{}]}}'
    )


def test_a_document_without_bulk_data_is_left_alone():
    document = dumps({"00080060": {"vr": "CS", "Value": ["OB"]}})

    assert without_bulk_data(document) is document


@settings(max_examples=100)
@given(datasets())
def test_bulk_data_uris_become_absolute_at_every_level_and_text_stays(dataset):
    url = "https://h/v2/studies/1/series/2/instances/3"

    def rebased(found: dict) -> dict:
        result = {}
        for tag, element in found.items():
            result[tag] = dict(element)
            if "BulkDataURI" in element:
                result[tag]["BulkDataURI"] = f"{url}/bulkdata/{element['BulkDataURI']}"
            elif element["vr"] == "SQ" and "Value" in element:
                result[tag]["Value"] = [rebased(item) for item in element["Value"]]
        return result

    assert orjson.loads(rebase_bulk_data(dumps(dataset), url)) == rebased(dataset)


@pytest.mark.spec("JSON-7")
def test_text_that_is_not_ascii_is_declared_as_utf_8():
    document = dumps(
        {
            "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller"}]},
        }
    )

    finished = orjson.loads(with_character_set(document, as_stored=False))

    assert finished["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert list(finished) == ["00080005", "00100010"]


@pytest.mark.spec("JSON-7")
@pytest.mark.parametrize(
    "declared",
    [{"vr": "CS"}, {"vr": "CS", "Value": ["ISO_IR 100"]}, {"vr": "CS", "Value": [None, "ISO 2022 IR 87"]}, None],
)
def test_ascii_text_needs_no_character_set(declared):
    rest = {"00080060": {"vr": "CS", "Value": ["CT"]}}
    document = dumps({**({"00080005": declared} if declared else {}), **rest})

    assert orjson.loads(with_character_set(document, as_stored=False)) == rest


def test_the_character_set_as_stored_is_kept_on_request():
    document = dumps({"00080005": {"vr": "CS", "Value": ["ISO_IR 100"]}})

    assert with_character_set(document, as_stored=True) is document


@pytest.mark.spec("JSON-7", "JSON-1")
@settings(max_examples=200)
@given(datasets(), st.booleans(), st.booleans(), st.booleans())
def test_the_character_set_is_right_wherever_it_stood(dataset, top, nested, earlier):
    declared = {"00080005": {"vr": "CS", "Value": ["ISO_IR 100", "]}"]}}
    dataset = {**({"00080001": {"vr": "UL"}} if earlier else {}), **(declared if top else {}), **dataset}
    if nested:
        dataset["FFFC0000"] = {"vr": "SQ", "Value": [dict(declared)]}
    document = dumps(dataset)

    finished = with_character_set(document, as_stored=False)

    expected = {tag: element for tag, element in dataset.items() if tag != "00080005"}
    if nested:
        expected["FFFC0000"] = {"vr": "SQ", "Value": [{}]}
    if not document.isascii():
        expected["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert orjson.loads(finished) == expected
    assert list(orjson.loads(finished)) == sorted(expected)


def test_numbers_that_json_lacks_are_written_as_names():
    document = {
        "00189804": {"vr": "FD", "Value": [1.5, math.nan, None]},
        "00189999": {"vr": "SQ", "Value": [{"00189805": {"vr": "FL", "Value": [math.inf, -math.inf]}}]},
    }

    written = orjson.loads(dumps([document]))

    assert written[0]["00189804"]["Value"] == [1.5, "NaN", None]
    assert written[0]["00189999"]["Value"][0]["00189805"]["Value"] == ["Infinity", "-Infinity"]


@pytest.mark.spec("JSON-9")
def test_finished_documents_are_joined_to_an_array():
    assert join([]) == b"[]"
    assert orjson.loads(join([b'{"a":1}', b'{"b":2}'])) == [{"a": 1}, {"b": 2}]


@pytest.mark.spec("JSON-1", "STOW-46")
def test_a_document_made_item_by_item_is_the_same():
    values = {"vr": "FD", "Value": [1.5, math.nan, math.inf, None]}
    nested = {
        "vr": "SQ",
        "Value": [{}, {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "M\u00fcller"}]}, "00189087": values}],
    }
    for dataset in ({}, {"00080060": {"vr": "CS"}, "00081140": nested, "00081199": {"vr": "SQ"}, "00189087": values}):
        assert dumps_in_slices(dataset) == dumps(dataset)


@pytest.mark.spec("JSON-1", "STOW-46")
@given(datasets())
def test_a_document_is_written_and_read_item_by_item_as_at_one_go(dataset: dict) -> None:
    document = dumps_in_slices(dataset)
    assert document == dumps(dataset)
    assert loads_in_slices(document) == dataset
    assert list(loads_in_slices(document)) == list(dataset)


@pytest.mark.spec("STOW-46")
def test_no_step_over_a_large_document_is_larger_than_an_element(monkeypatch: pytest.MonkeyPatch) -> None:
    item = {"00080100": {"vr": "SH", "Value": ["CODE"]}, "0040A730": {"vr": "SQ", "Value": [{}, {}]}}
    dataset = {"00081140": {"vr": "SQ", "Value": [item] * 10_000}}
    steps: list[int] = []

    def encoder(value: object) -> bytes:
        steps.append(len(orjson.dumps(value)))
        return orjson.dumps(value)

    def scanner(text: str, at: int) -> tuple[object, int]:
        value, end = scan(text, at)
        steps.append(end - at)
        return value, end

    scan = json_model.scan
    monkeypatch.setattr(json_model, "orjson", SimpleNamespace(dumps=encoder))
    monkeypatch.setattr(json_model, "scan", scanner)
    found = loads_in_slices(dumps_in_slices(dataset))
    items = found["00081140"]["Value"]
    assert list(items) == [item] * 10_000
    assert items[9_999:] == [item]
    assert items[-1] == item
    assert len(items) == 10_000
    assert len(steps) > 10_000
    assert max(steps) < 100


LONG = {
    "a long text": {"0040A160": {"vr": "UT", "Value": ['é"\\\n\x1f' * 100_000]}},
    "many long texts": {"00189367": {"vr": "UC", "Value": ["é" * 20_000] * 130}},
    "many values": {"00189367": {"vr": "UC", "Value": ["a", None] * 50_000}},
    "many numbers": {"00181130": {"vr": "DS", "Value": [1.5] * 100_001}},
    "a long name": {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "a^" * 100_000, "Phonetic": "b"}, {}]}},
    "an empty one": {"00100010": {"vr": "PN"}},
}


@pytest.mark.spec("STOW-46")
@pytest.mark.parametrize("name", LONG)
def test_a_long_element_is_encoded_in_small_pieces(name, monkeypatch):
    whole = dumps(LONG[name])
    sizes = []

    def counted(value):
        encoded = orjson.dumps(value)
        sizes.append(len(encoded))
        return encoded

    monkeypatch.setattr(json_model, "orjson", SimpleNamespace(dumps=counted))
    assert dumps_in_slices(LONG[name]) == whole
    assert max(sizes) <= 64 * 6 * 16 * 1024


@pytest.mark.spec("STOW-46", "D-7")
@pytest.mark.parametrize("text", ["a", "é"])
@pytest.mark.parametrize("first", [None, "00080001"])
@pytest.mark.parametrize("nested", [True, False])
def test_a_large_document_is_finished_as_a_small_one(text, first, nested):
    charset = {"00080005": {"vr": "CS", "Value": ["ISO_IR 100"]}}
    item = {**(charset if nested else {}), "00081150": {"vr": "UI", "Value": ["1.2", "3"]}}
    bulk = {"00091010": {"vr": "UN", "BulkDataURI": "00081140/1/00091010"}}

    def document(items):
        head = {first: {"vr": "UI", "Value": ["1"]}} if first else {}
        tail = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": text}]}}
        return dumps({**head, **charset, "00081140": {"vr": "SQ", "Value": [{**item, **bulk}] * items}, **tail})

    def finished(items):
        return json_model.finished(document(items), "http://host/i", character_set_as_stored=False)

    large, small = orjson.loads(finished(12_000)), orjson.loads(finished(2))
    assert len(document(12_000)) > 1024**2
    assert large.pop("00081140")["Value"] == small.pop("00081140")["Value"] * 6000
    assert list(large.items()) == list(small.items())
    assert ("00080005" in large) == (text == "é")


@pytest.mark.spec("STOW-37")
@pytest.mark.parametrize(
    ("character", "length", "fits"),
    [
        ("a", 3900, True),
        ("a", 4000, False),
        ("\xff", 3900, True),
        ("\u0100", 3900, False),
        ("\u0100", 2900, True),
        ("\uffff", 2900, True),
        ("中", 3000, False),
        ("😀", 2900, False),
        ("\U00010000", 900, True),
    ],
)
def test_a_document_has_a_lower_limit_the_more_bytes_each_character_of_its_text_takes(
    monkeypatch, character, length, fits
):
    monkeypatch.setattr(json_model, "LARGEST_PLAIN", 4000)
    monkeypatch.setattr(json_model, "LARGEST_DOCUMENT", 3000)
    monkeypatch.setattr(json_model, "LARGEST_WIDE", 1000)
    document = {"0040A160": {"vr": "UT", "Value": [f"{'a' * length}{character}"]}}
    if fits:
        assert orjson.loads(json_model.dumps_in_slices(document)) == document
    else:
        with pytest.raises(json_model.DocumentTooLarge):
            json_model.dumps_in_slices(document)
