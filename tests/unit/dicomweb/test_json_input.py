"""DICOM JSON as clients send it: comments, trailing commas, keywords; and what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicomweb import json_input
from shared.dicomweb.json_input import read_data_sets, read_json
from shared.errors import InvalidRequest, TooLarge

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1000, 1000)
    | st.text(max_size=10)
    | st.sampled_from(['//"', "/*", ",]", '\\"']),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.spec("JSON-8")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[1, 2,]", [1, 2]),
        ('{"a": [1,\n], // the end,\n}', {"a": [1]}),
        ('/* before */ {"a": "// no comment, /* neither */" /* , */ , }', {"a": "// no comment, /* neither */"}),
        ('["a\\",]", ]', ['a",]']),
        ("\ufeff[]", []),
    ],
)
def test_comments_and_trailing_commas_are_passed_over(text, value):
    assert read_json(text.encode()) == value


@pytest.mark.spec("JSON-8")
@given(values, st.sampled_from([" ", "/* c */", "// c\n", "\n"]))
def test_json_that_is_decorated_says_what_it_said(value, decoration):
    decorated = json.dumps([value, 1]).replace(", 1]", f",{decoration} 1,{decoration}]")
    assert read_json(decorated.encode()) == [value, 1]


@pytest.mark.parametrize("text", ["", "[1,,]", "{'a': 1}", "[1", '"open', "/* open", "nonsense"])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(InvalidRequest):
        read_json(text.encode())


@given(st.text(alphabet='"\\/*,[]{} \n1a', max_size=60))
def test_nothing_but_a_value_or_a_refusal_comes_of_any_text(text):
    try:
        read_json(text.encode())
    except InvalidRequest:
        return


@pytest.mark.spec("GEN-13")
def test_attributes_are_named_by_tag_in_either_case_or_by_keyword_at_every_level():
    found = read_data_sets(
        b'[{"PatientID": {"vr": "LO"}, "0040a730": {"vr": "SQ", "Value": [{"TextValue": {"vr": "UT"}}, null]},'
        b' "Nonsense": 1, "PatientName": {"vr": "PN", "Value": [{"Alphabetic": "A"}]}}]'
    )
    assert found == [
        {
            "00100020": {"vr": "LO"},
            "0040A730": {"vr": "SQ", "Value": [{"0040A160": {"vr": "UT"}}, None]},
            "Nonsense": 1,
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A"}]},
        }
    ]


def test_a_single_data_set_needs_no_array():
    assert read_data_sets(b'{"00100020": {"vr": "LO"}}') == [{"00100020": {"vr": "LO"}}]


@pytest.mark.parametrize(
    "text",
    ["1", '["a"]', "[null]", '{"PatientID": {"vr": "LO"}, "00100020": {"vr": "LO"}}'],
)
def test_what_is_no_data_set_is_refused(text):
    with pytest.raises(InvalidRequest):
        read_data_sets(text.encode())


def test_hostile_nesting_is_refused():
    deep = '{"0040A730":{"vr":"SQ","Value":[' * 300 + "]}}" * 300
    with pytest.raises(InvalidRequest):
        read_data_sets(deep.encode())


@pytest.mark.spec("STOW-46")
@pytest.mark.parametrize(
    "flood", [b"[" + b"{}," * 20_001 + b"{}]", b'{"00100010": {"vr": "PN", "Value": [' + b"{}," * 1_100_000 + b"{}]}}"]
)
def test_floods_are_refused_before_anything_is_built(flood):
    with pytest.raises(TooLarge):
        read_data_sets(flood)


@pytest.mark.spec("STOW-46", "JSON-8")
def test_comments_and_trailing_commas_are_for_small_texts(monkeypatch):
    monkeypatch.setattr(json_input, "_LARGEST_LENIENT", 100)
    assert read_json(b"[1, /* two */ 3,]") == [1, 3]
    with pytest.raises(InvalidRequest):
        read_json(b"[1, /* two */ 3,]" + b" " * 100)
