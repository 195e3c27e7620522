"""The choices of a reading in words, for whoever asked (NL-3, NL-16). Pure."""

from shared.cohorts.language.parts import DiagnosisPart, DrugPart, StudyPart
from shared.cohorts.language.reading import Reading


def notes_of(reading: Reading) -> list[str]:
    """The choices of a reading."""
    notes = list(dict.fromkeys(reading.notes))
    drugs = [each for each in reading.parts if isinstance(each, DrugPart)]
    if drugs:
        notes.append(
            "A medication means a prescription on record, not that the drug was taken, and is not limited to today."
        )
    if any(each.negated for each in (*drugs, *_of(reading, DiagnosisPart), *_of(reading, StudyPart))):
        notes.append("“No” means that there is none on record.")
    conditions = [each for each in _of(reading, DiagnosisPart) if not each.negated]
    if len(conditions) + len(drugs) > 1:
        notes.append("“And” adds a criterion; “or” makes alternatives of one criterion.")
    studies = [each for each in _of(reading, StudyPart) if not each.negated and not each.reference]
    if any(each.required for each in studies):
        notes.append("Patients without such a study are left out.")
    return notes


def _of[E](reading: Reading, kind: type[E]) -> list[E]:
    return [each for each in reading.parts if isinstance(each, kind)]
