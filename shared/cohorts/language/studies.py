"""Phrases of imaging: `CT or MR scans of the chest` (NL-17). Pure."""

from shared.cohorts.language.choices import Choices
from shared.cohorts.language.cursor import Cursor
from shared.cohorts.language.dictionary import Concept, TermKind
from shared.cohorts.language.parts import StudyPart
from shared.cohorts.language.rows import concept_at
from shared.cohorts.language.vocabulary import MODALITY_CODES


class StudyReader:
    """Reads one phrase at the cursor."""

    def __init__(self, cursor: Cursor, choices: Choices) -> None:
        self._cursor = cursor
        self._choices = choices

    def begins(self, at: int) -> bool:
        """Whether a phrase of imaging begins at a place."""
        cursor = self._cursor
        if cursor.has(at, "modality", "study_noun", "all_studies", "matching_studies"):
            return not self._is_country(at)
        behind = self._sites_end(at)
        return behind > at and cursor.has(behind, "modality", "study_noun")

    def read(self) -> StudyPart | None:
        """The phrase that begins at the cursor; the cursor is behind it then."""
        cursor = self._cursor
        at = cursor.at
        if not self.begins(at):
            return None
        part = StudyPart({at})
        if cursor.has(at, "all_studies", "matching_studies"):
            part.whole = cursor.has(at, "all_studies")
            part.reference = True
            part.collected = True
            cursor.at = at + 1
            return part
        at = self._core(at, part)
        while (joined := self._alternative(at)) >= 0:
            other = StudyPart()
            end = self._core(joined, other)
            if not self._merge(part, other):
                cursor.refuse([each for each in range(at, joined) if cursor.has(each, "or")], "alternative")
            part.words |= set(range(at, end))
            at = end
        cursor.at = at
        return part

    # ------------------------------------------------------------------------------------------------------- inside

    def _is_country(self, at: int) -> bool:
        """`patients in the US`, `women from CT`: a code of DICOM that stands for a place (NL-20)."""
        cursor = self._cursor
        if cursor.lexemes[at].text not in MODALITY_CODES or cursor.has(at + 1, "study_noun", "report_noun"):
            return False
        named = cursor.has(at - 1, "article")
        before = at - 2 if named else at - 1
        return cursor.has(before, "place") and (named or cursor.has(before - 1, "who", "sex"))

    def _core(self, at: int, part: StudyPart) -> int:
        """Body parts, modalities and nouns in a row; the place behind them."""
        cursor = self._cursor
        at = self._sites(at, part)
        named = False
        while cursor.has(at, "modality", "study_noun"):
            if cursor.has(at, "modality"):
                if named:
                    break
                named = True
                part.modalities += [each for each in cursor.value(at, "modality").split("_") if each]
            part.words.add(at)
            at += 1
            inner = self._sites(at, part) if not part.sites else at
            if inner > at and cursor.has(inner, "modality", "study_noun"):
                at = inner
            elif inner > at:
                return inner
            listed = self._listed(at)
            if listed >= 0 and not part.sites:
                part.words |= set(range(at, listed))
                at = listed
                named = False
        return self._behind(at, part)

    def _listed(self, at: int) -> int:
        """The place of the next modality of a list (`CT, MR or US`), all of the same body parts; -1: none."""
        cursor = self._cursor
        inner = at
        while cursor.has(inner, "or", "comma", "nor"):
            inner += 1
        if inner == at:
            return -1
        inner = cursor.skip(inner)
        if not cursor.has(inner, "modality"):
            return -1
        final = inner
        while cursor.has(final, "modality", "or", "comma", "nor", "study_noun", "function", "existence"):
            if cursor.has(final, "or", "nor"):
                return inner
            final += 1
        return inner if any(cursor.has(each, "or", "nor") for each in range(at, inner)) else -1

    def _behind(self, at: int, part: StudyPart) -> int:
        """`of the chest or abdomen` behind it."""
        cursor = self._cursor
        inner = cursor.skip(at, "laterality", "possessive")
        if inner == at or self._sites_end(inner) == inner or part.sites:
            return at
        behind = self._sites_end(inner)
        if cursor.has(behind, "modality", "study_noun"):
            return at
        end = self._sites(inner, part)
        between = range(at, inner)
        part.words |= {each for each in between if not cursor.little(each)} | set(range(inner, end))
        cursor.refuse([each for each in between if cursor.has(each, "laterality")], "notSupported")
        part.words -= cursor.refused.keys()
        return end

    def _sites_end(self, at: int) -> int:
        """The place behind body parts joined by `or`."""
        cursor = self._cursor
        end = at
        while at < len(cursor) and cursor.lexemes[at].means(TermKind.BODY_SITE):
            end = at + 1
            at = end
            while cursor.has(at, "or", "comma", "nor") or (at > end and cursor.little(at)):
                at += 1
            if at == end:
                break
        return end

    def _sites(self, at: int, part: StudyPart) -> int:
        end = self._sites_end(at)
        for each in range(at, end):
            concept = self._site(each)
            if concept is not None:
                part.sites.append(concept)
        part.words |= set(range(at, end))
        return end

    def _site(self, at: int) -> Concept | None:
        return concept_at(self._cursor, at, TermKind.BODY_SITE, self._choices)

    def _alternative(self, at: int) -> int:
        """The place of another phrase of imaging joined by `or`; -1: none."""
        cursor = self._cursor
        inner = at
        while cursor.has(inner, "or", "nor"):
            inner += 1
        if inner == at:
            return -1
        inner = cursor.skip(inner, "with")
        return inner if self.begins(inner) else -1

    def _merge(self, part: StudyPart, other: StudyPart) -> bool:
        """Whether both are one `imaging`: the same body parts, or those of the first for both."""
        if bool(part.modalities) != bool(other.modalities):
            return False
        part.modalities += [each for each in other.modalities if each not in part.modalities]
        codes = [each.codes for each in part.sites]
        if other.sites and codes != [each.codes for each in other.sites]:
            return False
        return bool(other.sites) or not part.sites or self._sites_first(part)

    def _sites_first(self, part: StudyPart) -> bool:
        """`chest CT or MR`: the body part stands before what it is of."""
        return self._cursor.lexemes[part.start].means(TermKind.BODY_SITE)
