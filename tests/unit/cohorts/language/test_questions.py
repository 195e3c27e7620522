"""Questions of many kinds, and the definition or the refusal that each must give."""

from datetime import date

import pytest

from shared.cohorts.definition.canonical import definition_hash
from shared.cohorts.definition.reading import read_definition
from shared.cohorts.language.translation import translate
from tests.builders.cohorts import DICTIONARY, RXNORM, SNOMED

TODAY = date(2026, 6, 30)


def code(*codes, system=SNOMED):
    return {"code": {"codes": [{"system": system, "code": each} for each in codes]}}


def drug(*codes):
    return code(*codes, system=RXNORM)


OSTEOSARCOMA = {"code": {"valueSet": "osteosarcoma"}}
ASTHMA, HYPERTENSION, DIABETES = code("195967001"), code("38341003"), code("73211009")
CISPLATIN, METHOTREXATE = drug("2555"), drug("6851")
REPORTS, MEDICATIONS = {"reports": {}}, {"medications": {}}
STUDIES = {"studies": "matching"}
FOOT = {"codes": [{"system": SNOMED, "code": "56459004"}]}


def no(entry):
    return {"not": entry}


def when(entry, **window):
    return entry | {"when": window}


def asked(question, as_of=None):
    return translate(question, DICTIONARY, today=TODAY, as_of=as_of)


def hashes(*definitions):
    return {definition_hash(read_definition({"version": 1} | each)) for each in definitions}


UNDERSTOOD = [
    # ages and sexes (NL-13)
    (
        "women over 50 with hypertension",
        {"patient": {"age": {"gt": 50}, "gender": "female"}, "conditions": [HYPERTENSION]},
    ),
    (
        "Male patients younger than 18 with asthma",
        {"patient": {"age": {"lt": 18}, "gender": "male"}, "conditions": [ASTHMA]},
    ),
    ("people aged 65 or older with asthma", {"patient": {"age": {"ge": 65}}, "conditions": [ASTHMA]}),
    ("asthma patients of at least 65 years", {"patient": {"age": {"ge": 65}}, "conditions": [ASTHMA]}),
    ("patients not older than 45 with asthma", {"patient": {"age": {"le": 45}}, "conditions": [ASTHMA]}),
    ("asthma patients aged forty-five to sixty", {"patient": {"age": {"ge": 45, "le": 60}}, "conditions": [ASTHMA]}),
    (
        "men between 30 and 40 with asthma",
        {"patient": {"age": {"ge": 30, "le": 40}, "gender": "male"}, "conditions": [ASTHMA]},
    ),
    (
        "45-year-old men with asthma",
        {"patient": {"age": {"ge": 45, "le": 45}, "gender": "male"}, "conditions": [ASTHMA]},
    ),
    ("patients aged >= 50 with asthma", {"patient": {"age": {"ge": 50}}, "conditions": [ASTHMA]}),
    ("patients 65+ with asthma", {"patient": {"age": {"ge": 65}}, "conditions": [ASTHMA]}),
    ("men and women with asthma", {"conditions": [ASTHMA]}),
    (
        "patients diagnosed with asthma at age 30 or younger",
        {"patient": {"age": {"le": 30, "at": "diagnosis"}}, "conditions": [ASTHMA]},
    ),
    (
        "patients who were over 50 when they were diagnosed with asthma",
        {"patient": {"age": {"gt": 50, "at": "diagnosis"}}, "conditions": [ASTHMA]},
    ),
    (
        "patients with asthma who were under 18 at the time of their CT",
        {"patient": {"age": {"lt": 18, "at": "study"}}, "conditions": [ASTHMA], "imaging": {"modality": ["CT"]}},
    ),
    # times (NL-14) and what they belong to (NL-15)
    ("patients with asthma diagnosed in the past 6 weeks", {"conditions": [when(ASTHMA, within="P6W")]}),
    ("patients diagnosed with asthma during the last year", {"conditions": [when(ASTHMA, within="P1Y")]}),
    ("patients diagnosed with asthma since 5 July 2021", {"conditions": [when(ASTHMA, since="2021-07-05")]}),
    ("patients diagnosed with asthma after 2017", {"conditions": [when(ASTHMA, since="2018-01-01")]}),
    ("patients diagnosed with asthma before March 2020", {"conditions": [when(ASTHMA, until="2020-02-29")]}),
    ("patients diagnosed with asthma until 2019", {"conditions": [when(ASTHMA, until="2019-12-31")]}),
    ("patients diagnosed with asthma in 2019", {"conditions": [when(ASTHMA, since="2019-01-01", until="2019-12-31")]}),
    ("patients diagnosed with asthma from 2019 on", {"conditions": [when(ASTHMA, since="2019-01-01")]}),
    (
        "patients with asthma diagnosed between 2019-03-01 and May 2020",
        {"conditions": [when(ASTHMA, since="2019-03-01", until="2020-05-31")]},
    ),
    (
        "patients with asthma diagnosed after 2018 and before 2021",
        {"conditions": [when(ASTHMA, since="2019-01-01", until="2020-12-31")]},
    ),
    ("patients with asthma diagnosed this year", {"conditions": [when(ASTHMA, since="2026-01-01")]}),
    ("patients diagnosed with asthma after 13/12/2021", {"conditions": [when(ASTHMA, since="2021-12-14")]}),
    ("patients with asthma recorded since 2023", {"conditions": [when(ASTHMA, since="2023-01-01", of=["recorded"])]}),
    (
        "patients with onset of asthma in 2022",
        {"conditions": [when(ASTHMA, since="2022-01-01", until="2022-12-31", of=["onset"])]},
    ),
    ("in 2022, patients diagnosed with asthma", {"conditions": [when(ASTHMA, since="2022-01-01", until="2022-12-31")]}),
    (
        "patients with asthma who had an MRI in the last 3 months",
        {"conditions": [ASTHMA], "imaging": {"modality": ["MR"], "when": {"within": "P3M"}}},
    ),
    (
        "patients diagnosed in the last 3 months with asthma who had an MRI",
        {"conditions": [when(ASTHMA, within="P3M")], "imaging": {"modality": ["MR"]}},
    ),
    (
        "patients with a CT after the diagnosis of osteosarcoma",
        {"conditions": [OSTEOSARCOMA], "imaging": {"modality": ["CT"], "when": {"after": "diagnosis"}}},
    ),
    (
        "patients diagnosed with osteosarcoma and scanned afterwards",
        {"conditions": [OSTEOSARCOMA], "imaging": {"when": {"after": "diagnosis"}}},
    ),
    (
        "all drugs prescribed in the last 6 months to patients with asthma",
        {"conditions": [ASTHMA], "collect": {"medications": {"when": {"within": "P6M"}}}},
    ),
    # diagnoses, drugs, and how they are joined (NL-16, NL-18, NL-19)
    ("patients with asthma or hypertension", {"conditions": [code("195967001", "38341003")]}),
    ("patients with asthma and hypertension", {"conditions": [ASTHMA, HYPERTENSION]}),
    ("patients with asthma, hypertension or diabetes", {"conditions": [code("195967001", "38341003", "73211009")]}),
    (
        "patients with either asthma or hypertension and diabetes",
        {"conditions": [code("195967001", "38341003"), DIABETES]},
    ),
    ("patients with osteogenic sarcoma", {"conditions": [OSTEOSARCOMA]}),
    ("patients with a heart attack", {"conditions": [code("22298006")]}),
    ("patients with vitamin B12 deficiency", {"conditions": [code("190634004")]}),
    ("patients with Parkinson’s disease", {"conditions": [code("49049000")]}),
    ("patients taking metformin", {"medications": [drug("6809")]}),
    ("patients on methotrexate or cisplatin", {"medications": [drug("6851", "2555")]}),
    ("patients prescribed paracetamol or ibuprofen", None),
    ("patients who received cisplatin since 2024", {"medications": [when(CISPLATIN, since="2024-01-01")]}),
    # negation (NL-4, NL-18)
    ("patients with asthma without hypertension", {"conditions": [ASTHMA, no(HYPERTENSION)]}),
    ("patients with asthma, except those with hypertension", {"conditions": [ASTHMA, no(HYPERTENSION)]}),
    ("patients with neither asthma nor hypertension", {"conditions": [no(code("195967001", "38341003"))]}),
    ("patients on methotrexate but not cisplatin", {"medications": [METHOTREXATE, no(CISPLATIN)]}),
    (
        "patients with asthma who did not take methotrexate in the last 6 months",
        {"conditions": [ASTHMA], "medications": [no(when(METHOTREXATE, within="P6M"))]},
    ),
    (
        "patients with asthma who have never had an MRI",
        {"conditions": [ASTHMA], "imaging": {"required": False, "not": {"modality": ["MR"]}}},
    ),
    (
        "patients with a CT but no MRI of the foot since 2024",
        {
            "imaging": {
                "modality": ["CT"],
                "not": {"modality": ["MR"], "bodySite": FOOT, "when": {"since": "2024-01-01"}},
            }
        },
    ),
    # imaging (NL-17)
    ("patients with a CT or an MRI", {"imaging": {"modality": ["CT", "MR"]}}),
    ("patients with an X-ray of the foot", {"imaging": {"modality": ["CR", "DX"], "bodySite": FOOT}}),
    ("patients with a foot radiograph", {"imaging": {"modality": ["CR", "DX"], "bodySite": FOOT}}),
    ("patients with an IVUS", {"imaging": {"modality": ["IVUS"]}}),
    ("patients with one or more sonograms", {"imaging": {"modality": ["US"]}}),
    ("patients who were scanned in 2021", {"imaging": {"when": {"since": "2021-01-01", "until": "2021-12-31"}}}),
    (
        "patients with asthma with or without a CT",
        {"conditions": [ASTHMA], "imaging": {"required": False, "modality": ["CT"]}},
    ),
    # what to return (NL-16)
    (
        "show all mammograms of women over 60",
        {"patient": {"age": {"gt": 60}, "gender": "female"}, "imaging": {"modality": ["MG"]}, "collect": STUDIES},
    ),
    (
        "CT reports of patients with asthma",
        {"conditions": [ASTHMA], "imaging": {"modality": ["CT"]}, "collect": REPORTS},
    ),
    ("radiology reports of patients with asthma", {"conditions": [ASTHMA], "collect": REPORTS}),
    (
        "patients with osteosarcoma along with their CT scans, medications and reports",
        {"conditions": [OSTEOSARCOMA], "imaging": {"modality": ["CT"]}, "collect": STUDIES | REPORTS | MEDICATIONS},
    ),
    (
        "For patients with asthma, return MR images and prescriptions",
        {"conditions": [ASTHMA], "imaging": {"modality": ["MR"]}, "collect": STUDIES | MEDICATIONS},
    ),
    (
        "only final reports of patients with asthma",
        {"conditions": [ASTHMA], "collect": {"reports": {"status": ["final"]}}},
    ),
    (
        "prescriptions, excluding stopped ones, of patients with asthma",
        {"conditions": [ASTHMA], "collect": {"medications": {"notStatus": ["entered-in-error", "stopped"]}}},
    ),
    (
        "patients with confirmed asthma",
        {
            "conditions": [
                ASTHMA
                | {
                    "verification": {
                        "not": ["unconfirmed", "provisional", "differential", "refuted", "entered-in-error"]
                    }
                }
            ]
        },
    ),
]


@pytest.mark.spec("NL-3", "NL-4", "NL-6", "NL-13", "NL-14", "NL-15", "NL-16", "NL-17", "NL-18", "NL-19")
@pytest.mark.parametrize(("question", "definition"), UNDERSTOOD, ids=[each for each, _ in UNDERSTOOD])
def test_a_question_has_its_definition(question, definition):
    translation = asked(question)

    if definition is None:
        assert translation.unmatched
        return
    assert [(each.text, each.reason) for each in translation.unmatched] == []
    assert {each.hash for each in translation.readings} == hashes(definition)


REFUSED = [
    ("patients with asthma and zebra stripes", [("zebra stripes", "unknown")]),
    ("patients with stage IV osteosarcoma", [("stage IV", "notSupported")]),
    ("young patients with asthma", [("young", "notSupported")]),
    ("adults with asthma", [("adults", "notSupported")]),
    ("patients in their forties with asthma", [("forties", "notSupported")]),
    ("patients older than 18 months with asthma", [("older than 18 months", "notSupported")]),
    ("patients with exactly two CT scans", [("exactly two", "notSupported")]),
    ("patients with several CT scans", [("several", "notSupported")]),
    ("how many patients have asthma", [("how many", "notSupported")]),
    ("PET-CT scans of patients with asthma", [("PET-CT", "notSupported")]),
    ("patients with CT angiography", [("CT angiography", "notSupported")]),
    ("CT and MR scans of patients with asthma", [("and", "notSupported")]),
    ("patients with a CT of the left foot", [("left", "notSupported")]),
    ("patients with asthma and a hemoglobin below 10 g/dL", [("hemoglobin below 10 g/dL", "notSupported")]),
    ("patients with asthma after appendectomy", [("after appendectomy", "notSupported")]),
    ("patients with a history of asthma", [("history", "notSupported")]),
    ("patients with recurrent osteosarcoma", [("recurrent", "notSupported")]),
    ("send me the CTs of patients with asthma", [("send", "notSupported")]),
    ("methotrexate prescriptions of patients with asthma", [("methotrexate prescriptions", "notSupported")]),
    ("patients recently diagnosed with asthma", [("recently", "notSupported")]),
    ("patients diagnosed with asthma two years ago", [("two years ago", "notSupported")]),
    ("patients diagnosed with asthma in the last 48 hours", [("last 48 hours", "notSupported")]),
    ("patients with a CT before the diagnosis of asthma", [("before", "notSupported")]),
    ("reports from 2019 of patients with asthma", [("from 2019", "notSupported")]),
    ("only CT scans of patients with asthma", [("only", "notSupported")]),
    ("patients with asthma or a CT", [("or", "alternative")]),
    ("patients with asthma or on methotrexate", [("or", "alternative")]),
    ("patients under 18 or over 65 with asthma", [("or over 65", "alternative")]),
    ("patients with no reports", [("no", "negation")]),
    ("patients without imaging", [("without", "negation")]),
    ("patients with asthma who are not female", [("not", "negation")]),
    ("pazienti con osteosarcoma oltre i 45 anni", [("pazienti con osteosarcoma oltre i 45 anni", "language")]),
    ("potilaat joilla on astma", [("potilaat joilla on astma", "language")]),
]


@pytest.mark.spec("NL-4", "NL-6", "NL-11", "NL-13", "NL-14", "NL-16", "NL-17", "NL-18", "NL-20")
@pytest.mark.parametrize(("question", "unmatched"), REFUSED, ids=[each for each, _ in REFUSED])
def test_what_has_no_form_is_refused_with_its_words(question, unmatched):
    translation = asked(question)

    assert [(each.text, each.reason) for each in translation.unmatched] == unmatched
    assert all(question[each.start : each.end] == each.text for each in translation.unmatched)
    if {reason for _, reason in unmatched} & {"negation", "alternative", "language"}:
        assert translation.readings == ()


AMBIGUOUS = [
    (
        "patients diagnosed with asthma last month",
        [
            {"conditions": [when(ASTHMA, within="P1M")]},
            {"conditions": [when(ASTHMA, since="2026-05-01", until="2026-05-31")]},
        ],
    ),
    (
        "patients diagnosed with asthma since 03/04/2021",
        [{"conditions": [when(ASTHMA, since="2021-04-03")]}, {"conditions": [when(ASTHMA, since="2021-03-04")]}],
    ),
    (
        "patients with asthma and hypertension or diabetes",
        [
            {"conditions": [ASTHMA, code("38341003", "73211009")]},
            {"conditions": [code("195967001", "73211009"), code("38341003", "73211009")]},
        ],
    ),
    (
        "patients treated with cisplatin for osteosarcoma since 2020",
        [
            {"conditions": [when(OSTEOSARCOMA, since="2020-01-01")], "medications": [CISPLATIN]},
            {"conditions": [OSTEOSARCOMA], "medications": [when(CISPLATIN, since="2020-01-01")]},
        ],
    ),
    (
        "patients without asthma and hypertension",
        [{"conditions": [no(ASTHMA), no(HYPERTENSION)]}, {"conditions": [no(ASTHMA), HYPERTENSION]}],
    ),
]


@pytest.mark.spec("NL-5", "NL-14", "NL-15", "NL-18")
@pytest.mark.parametrize(("question", "definitions"), AMBIGUOUS, ids=[each for each, _ in AMBIGUOUS])
def test_every_reading_of_an_ambiguous_question_is_given(question, definitions):
    translation = asked(question)

    assert translation.unmatched == ()
    assert {each.hash for each in translation.readings} == hashes(*definitions)


@pytest.mark.spec("COH-28")
def test_the_definition_has_the_written_form():
    (reading,) = asked(
        "CT images, reports and prescriptions of women over 45 with osteosarcoma diagnosed in the past 24 months",
        as_of="2026-01-31",
    ).readings

    assert reading.definition == {
        "version": 1,
        "asOf": "2026-01-31",
        "patient": {"age": {"gt": 45, "at": "asOf"}, "gender": "female"},
        "conditions": [
            {"code": {"valueSet": "osteosarcoma"}, "when": {"within": "P24M", "of": ["onset", "recorded"]}},
        ],
        "imaging": {"required": True, "modality": ["CT"]},
        "collect": {
            "studies": "matching",
            "reports": {"linkedTo": "studies", "status": ["final", "amended", "corrected", "appended"]},
            "medications": {"when": "any", "notStatus": ["entered-in-error"]},
        },
    }


@pytest.mark.spec("NL-13")
@pytest.mark.parametrize(
    ("question", "age"),
    [
        ("patients who at diagnosis of asthma were under 18", {"lt": 18, "at": "diagnosis"}),
        ("patients who at the time of diagnosis were under 18 with asthma", {"lt": 18, "at": "diagnosis"}),
        ("At diagnosis of asthma younger than 18", {"lt": 18, "at": "diagnosis"}),
        ("patients diagnosed with asthma when over 45", {"gt": 45, "at": "diagnosis"}),
        ("patients who, when they were diagnosed with asthma, were over 45", {"gt": 45, "at": "diagnosis"}),
        ("patients with asthma scanned with CT when older than 60", {"gt": 60, "at": "study"}),
    ],
)
def test_the_moment_of_an_age_may_stand_before_it_or_behind_the_diagnosis(question, age):
    translation = asked(question)

    assert translation.unmatched == ()
    assert [each.definition["patient"]["age"] for each in translation.readings] == [age]


@pytest.mark.spec("NL-13", "NL-11")
@pytest.mark.parametrize("question", ["patients with a CT at diagnosis of asthma", "patients with asthma when over 45"])
def test_a_moment_that_no_age_is_about_is_refused(question):
    assert asked(question).unmatched


@pytest.mark.spec("NL-18")
@pytest.mark.parametrize(
    "question",
    ["patients without asthma and CT", "patients with no CT and asthma", "patients without cisplatin and CT"],
)
def test_a_negation_of_two_kinds_of_things_is_read_both_ways(question):
    assert len(asked(question).readings) == 2


@pytest.mark.spec("NL-18")
@pytest.mark.parametrize(
    "question",
    [
        "patients without asthma and with a CT",
        "patients with no CT and on cisplatin",
        "patients without CT who have asthma",
        "patients with a CT excluding those with asthma",
    ],
)
def test_a_negation_that_says_how_far_it_goes_has_one_reading(question):
    translation = asked(question)

    assert (translation.unmatched, len(translation.readings)) == ((), 1)


@pytest.mark.spec("NL-18", "NL-4")
@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("patients excluding those with asthma and CT", "excluding"),
        ("exclude patients with asthma who have a CT", "exclude"),
    ],
)
def test_persons_who_are_left_out_by_two_things_together_have_no_form(question, word):
    assert [(each.text, each.reason) for each in asked(question).unmatched] == [(word, "negation")]


@pytest.mark.spec("NL-14")
def test_since_last_year_has_no_end():
    windows = [
        each.definition["conditions"][0]["when"] for each in asked("patients with asthma since last year").readings
    ]

    assert [{name: each[name] for name in each if name != "of"} for each in windows] == [
        {"within": "P1Y"},
        {"since": "2025-01-01"},
    ]
