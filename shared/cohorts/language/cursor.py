"""The lexemes of a question under a cursor, and what has become of each. Pure."""

from collections.abc import Iterable
from typing import Final

from shared.cohorts.language.lexemes import Lexeme
from shared.cohorts.language.parts import Reason

_SIGNS: Final = frozenset({"sign", "comma"})
_LITTLE: Final = frozenset({"function", "article", "existence", "being"})


class Cursor:
    """Reads lexemes, and remembers which are covered and which refused."""

    def __init__(self, lexemes: list[Lexeme]) -> None:
        self.lexemes = lexemes
        self.at = 0
        self.covered: set[int] = set()
        self.refused: dict[int, Reason] = {}

    def __len__(self) -> int:
        return len(self.lexemes)

    def has(self, at: int, *categories: str) -> bool:
        """Whether there is a lexeme of one of the categories at a place."""
        return 0 <= at < len(self.lexemes) and any(each in self.lexemes[at] for each in categories)

    def value(self, at: int, category: str) -> str:
        """The reading of the lexeme in a category."""
        return self.lexemes[at].value(category)

    def number(self, at: int) -> int | None:
        """The whole number at a place."""
        return self.lexemes[at].number if self.has(at, "number") else None

    def little(self, at: int) -> bool:
        """Whether the lexeme is a function word, or a sign that divides nothing."""
        return self.has(at, "function", "article", "existence") and not self.has(at, "not")

    def skip(self, at: int, *categories: str) -> int:
        """The next place whose lexeme is no function word and of none of the categories."""
        while at < len(self.lexemes) and (self.little(at) or self.has(at, *categories)):
            at += 1
        return at

    def back(self, at: int, *categories: str) -> int:
        """The last place before `at` whose lexeme is no function word and of none of the categories; -1: none."""
        at -= 1
        while at >= 0 and (self.little(at) or self.has(at, *categories)):
            at -= 1
        return at

    def cover(self, words: Iterable[int]) -> None:
        """These are understood."""
        self.covered.update(words)

    def refuse(self, words: Iterable[int], reason: Reason) -> None:
        """These are not, and here is why; function words and signs among them stay out of it."""
        for each in words:
            lexeme = self.lexemes[each]
            if not (lexeme.categories.keys() & _SIGNS or lexeme.categories.keys() <= _LITTLE):
                self.refused.setdefault(each, reason)
                self.covered.discard(each)
