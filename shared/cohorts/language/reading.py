"""One reading of a question: its phrases, and what each says (NL-3). Pure."""

from collections.abc import Callable

from shared.cohorts.language.dictionary import TermKind
from shared.cohorts.language.parts import (
    AgePart,
    DiagnosesPart,
    DiagnosisPart,
    DrugPart,
    DrugsPart,
    Event,
    ReportPart,
    SexPart,
    StudyPart,
)
from shared.cohorts.language.phrases import PhraseReading
from shared.cohorts.language.rows import names_system, row_at
from shared.cohorts.language.verbs import VERBS


class Reading(PhraseReading):
    """Reads a question from left to right."""

    def run(self) -> None:
        """Read to the end."""
        cursor = self.cursor
        while cursor.at < len(cursor):
            if not any(step() for step in self._steps()):
                self._single()
        self._drop_negation()
        self._drop_moment()
        self._drop_verb()

    def _steps(self) -> tuple[Callable[[], bool], ...]:
        return (
            self._read_as_of,
            self._read_status,
            self._read_moment,
            self._read_age,
            self._read_optional,
            self._read_time,
            self._read_count,
            self._read_negation,
            self._read_all_conditions,
            self._read_study,
            self._read_diagnoses,
            self._read_drugs,
            self._read_report,
            self._read_verb,
            self._read_sex,
            self._read_mode,
        )

    def _read_all_conditions(self) -> bool:
        cursor = self.cursor
        if not cursor.has(cursor.at, "all_conditions"):
            return False
        inner = cursor.skip(cursor.at + 1)
        if inner < len(cursor) and cursor.lexemes[inner].means(TermKind.CONDITION):
            return False
        self._drop_negation()
        self._add(DiagnosesPart({cursor.at}))
        cursor.at += 1
        return True

    def _read_study(self) -> bool:
        cursor = self.cursor
        before = cursor.at
        part = self._studies.read()
        if part is None:
            return False
        part.negated, words = self._take_negation()
        part.words |= words
        part.negated = part.negated or self._shares_negation(before, StudyPart, DiagnosisPart, DrugPart)
        if cursor.has(cursor.at, "report_noun"):
            part.phrase = self._next_phrase()
        else:
            followed_by_who = cursor.has(cursor.at, "who")
            behind_report = isinstance(self._last, ReportPart) and cursor.back(before, "possessive") == max(
                self._last.words
            )
            joined = cursor.has(cursor.back(before, "possessive"), "and", "comma", "along")
            part.with_item = not self._returning and not part.negated
            collected = (self._returning or self._possessive) and not followed_by_who
            part.collected = (part.collected or collected) and not part.negated and (joined or not behind_report)
        if self._optional >= 0:
            part.required = False
            part.words.add(self._optional)
            self._optional = -1
        self._refuse_both(part, before)
        self._take_verb(part, StudyPart, before)
        self._add(part)
        return True

    def _refuse_both(self, part: StudyPart, before: int) -> None:
        """Two modalities of one patient have no form (NL-17)."""
        cursor = self.cursor
        joint = cursor.back(before, "with", "possessive")
        if not cursor.has(joint, "and", "slash", "along") or not isinstance(self._last, StudyPart):
            return
        other = self._last
        positive = not (part.negated or other.negated)
        differ = bool(other.modalities and part.modalities) and other.modalities != part.modalities
        if cursor.back(joint) == max(other.words) and positive and differ:
            cursor.refuse({joint}, "notSupported")

    def _read_diagnoses(self) -> bool:
        return self._read_row(TermKind.CONDITION, DiagnosisPart)

    def _read_row(self, kind: TermKind, form: type[DiagnosisPart | DrugPart]) -> bool:
        cursor = self.cursor
        before = cursor.at
        if kind is TermKind.MEDICATION and cursor.has(before, "code") and self._coded_kind() is not kind:
            return False
        if kind is TermKind.CONDITION and cursor.has(before, "code") and self._coded_kind() is not kind:
            return False
        row = row_at(cursor, before, kind, self.choices, negated=self._negation >= 0)
        if row is None:
            return False
        if kind is TermKind.CONDITION:
            self._refuse_topic(before, row.end)
        row.either = self._either >= 0
        other = DrugPart if form is DiagnosisPart else DiagnosisPart
        negated, words = self._take_negation()
        negated = negated or self._shares_negation(before, StudyPart, other)
        if row.either:
            words.add(self._either)
            self._either = -1
        groups = row.groups(self.choices)
        flags = [negated] * len(groups)
        if negated and len(groups) > 1:
            if "or" in row.joins:
                cursor.refuse(words, "negation")
            elif not any(cursor.has(each, "neither") for each in words) and self.choices.choose(2):
                flags = [True, *[False] * (len(groups) - 1)]
        cursor.at = row.end
        phrase = self._next_phrase()
        cursor.cover(row.join_words)
        returned = form is DrugPart and self._asked and self._returning and not cursor.has(cursor.at, "who")
        for at, (group, flag) in enumerate(zip(groups, flags, strict=True)):
            entry = form(set().union(words if at == 0 or flag else set(), *(each.words for each in group)))
            entry.concepts = [each.concept for each in group]
            entry.negated = flag
            entry.phrase = phrase
            self._take_verb(entry, form, before)
            if isinstance(entry, DrugPart):
                entry.returned = returned and not entry.has_verb and not flag
            self._add(entry)
        return True

    def _shares_negation(self, before: int, *forms: type[Event]) -> bool:
        """`without A and B` of two kinds is read both as neither and as B without A; `excluding those with A and B` is
        neither, and refused.
        """
        cursor, last = self.cursor, self._last
        if not isinstance(last, forms) or not last.negated or last.has_verb:
            return False
        negation = min(last.words)
        of_persons = cursor.has(negation, "not") and cursor.has(cursor.skip(negation + 1), "who")
        joint = cursor.back(before)
        joined = cursor.has(joint, "and") and cursor.back(joint) == max(last.words)
        joined = joined and not any(cursor.has(each, "with", *VERBS) for each in range(joint, before))
        if of_persons and (joined or cursor.back(before, "with", "being", "who") == max(last.words)):
            cursor.refuse({negation}, "negation")
            return False
        return joined and bool(self.choices.choose(2))

    def _coded_kind(self) -> TermKind:
        """The subject of a code that has no term: that of the words before it."""
        if self._verb is not None and self._verb[0] is DrugPart:
            return TermKind.MEDICATION
        last = self._last
        joined = self.cursor.has(self.cursor.back(self.cursor.at), "or", "comma", "and")
        return TermKind.MEDICATION if isinstance(last, DrugPart) and joined else TermKind.CONDITION

    def _read_drugs(self) -> bool:
        cursor = self.cursor
        if self._read_row(TermKind.MEDICATION, DrugPart):
            return True
        at = cursor.at
        if not cursor.has(at, "drug_noun"):
            return False
        last = self._last
        if isinstance(last, DrugPart) and max(last.words) == cursor.back(at):
            last.words.add(at)
            cursor.at += 1
            return True
        inner = cursor.skip(at + 1, "diagnosis_noun")
        if inner < len(cursor) and inner > at + 1 and cursor.lexemes[inner].means(TermKind.MEDICATION):
            self._verb = (DrugPart, {at}, [])
            cursor.at += 1
            return True
        self._drop_negation()
        part = DrugsPart({at}, phrase=self._next_phrase())
        cursor.at += 1
        self._take_verb(part, DrugPart, at)
        self._add(part)
        return True

    def _read_report(self) -> bool:
        cursor = self.cursor
        at = cursor.at
        if not cursor.has(at, "report_noun"):
            return False
        self._drop_negation()
        last = self._last
        joined = isinstance(last, StudyPart) and max(last.words) == at - 1 and not last.reference
        part = ReportPart({at}, phrase=last.phrase if joined and isinstance(last, StudyPart) else self._next_phrase())
        cursor.at += 1
        self._add(part)
        return True

    def _read_sex(self) -> bool:
        cursor = self.cursor
        at = cursor.at
        value = (
            cursor.value(at, "sex")
            if cursor.has(at, "sex")
            else cursor.value(at, "who")
            if cursor.has(at, "who")
            else ""
        )
        if not value:
            return False
        if cursor.has(at, "who"):
            self._refuse_other_persons(at)
            self._returning = self._possessive = False
        if value != "any" and self._negation >= 0:
            self._drop_negation()
        if value != "any" or cursor.has(at, "sex"):
            self._add(SexPart({at}, value=value))
        cursor.cover({at})
        cursor.at += 1
        return True

    def _refuse_other_persons(self, at: int) -> None:
        """`patients with A and patients with B` are two groups of people, which no definition joins (NL-18)."""
        cursor = self.cursor
        first, self._first_person = self._first_person, at if self._first_person < 0 else self._first_person
        joint = cursor.back(at, "sex", "with")
        if cursor.has(joint, "along") and not cursor.has(joint, "and"):
            cursor.refuse({joint}, "notSupported")  # who is included as well narrows nothing
        if first < 0 or not cursor.has(joint, "and", "comma") or cursor.has(joint, "along"):
            return
        forms = (AgePart, DiagnosisPart, DrugPart, StudyPart)
        if any(isinstance(each, forms) and each.start > first for each in self.parts):
            cursor.refuse({joint} if cursor.has(joint, "and") else {at}, "alternative")

    def _refuse_topic(self, before: int, end: int) -> None:
        """`reports about A`, `reports without A`: what a report says has no form (NL-20)."""
        cursor = self.cursor
        if not isinstance(self._last, ReportPart) or cursor.has(cursor.skip(end, "diagnosis_noun"), "who"):
            return
        between = range(max(self._last.words) + 1, before)
        said = [each for each in between if cursor.has(each, "topic", "with", "not")]
        plain = all(cursor.little(each) or cursor.has(each, "topic", "with", "not") for each in between)
        if said and plain:
            negated = any(cursor.has(each, "not") for each in said)
            cursor.refuse(said, "negation" if negated else "notSupported")

    def _read_mode(self) -> bool:
        cursor = self.cursor
        at = cursor.at
        if (cursor.has(at, "along") and self._collectable(at + 1)) or cursor.has(at, "request"):
            self._returning = True
        elif cursor.has(at, "either"):
            self._either = at
        elif cursor.has(at, "possessive"):
            self._possessive = True
            cursor.cover({at})
            cursor.at += 1
            return True
        elif not cursor.has(at, "and", "along", "diagnosis_noun"):
            return False
        if cursor.has(at, "diagnosis_noun") and not cursor.has(at, "along", "request"):
            return self._read_diagnosis_noun(at)
        cursor.cover({at})
        cursor.at += 1
        return True

    def _read_diagnosis_noun(self, at: int) -> bool:
        cursor = self.cursor
        inner = cursor.skip(at + 1, "with", "diagnosis_noun")
        following = inner < len(cursor) and cursor.lexemes[inner].means(TermKind.CONDITION)
        last = self._last
        if following or cursor.has(inner, "code"):
            cursor.cover({at})
        elif isinstance(last, DiagnosisPart) and cursor.back(at) == max(last.words):
            last.words.add(at)
        else:
            return False
        cursor.at += 1
        return True

    def _collectable(self, at: int) -> bool:
        cursor = self.cursor
        at = cursor.skip(at, "possessive", "status", "only")
        return self._studies.begins(at) or cursor.has(at, "report_noun", "drug_noun", "all_conditions", "drug_verb")

    def _single(self) -> None:
        """A word that begins no phrase."""
        cursor = self.cursor
        at = cursor.at
        cursor.at += 1
        if cursor.has(at, "sign") and cursor.lexemes[at].text in ".;:?!":
            self._drop_negation()
            self._possessive = False
            return
        moment = self._ages.stage(at) if not isinstance(self._last, DiagnosisPart) else None
        if moment is not None and moment[0] == "diagnosis":
            cursor.refuse({at}, "notSupported")
            return
        if cursor.has(at, "sign", "comma") or cursor.little(at):
            return
        if names_system(cursor, at):
            cursor.cover({at})
            return
        joins = cursor.has(at, "and", "with", "being", "at", "article", "possessive")
        narrows = cursor.has(at, "not_supported", "only") or (cursor.has(at, "at") and not cursor.has(at, "function"))
        if joins and not narrows:
            cursor.cover({at})
            return
        ranged = cursor.has(at, "compare_after") and cursor.number(at + 1) is not None
        if ranged or cursor.has(at, "or", "and_or", "nor", "slash"):
            cursor.refuse({at}, "alternative")
        else:
            cursor.refuse({at}, "unknown" if cursor.has(at, "unknown") else "notSupported")
