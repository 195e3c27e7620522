"""The terms that can be asked: those of the site's own codes, and the shipped ones that add to them (NL-2, NL-19).

Pure. A concept is a set of codes that mean one thing at the site.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

from shared.cohorts.folding import fold_term
from shared.cohorts.language.shipped import body_sites, synonyms
from shared.cohorts.value_sets import ValueSets

type CodePair = tuple[str, str]
"""System and code."""

_SHORT: Final = 5
"""Terms of fewer letters, such as MS or ALL, mean different things too often for their codes to be one concept."""


_LONG_NUMBER: Final = 6
"""Digits of a code that is no age, count or year."""
_SHORT_CODE: Final = 3
"""Characters of a code of letters and digits, such as J45."""


class TermKind(StrEnum):
    """The kind of a term: its subject."""

    CONDITION = "condition"
    MEDICATION = "medication"
    BODY_SITE = "bodySite"
    PROCEDURE = "procedure"
    OBSERVATION = "observation"


@dataclass(frozen=True, slots=True)
class CodedText:
    """The content of a CodeableConcept of the site: its codings and its text."""

    kind: TermKind
    codes: frozenset[CodePair]
    terms: frozenset[str]
    """Displays and text, as they are written."""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Concept:
    """One meaning of a term: a shipped value set, or codes."""

    kind: TermKind
    value_set: str = ""
    codes: frozenset[CodePair] = frozenset()
    display: str = ""
    """A term of the site, as it is written."""
    by_code: bool = False
    """It is asked for by its code."""


@dataclass(slots=True)
class Dictionary:
    """The terms of one site, folded."""

    concepts: Mapping[str, tuple[Concept, ...]]
    """Each term with its meanings: more than one is a question with more than one reading."""
    longest: int
    """Words of the longest term."""
    displays: Mapping[CodePair, str] = field(default_factory=dict)
    """How the site writes a code."""
    _by_codes: dict[tuple[TermKind, frozenset[CodePair]], str] = field(default_factory=dict)
    _containing: dict[tuple[TermKind, CodePair], list[frozenset[CodePair]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Index the terms that stand for one concept by its codes: how a definition is said."""
        for term, meanings in sorted(self.concepts.items()):
            if len(meanings) == 1 and meanings[0].codes and not meanings[0].by_code:
                meant = meanings[0]
                if (meant.kind, meant.codes) not in self._by_codes:
                    for code in meant.codes:
                        self._containing.setdefault((meant.kind, code), []).append(meant.codes)
                    self._by_codes[meant.kind, meant.codes] = term
                elif term == fold_term(meant.display):
                    self._by_codes[meant.kind, meant.codes] = term

    def term_of(self, kind: TermKind, codes: frozenset[CodePair]) -> str | None:
        """A term that means exactly these codes."""
        return self._by_codes.get((kind, codes))

    def term_within(
        self, kind: TermKind, code: CodePair, codes: frozenset[CodePair]
    ) -> tuple[str, frozenset[CodePair]] | None:
        """A term that means the code and, beside it, only other codes of a set."""
        for meant in self._containing.get((kind, code), ()):
            if meant <= codes:
                return self._by_codes[kind, meant], meant
        return None

    def meanings(self, folded: str) -> tuple[Concept, ...]:
        """The meanings of a folded term; empty for what nobody knows."""
        return self.concepts.get(folded, ())

    @classmethod
    def build(cls, site: Iterable[CodedText], value_sets: ValueSets) -> Self:
        """The dictionary of what occurs at the site, with the shipped terms."""
        rows = list(site)
        concepts: dict[str, list[Concept]] = defaultdict(list)
        displays: dict[CodePair, str] = {}
        for kind in TermKind:
            of_kind = [row for row in rows if row.kind is kind and row.codes]
            for row in of_kind:
                for code in row.codes:
                    displays.setdefault(code, min(row.terms, default=""))
            for term, meanings in _concepts(kind, of_kind).items():
                concepts[term].extend(meanings)
        for term, (name, code) in body_sites().items():
            if not any(each.kind is TermKind.BODY_SITE for each in concepts[term]):
                concepts[term].append(Concept(TermKind.BODY_SITE, codes=frozenset({code}), display=name))
        for group in synonyms():
            _add_synonyms(concepts, [fold_term(term) for term in group])
        for name, terms in value_sets.terms().items():
            for term in terms:
                concepts[term] = [Concept(TermKind.CONDITION, value_set=name, display=name)]
        _add_codes(concepts, rows)
        found = {term: tuple(meanings) for term, meanings in concepts.items() if term and meanings}
        return cls(found, max((len(term.split()) for term in found), default=0), displays)


def _add_codes(concepts: dict[str, list[Concept]], rows: Iterable[CodedText]) -> None:
    """Codes that no other word can be mistaken for, such as J45 and 195967001: each means itself alone."""
    codes = {(row.kind, code) for row in rows for code in row.codes}
    known = set(concepts)
    for kind, (system, code) in sorted(codes):
        term = fold_term(code)
        digits = sum(each.isdigit() for each in code)
        told = digits >= _LONG_NUMBER or (digits and digits < len(code.replace(" ", "")) and len(code) >= _SHORT_CODE)
        if told and code.isascii() and term not in known:
            concepts[term].append(Concept(kind, codes=frozenset({(system, code)}), by_code=True))


def _add_synonyms(concepts: dict[str, list[Concept]], group: Sequence[str]) -> None:
    """Every term of the group that the site does not know means what those mean that it knows."""
    known: list[Concept] = []
    for term in group:
        for meaning in concepts.get(term, ()):
            if meaning not in known:
                known.append(meaning)
    if not known:
        return
    first = known[0].kind
    codes = frozenset(code for each in known if each.kind is first for code in each.codes)
    merged = Concept(first, codes=codes, display=known[0].display)
    for term in group:
        if not concepts.get(term):
            concepts[term] = [merged]


def _concepts(kind: TermKind, rows: Sequence[CodedText]) -> dict[str, list[Concept]]:
    """The meanings of each term of a kind.

    Two codes of a term are one concept if one CodeableConcept carries both, or if they have the same terms and the
    term is long enough not to be an abbreviation.
    """
    carried: dict[CodePair, set[CodePair]] = defaultdict(set)
    terms: dict[CodePair, set[str]] = defaultdict(set)
    by_term: dict[str, set[CodePair]] = defaultdict(set)
    written: dict[str, str] = {}
    for row in rows:
        for code in row.codes:
            carried[code] |= row.codes
        for text in sorted(row.terms):
            folded = fold_term(text)
            if folded:
                written.setdefault(folded, text)
                by_term[folded] |= row.codes
                for code in row.codes:
                    terms[code].add(folded)
    return {
        term: [
            Concept(kind, codes=frozenset(group), display=written[term])
            for group in _groups(sorted(codes), term, carried, terms)
        ]
        for term, codes in by_term.items()
    }


def _groups(
    codes: Sequence[CodePair],
    term: str,
    carried: Mapping[CodePair, set[CodePair]],
    terms: Mapping[CodePair, set[str]],
) -> list[set[CodePair]]:
    long_enough = len(term.replace(" ", "")) >= _SHORT
    groups: list[set[CodePair]] = []
    for code in codes:
        joined = {code}
        others = []
        for group in groups:
            if any(each in carried[code] or (long_enough and terms[each] == terms[code]) for each in group):
                joined |= group
            else:
                others.append(group)
        groups = [*others, joined]
    return groups
