"""One definition has one hash, however it is spelt."""

import hashlib

import pytest

from shared.cohorts.definition.canonical import canonical, canonical_json, definition_hash, manifest_form
from shared.cohorts.definition.durations import Duration
from shared.cohorts.definition.reading import read_definition
from tests.builders.cohorts import ASTHMA, CT, SEED

HASH = "sha256:ac117a115bfaf2ba8314532b959ac25ee5836e22691d7f33fc939aee69edb752"
HYPERTENSION = {"code": {"codes": [{"system": "http://snomed.info/sct", "code": "38341003"}]}}


def hash_of(**members):
    return definition_hash(read_definition({"version": 1} | members))


@pytest.mark.spec("COH-27")
def test_the_example_of_the_page_has_its_hash():
    assert definition_hash(read_definition(SEED)) == HASH


@pytest.mark.spec("COH-27")
@pytest.mark.parametrize(
    "changed",
    [
        {"name": "another"},
        {"asOf": "2020-01-01"},
        {"limits": {"patients": 5}},
        {"consent": None},
        {"patient": {"age": {"ge": 46}}},
        {"conditions": [{"code": {"valueSet": ["osteosarcoma", "osteosarcoma"]}, "when": {"within": "P24M"}}]},
        {"imaging": CT},
        {
            "patient": {"age": {"ge": 46}},
            "conditions": [{"code": {"valueSet": ["osteosarcoma"]}, "when": {"within": "P24M"}}],
            "consent": None,
            "collect": {"reports": {"status": ["amended", "final", "corrected", "appended"]}, "medications": {}},
        },
        {
            "collect": {
                "studies": "all",
                "reports": {"status": ["appended", "corrected", "final", "amended"]},
                "medications": {},
            }
        },
    ],
)
def test_another_spelling_has_the_same_hash(changed):
    spelt = {name: value for name, value in (SEED | changed).items() if value is not None}
    if changed.get("collect"):
        spelt["collect"] = changed["collect"] | {"studies": "matching"}

    assert definition_hash(read_definition(spelt)) == HASH


@pytest.mark.spec("COH-27")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"patient": {"age": {"lt": 18}}}, {"patient": {"age": {"le": 17}}}),
        (
            {"conditions": [ASTHMA | {"when": {"within": "P2W"}}]},
            {"conditions": [ASTHMA | {"when": {"within": "P14D", "of": ["onset", "recorded"]}}]},
        ),
        ({"conditions": [ASTHMA, HYPERTENSION]}, {"conditions": [HYPERTENSION, ASTHMA, HYPERTENSION]}),
        ({"imaging": {"modality": ["MR", "CT"]}}, {"imaging": {"modality": ["CT", "MR", "CT"]}}),
        (
            {"patient": {"gender": "male"}, "collect": {"studies": "all"}},
            {"patient": {"gender": "male"}, "collect": {"studies": "matching"}},
        ),
        (
            {"conditions": [{"code": {"codes": [{"system": "s", "code": "c", "display": "d"}]}}]},
            {"conditions": [{"code": {"codes": [{"system": "s", "code": "c"}]}}]},
        ),
        ({"patient": {"gender": "male"}}, {"patient": {"gender": "male"}, "imaging": {"required": False}}),
    ],
)
def test_two_spellings_have_one_hash(one, other):
    assert hash_of(**one) == hash_of(**other)


@pytest.mark.spec("COH-27")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"imaging": CT, "collect": {"studies": "all"}}, {"imaging": CT, "collect": {"studies": "matching"}}),
        (
            {"conditions": [ASTHMA | {"when": {"within": "P1Y", "of": ["onset", "recorded"]}}]},
            {"conditions": [ASTHMA | {"when": {"within": "P1Y", "of": ["recorded", "onset"]}}]},
        ),
        (
            {"conditions": [ASTHMA | {"when": {"within": "P1M"}}]},
            {"conditions": [ASTHMA | {"when": {"within": "P30D"}}]},
        ),
        ({"conditions": [ASTHMA]}, {"conditions": [{"not": ASTHMA}]}),
        ({"imaging": {}}, {"imaging": {"required": False}, "patient": {"gender": "male"}}),
    ],
)
def test_different_definitions_have_different_hashes(one, other):
    assert hash_of(**one) != hash_of(**other)


@pytest.mark.spec("COH-27")
def test_the_hash_is_that_of_the_canonical_form():
    definition = read_definition({"version": 1, "imaging": CT})

    text = canonical_json(canonical(definition))
    assert definition_hash(definition) == f"sha256:{hashlib.sha256(text).hexdigest()}"
    assert read_definition({"version": 1, **{k: v for k, v in canonical(definition).items() if v != []}})


def test_a_manifest_shows_name_day_and_limit_beside_the_canonical_form():
    form = manifest_form(read_definition(SEED))

    assert (form["name"], form["asOf"], form["limits"]) == (SEED["name"], "2026-06-30", {"patients": 10000})


@pytest.mark.spec("COH-27")
@pytest.mark.parametrize(
    ("text", "canonical_text"),
    [("P2Y", "P24M"), ("P18M", "P18M"), ("P10W", "P70D"), ("P1Y6M", "P18M"), ("P1M2W3D", "P1M17D")],
)
def test_a_duration_is_months_and_days(text, canonical_text):
    assert str(Duration.parse(text)) == canonical_text
