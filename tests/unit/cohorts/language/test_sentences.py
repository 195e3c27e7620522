"""A definition said as a sentence translates back into itself."""

from datetime import date

import pytest

from shared.cohorts.definition.canonical import definition_hash
from shared.cohorts.definition.reading import read_definition
from shared.cohorts.language.sentence import sentence
from shared.cohorts.language.translation import translate
from tests.builders.cohorts import DICTIONARY, SEED, SNOMED, Definitions

TODAY = date(2026, 6, 30)


def round_trips(documents):
    """The sentences that do not translate back."""
    lost = []
    for document in documents:
        definition = read_definition(document)
        said = sentence(definition, DICTIONARY)
        translation = translate(said, DICTIONARY, today=TODAY)
        found = [(each.hash, each.definition.get("asOf")) for each in translation.readings]
        if translation.unmatched or found != [(definition_hash(definition), document.get("asOf"))]:
            lost.append(said)
    return lost


def drawn(seed, count):
    definitions = Definitions(seed)
    return (definitions.draw() for _ in range(count))


@pytest.mark.spec("NL-9", "NL-21")
@pytest.mark.parametrize("seed", range(4))
def test_a_sentence_translates_back(seed):
    assert round_trips(drawn(seed, 250)) == []


@pytest.mark.nightly
@pytest.mark.spec("NL-9")
def test_ten_thousand_sentences_translate_back():
    assert round_trips(drawn(2026, 10_000)) == []


@pytest.mark.spec("NL-9", "NL-21")
def test_a_sentence_says_what_differs_from_the_default():
    assert sentence(read_definition(SEED), DICTIONARY) == (
        "As of 2026-06-30: Patients aged 46 or more, with a diagnosis of osteosarcoma in the last 24 months, "
        "with a CT study; return the matching studies, reports, medications."
    )


@pytest.mark.spec("NL-21")
def test_a_code_without_a_term_is_said_as_it_is():
    code = {"system": SNOMED, "code": 'x"1'}
    documents = [
        {"version": 1, "conditions": [{"code": {"codes": [code]}}]},
        {"version": 1, "medications": [{"not": {"code": {"codes": [code, code | {"code": "y"}]}}}]},
        {"version": 1, "imaging": {"modality": ["CT"], "bodySite": {"codes": [code]}}},
    ]

    assert "with a diagnosis of code" in sentence(read_definition(documents[0]), DICTIONARY)
    assert round_trips(documents) == []
