"""Phrases of age (NL-13). Pure."""

from typing import Final

from shared.cohorts.language.cursor import Cursor
from shared.cohorts.language.dictionary import TermKind
from shared.cohorts.language.parts import AgePart

_OPPOSITE: Final = {"gt": "le", "ge": "lt", "lt": "ge", "le": "gt"}
_OLDEST: Final = 150
_TENS: Final = range(20, 100, 10)


def number_at(cursor: Cursor, at: int) -> tuple[int | None, int]:
    """The number at a place, with number words put together, and the place behind it."""
    value = cursor.number(at)
    if value is None:
        return None, at
    following = cursor.number(at + 1)
    if cursor.has(at, "number") and value in _TENS and following is not None and 1 <= following <= 9:
        word = cursor.lexemes[at].text
        if not word[0].isdecimal() and not cursor.lexemes[at + 1].text[0].isdecimal():
            return value + following, at + 2
    return value, at + 1


def countable(cursor: Cursor, at: int) -> bool:
    """Whether what follows is something that can be counted."""
    while cursor.has(at, "existence", "article", "year_old", "sex", "status", "laterality"):
        at += 1
    if at < len(cursor) and cursor.lexemes[at].means(*TermKind):
        return True
    inner = cursor.skip(at) if cursor.has(at, "part_of") else len(cursor)
    if inner < len(cursor) and cursor.lexemes[inner].means(TermKind.CONDITION, TermKind.MEDICATION):
        return True  # at least two of A, B and C
    return cursor.has(
        at, "study_noun", "modality", "report_noun", "drug_noun", "diagnosis_noun", "not_supported", "who", "unknown"
    )


class AgeReader:
    """Reads one phrase at the cursor."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def read(self) -> AgePart | None:
        """The phrase that begins at the cursor; the cursor is behind it then."""
        cursor = self._cursor
        start = at = cursor.at
        said = False
        words: set[int] = set()
        stage = ""
        negated = False
        while True:
            if cursor.has(at, "age_word", "year_old"):
                said = True
                words.add(at)
                at += 1
            elif said and (found := self.stage(at)):
                stage, used, at = found
                words |= used
            elif cursor.has(at, "not") and not negated and self._compares(at + 1, said):
                negated = True
                words.add(at)
                at += 1
            elif (said and cursor.has(at, "function", "being") and not cursor.has(at, "compare", "between")) or (
                not said and at == start and cursor.has(at, "function") and cursor.has(at + 1, "age_word")
            ):
                at += 1
            else:
                break
        part = self._bounds(at, said=said)
        if part is None:
            return None
        part.words |= words
        if negated:
            if part.lower and part.upper:
                return None
            part.lower, part.upper = _negated(part.lower or part.upper)
        if stage:
            part.at = stage
        elif found := self.stage(cursor.at):
            part.at, used, cursor.at = found
            part.words |= used
        return part

    def _compares(self, at: int, said: bool) -> bool:
        cursor = self._cursor
        while cursor.has(at, "age_word") or (said and cursor.has(at, "function")):
            at += 1
        return cursor.has(at, "compare") and number_at(cursor, self._inner(at + 1))[0] is not None

    def stage(self, at: int) -> tuple[str, set[int], int] | None:
        """`at diagnosis`, `when scanned`: the moment, its words, the place behind what is used up."""
        cursor = self._cursor
        if not cursor.has(at, "at"):
            return None
        inner = cursor.skip(at + 1, "possessive", "being", "at", "with")
        words = {each for each in range(at, inner) if not cursor.has(each, "sign")}
        if cursor.has(inner, "diagnosis_noun", "diagnosis_verb"):
            return "diagnosis", words | {inner}, inner + 1
        if cursor.has(inner, "modality", "study_noun", "study_verb"):
            # the age at any of the studies is no age at the first one
            cursor.refuse((each for each in words if cursor.has(each, "not_supported")), "notSupported")
            return "study", words - cursor.refused.keys(), inner
        return None

    def _inner(self, at: int) -> int:
        cursor = self._cursor
        while cursor.has(at, "age_word") or (cursor.has(at, "function", "article") and cursor.number(at) is None):
            at += 1
        return at

    def _bounds(self, at: int, *, said: bool) -> AgePart | None:
        cursor = self._cursor
        ranged = cursor.has(at, "between") or (
            cursor.has(at, "since", "compare") and self._is_from(at) and self._range_follows(at + 1)
        )
        if ranged or (cursor.number(at) is not None and self._range_follows(at)):
            return self._range(at, opened=ranged, said=said)
        if (cursor.has(at, "before", "after")) and cursor.has(self._inner(at + 1) - 1, "age_word"):
            return self._compared(at, "lt" if cursor.has(at, "before") else "gt", said=True)
        if cursor.has(at, "compare"):
            return self._compared(at, cursor.value(at, "compare"), said=said)
        if cursor.has(at, "compare_joined"):  # over 60 and younger than 70
            return self._compared(at, cursor.value(at, "compare_joined"), said=said)
        return self._plain(at, said=said)

    def _is_from(self, at: int) -> bool:
        return cursor_value(self._cursor, at) in ("ge", "")

    def _range_follows(self, at: int) -> bool:
        first, end = number_at(self._cursor, self._inner(at))
        if first is None:
            return False
        if self._cursor.has(end, "unit", "year_old") and self._cursor.has(end + 1, "to"):
            end += 1
        if not self._cursor.has(end, "to"):
            return False
        second, _ = number_at(self._cursor, self._inner(end + 1))
        return second is not None

    def _range(self, at: int, *, opened: bool, said: bool) -> AgePart | None:
        cursor = self._cursor
        words = {at} if opened else set()
        first_at = self._inner(at + 1 if opened else at)
        first, end = number_at(cursor, first_at)
        if first is None:
            return None
        if cursor.has(end, "unit", "year_old"):
            words.add(end)
            end += 1
        if not cursor.has(end, "to", "and"):
            return None
        second_at = self._inner(end + 1)
        second, last = number_at(cursor, second_at)
        if second is None:
            return None
        words |= set(range(at, last))
        behind, unit_words, years = self._years(last)
        if not years or max(first, second) > _OLDEST or first > second:
            return None
        if not said and not unit_words and countable(cursor, behind):
            return None
        cursor.at = behind
        return AgePart(words | unit_words, lower=("ge", first), upper=("le", second))

    def _compared(self, at: int, comparison: str, *, said: bool) -> AgePart | None:
        cursor = self._cursor
        inner = self._inner(at + 1)
        said = said or any(cursor.has(each, "age_word") for each in range(at, inner))
        value, end = number_at(cursor, inner)
        if value is None or value > _OLDEST or (comparison == "lt" and value < 1):
            return None
        if cursor.has(cursor.back(at), "measured") and not said:
            return None
        behind, unit_words, years = self._years(end)
        if not years:
            return None
        said = said or cursor.has(at, "age_compare")
        of_persons = cursor.has(cursor.back(at), "who", "sex")
        if not said and not unit_words and ((cursor.has(at, "since") and not of_persons) or countable(cursor, end)):
            return None
        if not said and cursor.has(cursor.back(at) + 1, "time_preposition") and self._lasting(at):
            return None
        cursor.at = behind
        words = set(range(at, end)) | unit_words
        lower, upper = _bound(comparison, value)
        return AgePart(words, lower=lower, upper=upper)

    def _lasting(self, at: int) -> bool:
        """`for over 5 years` is no age."""
        return at > 0 and self._cursor.has(at - 1, "time_preposition") and not self._cursor.has(at - 1, "since")

    def _plain(self, at: int, *, said: bool) -> AgePart | None:
        cursor = self._cursor
        value, end = number_at(cursor, at)
        if value is None or value > _OLDEST or cursor.has(at - 1, "ago_before"):
            return None
        behind, unit_words, years = self._years(end)
        if not years:
            return None
        words = set(range(at, end)) | unit_words
        if cursor.has(behind, "compare_after"):
            comparison = cursor.value(behind, "compare_after")
            if not said and not unit_words and countable(cursor, behind + 1):
                return None
            trailing = behind + 1
            while cursor.has(trailing, "age_word", "year_old"):
                words.add(trailing)
                trailing += 1
            cursor.at = trailing
            lower, upper = _bound(comparison, value)
            return AgePart(words | {behind}, lower=lower, upper=upper)
        aged = any(cursor.has(each, "year_old") for each in unit_words)
        if not (said or aged) or (not aged and not unit_words and countable(cursor, end) and not said):
            return None
        cursor.at = behind
        return AgePart(words, lower=("ge", value), upper=("le", value))

    def _years(self, at: int) -> tuple[int, set[int], bool]:
        """The unit of an age: the place behind it, its words, and whether it is years."""
        cursor = self._cursor
        words: set[int] = set()
        while cursor.has(at, "unit", "year_old") or (words and cursor.has(at, "age_word")):
            if cursor.has(at, "unit") and not cursor.has(at, "year_old") and cursor.value(at, "unit") != "year":
                return at, words, False
            words.add(at)
            at += 1
        if words and cursor.has(at, "ago", "last") and not cursor.has(at, "at", "before", "after", "in", "compare"):
            return at, words, False
        return at, words, True


def cursor_value(cursor: Cursor, at: int) -> str:
    """The comparison of a lexeme; empty where it is none."""
    return cursor.value(at, "compare") if cursor.has(at, "compare") else ""


type _Bound = tuple[str, int] | None


def _bound(comparison: str, value: int) -> tuple[_Bound, _Bound]:
    if comparison == "eq":
        return ("ge", value), ("le", value)
    bound = (comparison, value)
    return (bound, None) if comparison in ("gt", "ge") else (None, bound)


def _negated(bound: _Bound) -> tuple[_Bound, _Bound]:
    if bound is None:
        return None, None
    opposite = (_OPPOSITE[bound[0]], bound[1])
    return (opposite, None) if opposite[0] in ("gt", "ge") else (None, opposite)
