"""A question cut into lexemes: keywords, terms of the dictionary, numbers, dates, and words that nobody knows. Pure."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.cohorts.folding import fold, singular
from shared.cohorts.language.dates import Written, date_at
from shared.cohorts.language.dictionary import Concept, Dictionary, TermKind
from shared.cohorts.language.vocabulary import MODALITY_CODES, Vocabulary

_TOKEN: Final = re.compile(
    r"\bw/o\b|\bw/(?=\s|\w)|\d+(?=(?:y|yo|yr|yrs|yos)\b)|\d+[.,]\d+(?![\d.])|[^\W_]+|[<>=≤≥]+|[^\s\w]|_",
    re.UNICODE | re.IGNORECASE,
)
_CODE: Final = re.compile(r'code\s+("(?:[^"\\]|\\.)*")\s+of\s+("(?:[^"\\]|\\.)*")', re.IGNORECASE)
"""How a sentence names a code that has no term of its own."""
_QUIET: Final = frozenset("-'’`´/.()‐‑")
"""Signs inside a term: `X-ray`, `Parkinson's disease`."""
_SIDE: Final = frozenset({"not_supported", "status", "ago"})
"""Categories that a term of the site wins over, word for word."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a number or a sign."""

    word: str
    text: str
    start: int
    end: int


@dataclass(slots=True)
class Lexeme:
    """A keyword, a term, a number or a date, and where it stands."""

    start: int
    end: int
    text: str
    categories: dict[str, str] = field(default_factory=dict)
    concepts: tuple[Concept, ...] = ()
    number: int | None = None
    date: Written = ()

    def __contains__(self, category: str) -> bool:
        """Whether it has the category."""
        return category in self.categories

    def value(self, category: str) -> str:
        """Its reading in a category."""
        return self.categories[category]

    def means(self, *kinds: TermKind) -> bool:
        """Whether it is a term of one of the kinds."""
        return any(each.kind in kinds for each in self.concepts)


def tokens(text: str) -> list[Token]:
    """The words and signs of a text."""
    return [Token(fold(m[0]) or m[0], m[0], m.start(), m.end()) for m in _TOKEN.finditer(text)]


def lexemes(text: str, vocabulary: Vocabulary, dictionary: Dictionary) -> list[Lexeme]:
    """The lexemes of a question, the longest first."""
    return _Lexer(text, vocabulary, dictionary).run()


class _Lexer:
    def __init__(self, text: str, vocabulary: Vocabulary, dictionary: Dictionary) -> None:
        self._text = text
        self._vocabulary = vocabulary
        self._dictionary = dictionary
        self._tokens = tokens(text)
        letters = [each for each in text if each.isalpha()]
        self._capitals = not any(each.islower() for each in letters)

    def run(self) -> list[Lexeme]:
        found: list[Lexeme] = []
        at = 0
        while at < len(self._tokens):
            lexeme, at = self._next(at)
            if lexeme is not None:
                found.append(lexeme)
        return found

    def _next(self, at: int) -> tuple[Lexeme | None, int]:
        token = self._tokens[at]
        code = _CODE.match(self._text, token.start)
        if code is not None:
            pair = (json.loads(code[2]), json.loads(code[1]))
            concepts = tuple(Concept(kind, codes=frozenset({pair})) for kind in TermKind)
            return self._lexeme(token.start, code.end(), {"code": ""}, concepts), self._after(code.end())
        when = date_at(self._text, token.start, self._vocabulary.months, day_first=self._vocabulary.day_first)
        if when is not None:
            written, end = when
            if not written:
                return self._lexeme(token.start, end, {"no_date": ""}), self._after(end)
            lexeme = self._lexeme(token.start, end, {"date": ""})
            lexeme.date = written
            return lexeme, self._after(end)
        phrase, phrase_end, phrase_words = self._phrase(at)
        term, term_end, term_words = self._term(at)
        if token.text in MODALITY_CODES and not self._capitals and max(phrase_words, term_words) <= 1:
            return self._lexeme(token.start, token.end, {"modality": token.text}), at + 1
        if term_words and term_words > phrase_words:
            return self._lexeme(token.start, self._tokens[term_end - 1].end, {"term": ""}, term), term_end
        if phrase_words:
            return self._tie(at, phrase, phrase_end, term if term_words == phrase_words else ())
        return self._sign_or_word(at)

    def _tie(
        self, at: int, phrase: dict[str, str], end: int, concepts: tuple[Concept, ...]
    ) -> tuple[Lexeme | None, int]:
        start, last = self._tokens[at].start, self._tokens[end - 1].end
        askable = [each for each in concepts if each.kind not in (TermKind.PROCEDURE, TermKind.OBSERVATION)]
        if askable and phrase.keys() <= _SIDE:
            return self._lexeme(start, last, {"term": ""} | phrase, concepts), end
        if any(each.kind is TermKind.BODY_SITE for each in askable):
            return self._lexeme(start, last, phrase, concepts), end
        lexeme = self._lexeme(start, last, phrase)
        self._number(lexeme, at, end)
        return lexeme, end

    def _number(self, lexeme: Lexeme, at: int, end: int) -> None:
        """Digits, and the value of a number word, whatever else the word is."""
        words = self._tokens[at:end]
        if len(words) == 1 and words[0].text.isdecimal():
            lexeme.number = int(words[0].text) if len(words[0].text) <= 9 else None
            lexeme.categories["number"] = ""
        elif "number" in lexeme:
            lexeme.number = int(lexeme.value("number"))

    def _sign_or_word(self, at: int) -> tuple[Lexeme | None, int]:
        token = self._tokens[at]
        if token.text[0].isdecimal():
            lexeme = self._lexeme(token.start, token.end, {"number": ""})
            if token.text.isdecimal() and len(token.text) <= 9:
                lexeme.number = int(token.text)
            return lexeme, at + 1
        if token.word[0].isalnum():
            category = "month_alone" if token.word in self._vocabulary.months else "unknown"
            return self._lexeme(token.start, token.end, {category: ""}), at + 1
        if token.text in _QUIET and token.text != "/" and self._inside(at):
            return None, at + 1
        category = {",": "comma", "/": "slash"}.get(token.text, "sign")
        return self._lexeme(token.start, token.end, {category: ""}), at + 1

    def _inside(self, at: int) -> bool:
        """Whether a sign stands inside a word, or for the rest of one: `45-year-old`, `45- to 60-year-old`."""
        if not 0 < at < len(self._tokens) - 1:
            return False
        token, before, after = self._tokens[at], self._tokens[at - 1], self._tokens[at + 1]
        if before.end != token.start:
            return False
        return after.start == token.end or (
            before.text.isdecimal() and "to" in (self._vocabulary.lookup((after.word,)) or ())
        )

    def _lexeme(self, start: int, end: int, categories: dict[str, str], concepts: tuple[Concept, ...] = ()) -> Lexeme:
        return Lexeme(start, end, self._text[start:end], dict(categories), concepts)

    def _after(self, end: int) -> int:
        """The first token behind a place of the text."""
        return next((at for at, each in enumerate(self._tokens) if each.start >= end), len(self._tokens))

    def _run(self, at: int, longest: int, quiet: frozenset[str]) -> Sequence[tuple[tuple[str, ...], int]]:
        """The runs of words from a place, each with the token behind it, longest first."""
        words: list[str] = []
        runs: list[tuple[tuple[str, ...], int]] = []
        for index in range(at, len(self._tokens)):
            token = self._tokens[index]
            if token.word[0].isalnum():
                words.extend(token.word.split())
                runs.append((tuple(words), index + 1))
                if len(words) >= longest:
                    break
            elif not words or token.text not in quiet:
                break
        return runs[::-1]

    def _phrase(self, at: int) -> tuple[dict[str, str], int, int]:
        token = self._tokens[at]
        if not token.word[0].isalnum():
            found = self._vocabulary.lookup((token.text,))
            if found is None or (token.text in "-–—" and not self._is_range(at)):
                return {}, at, 0
            return dict(found), at + 1, 1
        for words, end in self._run(at, self._vocabulary.longest, _QUIET):
            found = self._vocabulary.lookup(words)
            if found is not None:
                return dict(found), end, len(words)
        return {}, at, 0

    def _is_range(self, at: int) -> bool:
        """Whether a dash stands between two numbers."""
        if not 0 < at < len(self._tokens) - 1:
            return False
        return self._tokens[at - 1].text[-1].isdecimal() and self._tokens[at + 1].text[0].isdecimal()

    def _term(self, at: int) -> tuple[tuple[Concept, ...], int, int]:
        for words, end in self._run(at, self._dictionary.longest, _QUIET | {","}):
            concepts = self._dictionary.meanings(" ".join((*words[:-1], singular(words[-1]))))
            if concepts:
                return concepts, end, len(words)
        return (), at, 0
