"""What requests about labels say, and what they are refused for (SEL-1 to SEL-3)."""

import pytest

from shared.dicom.matching import Equal, Like, Universal
from shared.errors import InvalidRequest
from shared.index_schema.labels import MOST
from shared.search.label_key import is_label_key, parse_labels
from shared.study_labels.request import LabelChange, label_change


@pytest.mark.spec("SEL-1", "SEL-2")
def test_labels_are_trimmed_and_compared_without_case():
    change = label_change({"add": [" Tumour Board ", "tumour board", "to-read_1.0:a"], "remove": ["OLD"]})

    assert change.add == ("Tumour Board", "to-read_1.0:a")
    assert change(("old", "TUMOUR BOARD")) == ("TUMOUR BOARD", "to-read_1.0:a")


@pytest.mark.spec("SEL-2")
def test_a_label_may_have_letters_of_any_script():
    assert label_change({"add": ["Größe", "e\u0301tude", "研究"]}).add == ("Größe", "\u00e9tude", "研究")


@pytest.mark.spec("SEL-2")
@pytest.mark.parametrize("label", ["", " ", "a" * 65, "a/b", "a,b", "a*", "a\nb", "<b>", "a!", "\u200b", "½", 'a"'])
def test_what_is_no_label_is_refused(label):
    with pytest.raises(InvalidRequest):
        label_change({"add": [label]})


@pytest.mark.spec("SEL-1")
@pytest.mark.parametrize(
    "body",
    [
        [],
        "a",
        None,
        {"add": "a"},
        {"add": [1]},
        {"add": None},
        {"set": ["a"]},
        {"add": ["a"], "remove": ["A"]},
        {"remove": ["a"] * (MOST + 1)},
    ],
)
def test_a_body_that_says_something_else_is_refused(body):
    with pytest.raises(InvalidRequest):
        label_change(body)


@pytest.mark.spec("SEL-2")
def test_a_study_has_at_most_fifty_labels():
    full = tuple(f"label {number}" for number in range(MOST))

    assert len(LabelChange(full, ())(())) == MOST
    assert len(LabelChange(("one more",), ("label 3",))(full)) == MOST
    with pytest.raises(InvalidRequest):
        LabelChange(("one more",), ())(full)
    assert LabelChange(("LABEL 7",), ())(full) == full


@pytest.mark.spec("SEL-3")
def test_the_key_of_a_search_has_labels_wildcards_and_lists():
    assert parse_labels(" Tumour Board ") == Equal("tumour board")
    assert parse_labels("To*") == Like("to*")
    assert parse_labels("a,*") == Universal()
    assert parse_labels("a, A ,b?").alternatives == (Equal("a"), Like("b?"))
    assert is_label_key("label")
    assert not is_label_key("labels")


@pytest.mark.spec("SEL-3")
@pytest.mark.parametrize("value", ["", ",", "a/b", "a" * 65, ",".join(map(str, range(MOST + 1))), "a\\b"])
def test_a_key_that_is_no_label_is_refused(value):
    with pytest.raises(InvalidRequest):
        parse_labels(value)
