"""The shipped value sets, and what they stand for at a site (COH-26). Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from shared.cohorts.folding import fold_term

type CodePair = tuple[str, str]

_FILE = Path(__file__).with_name("value_sets.json")


@dataclass(frozen=True, slots=True)
class ValueSet:
    """Codes that mean one diagnosis, and what it is called."""

    name: str
    terms: frozenset[str]
    """The name and its synonyms, folded."""
    codes: frozenset[CodePair]


@dataclass(frozen=True, slots=True)
class ValueSets:
    """Value sets by their folded names."""

    sets: Mapping[str, ValueSet]

    @classmethod
    def of(cls, document: Sequence[Mapping[str, Any]]) -> Self:
        """The value sets of a document of the form of the shipped one."""
        sets = (
            ValueSet(
                each["name"],
                frozenset(map(fold_term, (each["name"], *each["synonyms"]))),
                frozenset((code["system"], code["code"]) for code in each["codes"]),
            )
            for each in document
        )
        return cls({fold_term(each.name): each for each in sets})

    def find(self, name: str) -> ValueSet | None:
        """The set of that name."""
        return self.sets.get(fold_term(name))

    def terms(self) -> dict[str, frozenset[str]]:
        """The folded terms of each set, by its name."""
        return {each.name: each.terms for each in self.sets.values()}

    def codes(self, name: str, site: Iterable[tuple[Iterable[str], Iterable[CodePair]]]) -> frozenset[CodePair]:
        """The codes that a set stands for: the shipped ones, and those of the site (terms, codes) of the same name."""
        found = self.find(name)
        if found is None:
            return frozenset()
        own = {code for terms, codes in site if found.terms & set(map(fold_term, terms)) for code in codes}
        return found.codes | own


@cache
def shipped_value_sets() -> ValueSets:
    """Those that come with the service."""
    return ValueSets.of(json.loads(_FILE.read_text("utf-8")))
