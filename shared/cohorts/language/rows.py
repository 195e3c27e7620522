"""Rows of terms joined by `and` and `or`: alternatives, and what must hold together (NL-18). Pure."""

from dataclasses import dataclass, field
from typing import Final

from shared.cohorts.language.choices import Choices
from shared.cohorts.language.cursor import Cursor
from shared.cohorts.language.dictionary import Concept, TermKind

_JOINS: Final = ("or", "nor", "and", "comma")
_MOST_GROUPS: Final = 20


@dataclass(slots=True)
class Item:
    """A term of a row."""

    concept: Concept
    words: set[int]


@dataclass(slots=True)
class Row:
    """Terms of one kind, and what joins each to the one before."""

    items: list[Item]
    joins: list[str] = field(default_factory=list)
    """`or` or `and`, one less than items."""
    join_words: set[int] = field(default_factory=set)
    either: bool = False
    end: int = 0
    """The place behind it."""

    def groups(self, choices: Choices) -> list[list[Item]]:
        """Alternatives of which one is met, for each thing that must hold."""
        if "and" not in self.joins:
            return [self.items]
        if "or" not in self.joins:
            return [self.items] if self.either else [[each] for each in self.items]
        if self.either or choices.choose(2) == 0:
            return _cut(self.items, self.joins, "and")
        conjunctions = _cut(self.items, self.joins, "or")
        groups: list[list[Item]] = [[]]
        for conjunction in conjunctions:
            groups = [[*group, item] for group in groups for item in conjunction][:_MOST_GROUPS]
        return groups


def _cut(items: list[Item], joins: list[str], at: str) -> list[list[Item]]:
    groups = [[items[0]]]
    for item, join in zip(items[1:], joins, strict=True):
        if join == at:
            groups.append([item])
        else:
            groups[-1].append(item)
    return groups


def concept_at(cursor: Cursor, at: int, kind: TermKind, choices: Choices) -> Concept | None:
    """The meaning of the term at a place in a kind; where it has several, one of them is chosen."""
    if not 0 <= at < len(cursor):
        return None
    meanings = [each for each in cursor.lexemes[at].concepts if each.kind is kind]
    if not meanings:
        return None
    return meanings[choices.choose(len(meanings))] if len(meanings) > 1 else meanings[0]


def row_at(cursor: Cursor, at: int, kind: TermKind, choices: Choices, *, negated: bool) -> Row | None:
    """The row of terms of a kind that begins at a place."""
    concept = concept_at(cursor, at, kind, choices)
    if concept is None:
        return None
    row = Row([Item(concept, {at})], end=at + 1)
    pending: list[int | None] = []
    while True:
        join, inner, words = _joined(cursor, row.end, kind)
        if not join or (negated and join == "and" and cursor.has(inner, "not")):
            break
        concept = concept_at(cursor, inner, kind, choices)
        if concept is None:
            break
        row.joins.append(join)
        row.join_words |= words
        row.items.append(Item(concept, {inner}))
        row.end = inner + 1
        pending.append(None if join == "comma" else 0)
    _commas(row)
    return row


def _joined(cursor: Cursor, at: int, kind: TermKind) -> tuple[str, int, set[int]]:
    """The word that joins the next term of the kind to the row; the place of the term; the words in between."""
    words: set[int] = set()
    join = ""
    start = at
    while cursor.has(at, *_JOINS):
        found = next(each for each in _JOINS if cursor.has(at, each))
        join = "or" if found == "nor" else found if found != "comma" or not join else join
        words.add(at)
        at += 1
    if not join:
        return "", start, set()
    noun = ("with", "diagnosis_noun") if kind is TermKind.CONDITION else ()
    while cursor.little(at) or (join == "or" and cursor.has(at, *noun)) or names_system(cursor, at):
        if not cursor.little(at):
            words.add(at)
        at += 1
    return join, at, words


def names_system(cursor: Cursor, at: int) -> bool:
    """Whether a word names the system of the code that follows it: `SNOMED 195967001`."""
    if not cursor.has(at, "code_system") or not 0 <= at + 1 < len(cursor):
        return False
    system = cursor.value(at, "code_system")
    return any(
        each.by_code and all(system in name for name, _ in each.codes) for each in cursor.lexemes[at + 1].concepts
    )


def _commas(row: Row) -> None:
    """A comma joins as the next word that joins does; a list of commas alone is one of things that all hold."""
    following = "and"
    for at in range(len(row.joins) - 1, -1, -1):
        if row.joins[at] == "comma":
            row.joins[at] = following
        else:
            following = row.joins[at]
