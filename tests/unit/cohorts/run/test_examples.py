"""The examples of the page for researchers do what it says."""

import json
import re
from datetime import date
from pathlib import Path

import pytest

from shared.cohorts.functions import understand
from tests.builders.cohort_runs import Site

PAGE = (Path(__file__).parents[4] / "docs" / "use" / "cohorts.md").read_text("utf-8")
DEFINITIONS = [json.loads(each) for each in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
QUESTIONS = [line for each in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL) for line in each.splitlines()]
COMMANDS = re.findall(r'dicom cohort ask "(.*?)"', PAGE)


def test_the_page_has_examples_of_each_kind():
    assert (len(QUESTIONS), len(COMMANDS), len(DEFINITIONS)) == (6, 1, 2)


@pytest.mark.spec("COH-11")
@pytest.mark.parametrize("question", [*QUESTIONS, *COMMANDS])
async def test_a_question_of_the_page_has_one_meaning_and_runs(question):
    site = Site()
    translation = await understand(site.terms, question, "2026-06-30", date(2026, 6, 30))

    assert translation.unmatched == ()
    (reading,) = translation.readings
    found = await site.found(reading.definition)
    assert found["counts"]["patients"] + found["counts"]["indeterminate"] > 0


@pytest.mark.parametrize(("definition", "members"), list(zip(DEFINITIONS, [5, 1], strict=True)))
async def test_a_definition_of_the_page_runs(definition, members):
    found = await Site().found(definition)

    assert found["counts"]["patients"] == members
