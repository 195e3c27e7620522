"""Definitions as YAML (cohorts §8.2)."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.yaml_documents import MalformedYaml, read_yaml
from tests.builders.cohort_runs import Site
from tests.builders.cohorts import SEED
from tests.builders.http import error

YAML = """\
version: 1
name: osteosarcoma-over-45-with-ct
asOf: 2026-06-30
patient:
  age: {gt: 45, at: asOf}            # completed years
conditions:
  - code: {valueSet: osteosarcoma}
    when: {within: P2Y, of: [onset, recorded]}
imaging:
  required: true
  modality: [CT]
collect:
  studies: matching
  reports: {status: [final, amended, corrected, appended]}
  medications: {}
"""


@pytest.mark.spec("COH-17")
@pytest.mark.parametrize("content_type", ["application/yaml", "text/yaml; charset=utf-8", "application/x-yaml"])
async def test_a_definition_may_be_yaml_and_its_dates_are_texts(content_type):
    answers: list[Any] = []
    for body, kind in ((YAML.encode(), content_type), (SEED, "application/json")):
        answer = await Site().ask("run_cohort", "POST", "/v2/cohorts?explain=true", body, content_type=kind)
        assert isinstance(answer.body, bytes)
        answers.append(orjson.loads(answer.body))

    assert answers[0]["asOf"] == "2026-06-30"
    assert answers[0] == answers[1]


@pytest.mark.spec("COH-17", "AERR-3")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("version: 1\npatient: {age: {gt: many}}", "patient.age.gt"),
        ("version: 1\nnobody: 1", "nobody"),
        ("version: 1\npatient: {age: {gt: 45}", "line"),
        ("version: 1\nversion: 1", "line 2"),
        ("a: &a [1]\nb: *a", "alias in line 2"),
        ("- 1\n---\n- 2", "more than one"),
        ("", "no document"),
        ("!!python/object:os.system {}", "tag in line 1"),
        ("? [a]\n: 1", "key is no text in line 1"),
    ],
)
async def test_what_is_wrong_in_yaml_is_told_by_its_place(text, told):
    site = Site()
    answer = await site.ask("run_cohort", "POST", "/v2/cohorts", text.encode() or b"#", content_type="application/yaml")

    status, said = error(answer)
    assert (status, told in said) == (400, True), said
    assert await site.operations.active() == []


@pytest.mark.spec("COH-17")
@pytest.mark.parametrize("name", ["translate_question", "find_similar_patients"])
async def test_other_bodies_are_json_alone(name):
    target = {"translate_question": "/v2/cohorts/translate", "find_similar_patients": "/v2/fhir-patients/1/similar"}
    answer = await Site().ask(name, "POST", target[name], b"text: x", content_type="application/yaml")

    assert answer.status == 415


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "[2026-06-30, no, on, 0o14, 007, 1_000, 12:30:45]",
            ["2026-06-30", "no", "on", "0o14", "007", "1_000", "12:30:45"],
        ),
        ("[1, -2, 1.5, true, False, null, ~, '1', \"true\"]", [1, -2, 1.5, True, False, None, None, "1", "true"]),
        ("a:\n  b: |\n    text\n", {"a": {"b": "text\n"}}),
        ("\ufeffa: ä", {"a": "ä"}),
        ("{}", {}),
        ("a:", {"a": None}),
    ],
)
def test_scalars_are_those_of_the_core_schema(text, value):
    assert read_yaml(text.encode()) == value


@pytest.mark.parametrize("data", [b"\xff", b"[" * 100 + b"]" * 100, b"a: \x00", b"\t- a", b"a: b: c"])
def test_what_is_no_yaml_is_refused(data):
    with pytest.raises(MalformedYaml):
        read_yaml(data)


WORDS = [
    *("a", "1", "- ", "? ", ": ", "[", "]", "{", "}", ",", "&a ", "*a", "!!int ", "!<x> ", "<<", "|\n", "> ", "'", '"'),
    *(
        "\n",
        "  ",
        "\t",
        "#",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "%TAG ! x\n",
        "\\x",
        "\\ud800",
        "\0",
        "\ufeff",
        "\x85",
        "\u2028",
    ),
]


@given(
    st.binary(max_size=40) | st.lists(st.sampled_from(WORDS), max_size=14).map(lambda words: "".join(words).encode())
)
def test_whatever_the_bytes_are_they_are_a_value_of_json_or_refused(data):
    try:
        value = read_yaml(data)
    except MalformedYaml:
        return
    assert orjson.loads(orjson.dumps(value)) == value
