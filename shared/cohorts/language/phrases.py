"""The phrases of a reading that are no events: ages, counts, times, statuses, negations. Pure."""

from shared.cohorts.language.ages import countable, number_at
from shared.cohorts.language.dictionary import TermKind
from shared.cohorts.language.parts import (
    AgePart,
    DiagnosesPart,
    DiagnosisPart,
    DrugsPart,
    ReportPart,
    StudyPart,
)
from shared.cohorts.language.statuses import status_at
from shared.cohorts.language.verbs import VerbReading

_LONGEST_MOMENT = 12
"""Words between a moment and the age that it is about."""

_LONGEST_VERB = 4
"""Lexemes between the two words of a negation: `ne leur ont jamais`."""


class PhraseReading(VerbReading):
    """Reads phrases that narrow events."""

    def _read_as_of(self) -> bool:
        found = self._times.as_of()
        if found is None:
            return False
        if self.as_of is not None and self.as_of[0] != found[0]:
            self.cursor.refuse(found[1], "notSupported")
            return True
        self.as_of = found
        self.cursor.cover(found[1])
        return True

    def _read_status(self) -> bool:
        phrase = status_at(self.cursor)
        if phrase is None:
            return False
        self.statuses.append((phrase, min(phrase.words)))
        self.cursor.cover(phrase.words)
        return True

    def _read_moment(self) -> bool:
        """`at diagnosis of X`, where the age that it is about comes behind it."""
        cursor = self.cursor
        found = self._ages.stage(cursor.at)
        if found is None or self._moment is not None or not self._age_follows(found[2]):
            return False
        stage, words, end = found
        if cursor.has(cursor.at - 1, "age_word"):  # whose age at diagnosis was
            words = words | {cursor.at - 1}
            cursor.refused.pop(cursor.at - 1, None)
        self._moment = stage, words
        cursor.cover(words)
        cursor.at = end
        return True

    def _age_follows(self, at: int) -> bool:
        """Whether an age comes next, behind the diagnosis or the study whose moment it is about."""
        cursor = self.cursor
        saved, covered, refused = cursor.at, set(cursor.covered), dict(cursor.refused)
        try:
            for _ in range(_LONGEST_MOMENT):
                cursor.at = at
                if at >= len(cursor):
                    return False
                if self._ages.read() is not None:
                    return True
                named = cursor.lexemes[at].means(TermKind.CONDITION, TermKind.BODY_SITE)
                between = ("with", "possessive", "being", "comma", "modality", "study_noun", "who", "sex", "not")
                if not (named or cursor.little(at) or cursor.has(at, *between)):
                    return False
                at += 1
            return False
        finally:
            cursor.at, cursor.covered, cursor.refused = saved, covered, refused

    def _drop_moment(self) -> None:
        """A moment that no age is about is refused."""
        if self._moment is not None:
            self.cursor.refuse(self._moment[1], "notSupported")
        self._moment = None

    def _read_age(self) -> bool:
        before = self.cursor.at
        part = self._ages.read()
        if part is None:
            return False
        if part.at == "asOf" and self._moment is not None:
            part.at, words = self._moment
            part.words |= words
            self._moment = None
        elif part.at == "asOf":
            part.at = self._stage_before(before)
        if part.at == "asOf":
            self._take_moment_word(before, part)
        if self._negation >= 0:
            self.cursor.refuse({self._negation}, "negation")
            self._negation = -1
        self._refuse_no_age(before, part)
        self._add(part)
        return True

    def _refuse_no_age(self, before: int, part: AgePart) -> None:
        """`about 50 years old` is no age; `scans older than 2 years` speaks of the age of a scan."""
        cursor = self.cursor
        if cursor.has(before - 1, "approximate"):
            cursor.refuse({before - 1}, "notSupported")
        included = cursor.back(before, "who")
        if cursor.has(included, "along") and not cursor.has(included, "and"):
            cursor.refuse({included}, "notSupported")
        last = self._last
        follows = isinstance(last, StudyPart) and cursor.back(before) == max(last.words)
        words = [each for each in part.words if not cursor.has(each, "comma", "sign")]
        compared = any(cursor.has(each, "age_compare") for each in words)
        years = any(cursor.has(each, "unit") for each in words)
        of_a_person = any(cursor.has(each, "year_old", "age_word", "at") for each in words)
        if follows and part.at == "asOf" and (compared or years) and not of_a_person:
            cursor.refuse(words, "notSupported")

    def _take_moment_word(self, before: int, part: AgePart) -> None:
        """`diagnosed with X when over 45`: the word before an age that says of what moment it is."""
        cursor = self.cursor
        word = cursor.back(before)
        if not cursor.has(word, "at") or cursor.has(word, "function"):
            return
        last = self._last
        if (
            isinstance(last, DiagnosisPart | StudyPart)
            and last.has_verb
            and cursor.back(word, "comma") == max(last.words)
        ):
            part.at = "diagnosis" if isinstance(last, DiagnosisPart) else "study"
            part.words.add(word)
            cursor.refused.pop(word, None)

    def _stage_before(self, at: int) -> str:
        """The moment that an age is about, where the phrase stands behind the verb: `diagnosed at age 50`."""
        cursor = self.cursor
        before = cursor.back(at, "at", "age_word", "with", "being")
        if cursor.has(before, "diagnosis_verb") or (cursor.has(before, "diagnosis_noun") and before == at - 1):
            return "diagnosis"
        if cursor.has(before, "study_verb"):
            return "study"
        if cursor.has(at, "before", "after") and before >= 0 and cursor.lexemes[before].means(TermKind.CONDITION):
            return "diagnosis"
        begun = range(before + 1, min(cursor.skip(at) + 1, len(cursor)))
        if before >= 0 and self._is_at_age(begun):
            if cursor.lexemes[before].means(TermKind.CONDITION):
                return "diagnosis"
            if cursor.has(before, "modality", "study_noun"):
                return "study"
        found = self._ages.stage(at - 2) if at >= 2 else None
        return found[0] if found and found[2] >= at else "asOf"

    def _is_at_age(self, words: range) -> bool:
        """Whether words are `at age`, `at an age of`."""
        cursor = self.cursor
        opened = bool(words) and cursor.lexemes[words[0]].text.casefold().startswith("at")
        closed = any(cursor.has(each, "age_word") for each in words)
        return opened and closed and all(cursor.has(each, "age_word", "at", "existence", "article") for each in words)

    def _read_count(self) -> bool:
        """A number of things: one or more is existence, any other is refused with its number (NL-16)."""
        cursor = self.cursor
        at = cursor.at
        compared = cursor.has(at, "compare")
        number, end = number_at(cursor, at + 1 if compared else at)
        if number is None:
            return False
        behind = cursor.has(end, "compare_after")
        words = range(at, end + 1 if behind else end)
        comparison = cursor.value(at, "compare") if compared else cursor.value(end, "compare_after") if behind else "ge"
        if (number, comparison) in ((1, "ge"), (0, "gt")) and countable(cursor, words.stop):
            cursor.cover(words)
        else:
            cursor.refuse(words, "notSupported")
            if self._negation >= 0 and cursor.back(at) == self._negation:
                cursor.refuse({self._negation}, "notSupported")
                self._negation = -1
        cursor.at = words.stop
        return True

    def _read_optional(self) -> bool:
        cursor = self.cursor
        if cursor.has(cursor.at, "optional"):
            self._optional = cursor.at
        elif cursor.has(cursor.at, "optional_after"):
            last = next((each for each in reversed(self.events) if isinstance(each, StudyPart)), None)
            if last is not None and self._last is last and not last.negated:
                last.required = False
                last.words.add(cursor.at)
            elif not isinstance(self._last, ReportPart | DrugsPart):
                return False
        else:
            return False
        cursor.cover({cursor.at})
        cursor.at += 1
        return True

    def _read_time(self) -> bool:
        cursor = self.cursor
        before = cursor.at
        part = self._times.read()
        if part is None:
            return False
        part.words = {each for each in part.words if not cursor.has(each, "comma", "sign")}
        cursor.cover(part.words)
        if self._verb is not None:
            self._verb[2].append(part)
        else:
            self.times.append((part, self._event_of_verb(cursor.back(before, "comma"))))
        return True

    def _read_negation(self) -> bool:
        cursor = self.cursor
        if cursor.has(cursor.at, "negation_particle"):
            return self._read_particle()
        if not cursor.has(cursor.at, "not", "neither"):
            return False
        self._drop_negation()
        if self._excepts(cursor.at):
            cursor.refuse({cursor.at}, "negation")
        else:
            self._negation = cursor.at
        cursor.at += 1
        return True

    def _excepts(self, at: int) -> bool:
        """`all medications except A`, `scans other than MRI`: some of what is returned, which has no form. It says
        nothing of who has A.
        """
        cursor, last = self.cursor, self._last
        fits = isinstance(last, DrugsPart | ReportPart | DiagnosesPart)
        fits = fits or (isinstance(last, StudyPart) and cursor.has(at, "except"))
        if last is None or not fits or cursor.back(at, "comma") != max(last.words):
            return False
        inner = cursor.skip(at + 1, "with")
        return not cursor.has(inner, "who", "sex")

    def _read_particle(self) -> bool:
        """`ne`, which says nothing beside the negation that follows it, and must not stand without."""
        cursor = self.cursor
        at = cursor.at
        behind = range(at + 1, at + 1 + _LONGEST_VERB)
        if any(cursor.has(each, "not", "neither") for each in behind):
            cursor.cover({at})
        else:
            cursor.refuse({at}, "negation")
        cursor.at += 1
        return True
