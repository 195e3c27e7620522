"""The memory of a reading, and its verbs (NL-15). Pure."""

from datetime import date

from shared.cohorts.language.ages import AgeReader
from shared.cohorts.language.choices import Choices
from shared.cohorts.language.cursor import Cursor
from shared.cohorts.language.dictionary import TermKind
from shared.cohorts.language.lexemes import Lexeme
from shared.cohorts.language.parts import (
    AgePart,
    DiagnosisPart,
    DrugPart,
    DrugsPart,
    Event,
    Part,
    ReportPart,
    SexPart,
    StudyPart,
    TimePart,
)
from shared.cohorts.language.statuses import StatusPhrase
from shared.cohorts.language.studies import StudyReader
from shared.cohorts.language.times import TimeReader

VERBS = {"diagnosis_verb": DiagnosisPart, "drug_verb": DrugPart, "study_verb": StudyPart}


class VerbReading:
    """Reads verbs: each makes one event with the noun that it takes."""

    def __init__(self, lexemes: list[Lexeme], choices: Choices, as_of: date) -> None:
        self.cursor = Cursor(lexemes)
        self.choices = choices
        self.parts: list[Part] = []
        self.times: list[tuple[TimePart, Event | None]] = []
        self.statuses: list[tuple[StatusPhrase, int]] = []
        self.as_of: tuple[str, set[int]] | None = None
        self.notes: list[str] = []
        self._ages = AgeReader(self.cursor)
        self._times = TimeReader(self.cursor, choices, as_of)
        self._times.look_for_as_of()
        self._studies = StudyReader(self.cursor, choices)
        whole = range(len(lexemes))
        self._asked = any(self.cursor.has(each, "who", "request") for each in whole)
        self._returning = self._asked or self._begins_with_items()
        self._negation = -1
        self._optional = -1
        self._either = -1
        self._moment: tuple[str, set[int]] | None = None
        self._possessive = False
        self._verb: tuple[type[Event], set[int], list[TimePart]] | None = None
        self._kind_words: list[tuple[str, int]] = []
        self._phrase = 0
        self._first_person = -1
        self._last: Part | None = None

    @property
    def events(self) -> list[Event]:
        """Everything that has a time, in order."""
        return [each for each in self.parts if isinstance(each, Event)]

    def _begins_with_items(self) -> bool:
        """Whether a question that names nobody begins with what to return."""
        at = self.cursor.skip(0, "status", "only")
        return self._studies.begins(at) or self.cursor.has(at, "report_noun", "drug_noun")

    def _next_phrase(self) -> int:
        self._phrase += 1
        return self._phrase

    def _add(self, part: Part) -> None:
        part.words = {each for each in part.words if not self.cursor.has(each, "comma", "sign")}
        self.cursor.cover(part.words)
        if not isinstance(part, AgePart | SexPart):
            self._last = part
        if not self._asked and isinstance(part, AgePart | SexPart | DiagnosisPart | DrugPart):
            self._returning = False
        self.parts.append(part)

    def _drop_negation(self) -> None:
        """A negation that found nothing to negate is refused, never dropped (NL-4)."""
        if self._negation >= 0:
            self.cursor.refuse({self._negation}, "negation")
        self._negation = -1

    def _take_negation(self) -> tuple[bool, set[int]]:
        at, self._negation = self._negation, -1
        return at >= 0, {at} if at >= 0 else set()

    def _event_of_verb(self, at: int) -> Event | None:
        """The event whose verb stands right before a time."""
        if not self.cursor.has(at, *VERBS, "recorded", "onset") or not self.cursor.has(at, *VERBS):
            return None
        return next((each for each in self.events if at in each.words and each.has_verb), None)

    def _read_verb(self) -> bool:
        cursor = self.cursor
        at = cursor.at
        if cursor.has(at, "recorded", "onset") and self._read_kind(at):
            return True
        category = next((each for each in VERBS if cursor.has(at, each)), None)
        if category is None:
            return False
        form = VERBS[category]
        following = self._following(at)
        if following is form:
            self._drop_verb()
            self._verb = (form, {at}, [])
        elif following is StudyPart and form is DrugPart and not isinstance(self._last, DrugPart | DrugsPart):
            if cursor.has(at, "only_of_drugs") and not cursor.has(at, "function"):
                cursor.refuse({at}, "notSupported")  # a CT that was ordered need not have been made
            else:
                cursor.cover({at})  # received a CT
        elif (event := self._preceding(form)) is not None:
            event.words.add(at)
            event.has_verb = True
            event.hangs = False
            cursor.cover({at})
        elif form is StudyPart and cursor.lexemes[at].text.casefold() not in ("underwent", "undergone", "undergoing"):
            part = StudyPart({at}, has_verb=True, phrase=self._next_phrase())
            part.negated, words = self._take_negation()
            part.words |= words
            self._add(part)
        elif cursor.has(at, "function"):
            cursor.at += 1
            return True
        else:
            cursor.refuse({at}, "notSupported")
        cursor.at += 1
        return True

    def _read_kind(self, at: int) -> bool:
        """`recorded`, `onset`: which date of the diagnosis is meant."""
        cursor = self.cursor
        words, kinds, end = {at}, [], at
        while cursor.has(end, "recorded", "onset"):
            kinds.append("recorded" if cursor.has(end, "recorded") else "onset")
            words.add(end)
            end += 1
            inner = cursor.skip(end, "with")
            if cursor.has(inner, "else"):
                words |= {inner}
                end = cursor.skip(inner + 1)
        inner = cursor.skip(end, "with")
        event = self._preceding(DiagnosisPart)
        if event is None and not (inner < len(cursor) and cursor.lexemes[inner].means(TermKind.CONDITION)):
            return False
        if event is None:
            self._kind_words = [(kind, at) for kind in kinds]
            self._verb = (DiagnosisPart, words, [])
        elif isinstance(event, DiagnosisPart):
            event.kinds = list(dict.fromkeys(kinds))
            event.kind_words |= words
            event.words |= words
            event.has_verb = True
        cursor.cover(words)
        cursor.at = end
        return True

    def _following(self, at: int) -> type[Event] | None:
        """The form of the event whose noun follows a verb, over times and ages."""
        cursor = self.cursor
        saved = cursor.at
        covered, refused = set(cursor.covered), dict(cursor.refused)
        cursor.at = at + 1
        try:
            for _ in range(6):
                cursor.at = cursor.skip(
                    cursor.at,
                    "with",
                    "diagnosis_noun",
                    "code_system",
                    "either",
                    "possessive",
                    "not",
                    "neither",
                    "comma",
                    "optional",
                )
                if not (TimeReader(cursor, Choices(()), date(2000, 1, 1)).read() or self._ages.read()):
                    break
            inner = cursor.at
            if inner >= len(cursor):
                return None
            if self._studies.begins(inner):
                return StudyPart
            if cursor.has(inner, "code"):
                return DrugPart if cursor.has(at, "drug_verb") else DiagnosisPart
            lexeme = cursor.lexemes[inner]
            if lexeme.means(TermKind.CONDITION):
                return DiagnosisPart
            named = lexeme.means(TermKind.MEDICATION) or cursor.has(inner, "drug_noun")
            return DrugPart if named else None
        finally:
            cursor.at, cursor.covered, cursor.refused = saved, covered, refused

    def _preceding(self, form: type[Event]) -> Event | None:
        """The event of a form that was just said, in the same clause."""
        forms = (DrugPart, DrugsPart) if form is DrugPart else (form,)
        for event in reversed(self.events):
            if isinstance(event, ReportPart) and not isinstance(event, forms):
                continue
            return event if isinstance(event, forms) else None
        return None

    def _take_verb(self, event: Event, form: type[Event], before: int) -> None:
        """The verb that waits for its noun, or the verb of another kind that the event hangs on."""
        if self._verb is not None and issubclass(self._verb[0], form):
            event.words |= self._verb[1]
            event.has_verb = True
            self.times.extend((part, event) for part in self._verb[2])
            if isinstance(event, DiagnosisPart) and self._kind_words:
                event.kinds = [kind for kind, _ in self._kind_words]
                event.kind_words |= self._verb[1]
            self._verb, self._kind_words = None, []
            return
        self._drop_verb()
        last = self._last
        if isinstance(last, Event) and last.has_verb and type(last) is not type(event):
            between = range(max(last.words) + 1, min(event.words | {before}))
            event.hangs = all(
                self.cursor.little(each) or self.cursor.has(each, "with", "who", "sex") for each in between
            )

    def _drop_verb(self) -> None:
        if self._verb is not None:
            self.cursor.refuse(self._verb[1], "notSupported")
            for part in self._verb[2]:
                self.cursor.refuse(part.words, "notSupported")
        self._verb = None
