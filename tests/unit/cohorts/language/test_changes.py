"""What is changed in a question changes that, and nothing else, in its definition."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cohorts.language.translation import translate
from tests.builders.cohorts import DICTIONARY

TODAY = date(2026, 6, 30)
CLAUSES = [
    "who had a CT scan since 2023",
    "diagnosed with asthma in the past 18 months",
    "aged over 45",
    "on methotrexate",
]


def asked(question):
    return translate(question, DICTIONARY, today=TODAY)


def only(question):
    translation = asked(question)
    assert translation.unmatched == ()
    (reading,) = translation.readings
    return reading


def differences(one, other, path=""):
    if isinstance(one, dict) and isinstance(other, dict):
        return {
            found
            for name in one.keys() | other.keys()
            for found in differences(one.get(name), other.get(name), f"{path}.{name}".strip("."))
        }
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return {f for at, (a, b) in enumerate(zip(one, other, strict=True)) for f in differences(a, b, f"{path}[{at}]")}
    return set() if one == other else {path}


QUESTION = "MR scans of women over {age} with {disease} diagnosed in the past {number} {unit}"
FIRST = {"age": "45", "disease": "asthma", "number": "18", "unit": "months"}


@pytest.mark.spec("NL-7")
@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"age": "46"}, {"patient.age.gt"}),
        ({"age": "forty-six"}, {"patient.age.gt"}),
        ({"disease": "hypertension"}, {"conditions[0].code.codes[0].code"}),
        ({"number": "19"}, {"conditions[0].when.within"}),
        ({"unit": "weeks"}, {"conditions[0].when.within"}),
    ],
)
def test_a_change_changes_one_member(change, path):
    before = only(QUESTION.format(**FIRST)).definition
    after = only(QUESTION.format(**FIRST | change)).definition

    assert differences(before, after) == path


@pytest.mark.spec("NL-7")
@pytest.mark.parametrize(
    ("word", "modality"), [("CT", "CT"), ("ultrasound", "US"), ("PET", "PT"), ("mammography", "MG")]
)
def test_another_modality_changes_the_modality(word, modality):
    before = only(QUESTION.format(**FIRST)).definition
    after = only(QUESTION.format(**FIRST).replace("MR", word)).definition

    assert differences(before, after) == {"imaging.modality[0]"}
    assert after["imaging"]["modality"] == [modality]


@pytest.mark.spec("NL-7")
@given(order=st.permutations(CLAUSES))
def test_the_order_of_clauses_does_not_matter(order):
    one = only("patients " + ", ".join(CLAUSES))
    other = only("patients " + ", ".join(order))

    assert one.hash == other.hash


@pytest.mark.spec("NL-7", "NL-11")
@given(
    at=st.integers(0, 12),
    word=st.sampled_from(["blorbing", "astronautic", "xylophone", "quietly", "wealthy", "Zürich", "urgent"]),
)
def test_an_unknown_word_anywhere_is_refused(at, word):
    words = QUESTION.format(**FIRST).split()
    at = min(at, len(words))
    question = " ".join([*words[:at], word, *words[at:]])
    translation = asked(question)

    assert word in " ".join(each.text for each in translation.unmatched)


@pytest.mark.spec("NL-12")
@pytest.mark.parametrize(
    "question",
    [
        QUESTION.format(**FIRST),
        "Show the reports of men on methotrexate or cisplatin who had a CT of the foot after the diagnosis of asthma",
        "patients with asthma but without hypertension, their MR images and final reports",
        "patients with zebra stripes and a big left foot",
    ],
)
def test_every_word_that_says_something_is_in_a_span_or_refused(question):
    translation = asked(question)
    told = [(start, end) for start, end, _ in translation.spans] + [(e.start, e.end) for e in translation.unmatched]
    silent = {"the", "of", "who", "a", "in", "and", "with", "had", "their", "or", "but"}

    start = 0
    for word in question.replace(",", " ").split():
        at = question.index(word, start)
        start = at + len(word)
        assert word.lower() in silent or any(first <= at and start <= last for first, last in told), word


@given(st.text(max_size=300))
def test_no_text_breaks_the_translator(text):
    translation = asked(text)

    assert all(text[each.start : each.end] == each.text for each in translation.unmatched)


HEAP = (
    "patients, with, without, or, and, asthma, CT, over, 45, years, the, last, 2, months, since, 2020, not, cisplatin, "
    "reports, their, of, between, to, either, female, at, diagnosis, status, final, only, 3/4/2021, ., all, return, "
    "after, before, chest, scan, no, on, any"
)


@given(st.lists(st.sampled_from(HEAP.split(", ")), max_size=25))
def test_no_heap_of_known_words_breaks_the_translator(words):
    translation = asked(" ".join(words))

    assert translation.readings or translation.unmatched
