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
