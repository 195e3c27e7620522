"""Questions in the other languages that have tables."""

from datetime import date

import pytest

from shared.cohorts.language.translation import translate
from tests.builders.cohorts import DICTIONARY

QUESTIONS = [
    ("CT scans of women over 60 with asthma", "Zeige alle CT-Aufnahmen von Frauen über 60 mit Asthma"),
    ("men under 45 with asthma or hypertension", "Männer unter 45 Jahren mit Asthma oder Hypertension"),
    ("patients without asthma since 2020", "Patienten ohne Asthma seit 2020"),
    ("MR images of women over 50 with asthma", "Donnez-moi les IRM des femmes de plus de 50 ans avec asthma"),
    ("patients with asthma in the last 6 months", "Patients avec asthma au cours des 6 derniers mois"),
    ("CT scans of women over 60 with asthma", "Muestra las tomografías de mujeres mayores de 60 años con asthma"),
    ("patients with asthma without hypertension", "Pacientes con asthma sin hypertension"),
    ("MR images of women over 50 with asthma", "Mostre as ressonâncias de mulheres com mais de 50 anos com asthma"),
    ("patients with asthma in the last 6 months", "Pacientes com asthma nos últimos 6 meses"),
    ("women aged 50 or older with an MRI of the knee", "Patientinnen ab 50 Jahren mit einer MRT des Kniegelenks"),
    ("patients aged 45 to 60 with asthma", "45- bis 60-jährige Patienten mit Asthma"),
    ("patients with a chest CT in the past 6 months", "Patienten mit Thorax-CT aus den letzten sechs Monaten"),
    (
        "patients with osteosarcoma, under 18 at diagnosis",
        "Patienten, die bei Diagnose des Osteosarkoms unter 18 waren",
    ),
    ("patients over 60 at the time of their CT", "Patienten, die zum Zeitpunkt der CT älter als 60 waren"),
    ("patients with a chest CT since 2024", "Patients avec un scanner thoracique depuis 2024"),
    ("abdominal ultrasounds between 2019 and 2021", "Échographies abdominales entre 2019 et 2021"),
    (
        "patients under 18 at diagnosis of osteosarcoma",
        "patients qui avaient moins de 18 ans au moment du diagnostic d'ostéosarcome",
    ),
    ("patients with an MRI of the knee", "Pacientes con una resonancia magnética de las rodillas"),
    ("patients with a CT of the lumbar spine", "Pacientes con TC de columna lumbar"),
    ("patients with a CT but no MRI", "Pacientes com TC mas sem ressonância magnética"),
    ("patients without cisplatin", "Patienten, die nicht mit Cisplatin behandelt wurden"),
    ("patients without cisplatin", "Patients qui ne prennent pas de cisplatin"),
    ("patients without a CT", "Patients n'ayant jamais eu de scanner"),
    ("patients with a CT of the stomach", "Pacientes com TC do estômago"),
]


@pytest.mark.spec("NL-8")
@pytest.mark.parametrize(("english", "other"), QUESTIONS, ids=[other for _, other in QUESTIONS])
def test_a_question_means_the_same_in_another_language(english, other):
    one, two = (translate(each, DICTIONARY, today=date(2026, 6, 30)) for each in (english, other))

    assert two.unmatched == ()
    assert [each.hash for each in two.readings] == [each.hash for each in one.readings]


@pytest.mark.spec("NL-15")
def test_a_time_between_two_clauses_may_be_of_either():
    question = "Patienten mit Asthma, die in den letzten zwei Jahren ein MRT hatten"

    assert len(translate(question, DICTIONARY, today=date(2026, 6, 30)).readings) == 2


@pytest.mark.spec("NL-18", "NL-8")
@pytest.mark.parametrize(
    "question",
    ["Patienten ohne Asthma und CT", "Patients sans asthma et scanner", "Pacientes sin asthma y TC"],
)
def test_without_one_and_another_has_two_readings(question):
    assert len(translate(question, DICTIONARY, today=date(2026, 6, 30)).readings) == 2


@pytest.mark.spec("NL-20", "NL-8")
@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("Patienten mit MRT des linken Knies", "linken"),
        ("Patients avec IRM du genou gauche", "gauche"),
        ("Pacientes con resonancia de la rodilla izquierda", "izquierda"),
        ("Pacientes com ressonância do joelho esquerdo", "esquerdo"),
    ],
)
def test_a_side_is_refused(question, word):
    unmatched = translate(question, DICTIONARY, today=date(2026, 6, 30)).unmatched

    assert [(each.text, each.reason) for each in unmatched] == [(word, "notSupported")]
