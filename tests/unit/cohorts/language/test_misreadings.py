"""Words that look like others: what would be read wrongly is refused, or given with every reading."""

from datetime import date

import pytest

from shared.cohorts.definition.canonical import definition_hash
from shared.cohorts.definition.reading import read_definition
from shared.cohorts.language.dictionary import Dictionary, TermKind
from shared.cohorts.language.translation import Translation, translate
from shared.cohorts.value_sets import shipped_value_sets
from tests.builders.cohorts import DICTIONARY, SITE, SNOMED, coded

TODAY = date(2026, 6, 30)
ICD = "http://hl7.org/fhir/sid/icd-10"
CODED = Dictionary.build([*SITE, coded(TermKind.CONDITION, ICD, "J45", "Asthma")], shipped_value_sets())


def asked(question: str, dictionary: Dictionary = DICTIONARY) -> Translation:
    return translate(question, dictionary, today=TODAY)


REFUSED = [
    # two groups of people are not one (NL-18)
    ("patients with asthma and patients with hypertension", ["and"]),
    ("patients with asthma, patients with hypertension", ["patients"]),
    ("women with hypertension and men with asthma", ["women", "and men"]),
    ("Frauen mit Hypertension und Männer mit Asthma", ["Frauen", "und Männer"]),
    ("patients with asthma, including women", ["including"]),
    ("patients with asthma including those over 60", ["including"]),
    ("patients with asthma/hypertension", ["/"]),
    # an age that is not that of the person, or not exact (NL-13)
    ("patients with scans older than 2 years", ["older than 2 years"]),
    ("Patienten, deren CT nicht älter als 2 Jahre ist", ["nicht älter als 2 Jahre"]),
    ("patients about 50 years old with asthma", ["about"]),
    ("patients aged 40 at their first CT", ["first"]),
    ("patients with at least two of asthma, hypertension and diabetes", ["at least two"]),
    # one of several (NL-16, NL-20)
    ("Premier scanner des patients avec asthma", ["Premier"]),
    ("Primeira TC de pacientes com asthma", ["Primeira"]),
    ("erstes CT von Patienten mit Asthma", ["erstes"]),
    # what is said of the person or of the report (NL-20)
    ("living patients with asthma", ["living"]),
    ("CT reports about asthma", ["about"]),
    ("CT reports with asthma", ["with"]),
    ("reports without asthma", ["without"]),
    ("Befunde über Asthma", ["über"]),
    # what was ordered need not have been done; when it was stopped is not when it was prescribed
    ("patients with ordered CT", ["ordered"]),
    ("patients who stopped cisplatin in 2024", ["in 2024"]),
    # a code of DICOM that stands for a place
    ("patients with asthma from the US", ["US"]),
    ("patients in the US with asthma", ["US"]),
    ("women from CT with asthma", ["CT"]),
    # some of what is returned: it says nothing of who took the drug, or had the scan (NL-18)
    ("all medications except ibuprofen of patients with asthma", ["except ibuprofen"]),
    ("medications without ibuprofen of women with asthma", ["without ibuprofen"]),
    ("alle Medikamente außer Ibuprofen von Patienten mit Asthma", ["außer Ibuprofen"]),
    ("Tous les médicaments sauf ibuprofen des patients avec asthma", ["sauf ibuprofen"]),
    ("all scans except MRIs of patients with asthma", ["except"]),
    ("patients with imaging other than MRI", ["other than"]),
    # a comparison of a value is no age, a day that never was is not its year, and a moment is no age either
    ("patients with HbA1c > 7%", ["HbA1c > 7"]),
    ("patients with a blood pressure above 140", ["blood pressure above 140"]),
    ("Patienten mit Hb unter 10", ["Hb unter 10"]),
    ("patients diagnosed with asthma on 2025-02-30", ["2025-02-30"]),
    ("patients diagnosed with asthma on 31 April 2025", ["31 April 2025"]),
    ("patients diagnosed with asthma since 13/13/2021", ["since 13/13/2021"]),
    ("patients diagnosed with asthma on 3/4/25", ["3/4/25"]),
    ("patients diagnosed with asthma from November to March 2021", ["November"]),
    ("Patients avec asthma diagnostiqué il y a deux ans", ["il y a deux ans"]),
    ("patients under 18 and over 65 with asthma", ["under 18 and over 65"]),
    # what comes after what (NL-14)
    ("patients with CT followed by asthma", ["followed by"]),
    ("patients with asthma then hypertension", ["then"]),
]


@pytest.mark.spec("NL-4", "NL-11", "NL-13", "NL-14", "NL-16", "NL-18", "NL-20")
@pytest.mark.parametrize(("question", "words"), REFUSED, ids=[each for each, _ in REFUSED])
def test_what_has_no_form_is_refused_by_the_word_that_says_it(question, words):
    assert [each.text for each in asked(question).unmatched] == words


READINGS = [
    ("patients living with asthma", ["patients with asthma"]),
    ("pts w/ asthma aged over 60", ["patients over 60 with asthma"]),
    ("pts w/o asthma", ["patients without asthma"]),
    ("patients of any age with asthma", ["patients with asthma"]),
    ("patients with any of asthma, hypertension and diabetes", ["patients with asthma, hypertension or diabetes"]),
    (
        "patients with none of asthma, hypertension and diabetes",
        ["patients without asthma, without hypertension and without diabetes"],
    ),
    ("CT reports of asthma patients", ["CT reports of patients with asthma"]),
    ("men/women with asthma", ["patients with asthma"]),
    ("patients with asthma and then a CT", ["patients with asthma who had a CT after the diagnosis"]),
    (
        "which drugs were prescribed to women with asthma in 2024",
        [
            "drugs of women with asthma diagnosed in 2024",
            "all drugs prescribed in 2024 to women with asthma",
        ],
    ),
    # the day of the question is that of its times too
    (
        "patients over 50 as of 2025-01-01 with asthma diagnosed this year",
        ["as of 2025-01-01, patients over 50 with asthma diagnosed since 2025-01-01"],
    ),
    (
        "patients with asthma diagnosed last month, as of 2024-03-31",
        [
            "as of 2024-03-31, patients with asthma diagnosed within the last month",
            "as of 2024-03-31, patients with asthma diagnosed in February 2024",
        ],
    ),
    ("patients without CT and MRI", ["patients with MRI without CT", "patients with neither CT nor MRI"]),
    ("Pacientes sin TC y RM", ["patients with MRI without CT", "patients with neither CT nor MRI"]),
    ("patients without CT and with MRI", ["patients with MRI without CT"]),
    (
        "all images of patients with a CT",
        ["CT images of patients with a CT", "all their studies of patients with a CT"],
    ),
    ("patients whose CT was in 2024", ["patients with a CT in 2024"]),
    ("women over 60 and under 70 with asthma", ["women with asthma between 61 and 69"]),
    ("patients with asthma who are older than 60 and younger than 70", ["patients aged 61 to 69 with asthma"]),
    ("Patientes de plus de 60 ans et de moins de 70 ans avec asthma", ["women aged 61 to 69 with asthma"]),
    ("Pacientes mayores de 60 años y menores de 70 con asthma", ["patients aged 61 to 69 with asthma"]),
    (
        "patients whose age at diagnosis of asthma was between 10 and 20",
        ["patients diagnosed with asthma at an age between 10 and 20"],
    ),
    (
        "patients diagnosed with asthma between Jan and March 2025",
        ["patients diagnosed with asthma between 2025-01-01 and 2025-03-31"],
    ),
    ("the US of women with asthma", ["US studies of women with asthma"]),
    ("reports from the CT scans of women", ["CT reports of women"]),
    ("Patientinnen ab 18 mit Asthma", ["women aged at least 18 with asthma"]),
    ("Patients n'ayant ni scanner ni IRM", ["patients with neither CT nor MRI"]),
    ("Mostre os laudos e as imagens de mulheres com asthma", ["reports and images of women with asthma"]),
    *(
        (
            each,
            ["patients diagnosed with asthma in the last year", "patients diagnosed with asthma in 2025"],
        )
        for each in (
            "Patients diagnostiqués avec asthma l'année dernière",
            "Pacientes diagnosticados de asthma el año pasado",
            "Pacientes diagnosticados com asthma no ano passado",
        )
    ),
]


@pytest.mark.spec("NL-5", "NL-8", "NL-13", "NL-14", "NL-15", "NL-18")
@pytest.mark.parametrize(("question", "same"), READINGS, ids=[each for each, _ in READINGS])
def test_a_question_has_the_readings_of_plainer_ones(question, same):
    translation = asked(question)
    expected = [reading.hash for each in same for reading in asked(each).readings]

    assert translation.unmatched == ()
    assert {each.hash for each in translation.readings} == set(expected)
    assert len(expected) == len(same)


@pytest.mark.spec("NL-19")
@pytest.mark.parametrize(
    ("question", "system", "code"),
    [
        ("patients with J45", ICD, "J45"),
        ("patients with ICD-10 code J45", ICD, "J45"),
        ("patients with diagnosis code J45", ICD, "J45"),
        ("Patienten mit ICD-10 J45", ICD, "J45"),
        ("patients with SNOMED CT 195967001", SNOMED, "195967001"),
    ],
)
def test_a_code_of_the_site_means_itself_alone(question, system, code):
    (reading,) = asked(question, CODED).readings

    document = {"version": 1, "conditions": [{"code": {"codes": [{"system": system, "code": code}]}}]}
    assert reading.hash == definition_hash(read_definition(document))
    assert asked(reading.sentence, CODED).readings[0].hash == reading.hash


@pytest.mark.spec("NL-19", "NL-11")
@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("patients with SNOMED code J45", ["SNOMED code"]),
        ("patients with J45.1", ["1"]),
        ("patients with J46", ["J46"]),
        ("patients with code 50", ["code 50"]),
    ],
)
def test_a_code_that_the_site_does_not_have_is_refused(question, words):
    assert [each.text for each in asked(question, CODED).unmatched] == words
