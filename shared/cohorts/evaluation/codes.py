"""Comparison of a CodeableConcept with a CODE (COH-26). Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.cohorts.folding import fold
from shared.fhir.resources import Resource, elements

type CodePair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class CodeSet:
    """The meaning of a CODE in one run."""

    pairs: frozenset[CodePair]
    texts: frozenset[str]
    """Folded."""

    @classmethod
    def of(cls, code: Mapping[str, Any], value_sets: Mapping[str, frozenset[CodePair]]) -> "CodeSet":
        """The codes of a canonical CODE, with what its value sets and its expansion stand for, by name and by URL."""
        pairs = {(each["system"], each["code"]) for each in code.get("codes", ())}
        for name in code.get("valueSet", ()):
            pairs |= value_sets[name]
        if "expand" in code:
            pairs |= value_sets[code["expand"]["url"]]
        return cls(frozenset(pairs), frozenset(map(fold, code.get("text", ()))))

    def holds(self, concept: Any) -> bool:
        """Whether a CodeableConcept has one of the codes, or a text that is one of the texts."""
        if not isinstance(concept, Mapping):
            return False
        return any(pair in self.pairs for pair in pairs_of(concept)) or any(
            fold(each) in self.texts for each in texts_of(concept) if self.texts
        )


def pairs_of(concept: Resource) -> Iterator[CodePair]:
    """System and code of each coding."""
    for each in elements(concept, "coding"):
        code = each.get("code")
        if isinstance(code, str):
            yield str(each.get("system", "")), code


def texts_of(concept: Resource) -> Iterator[str]:
    """Text and displays."""
    for each in (concept.get("text"), *(coding.get("display") for coding in elements(concept, "coding"))):
        if isinstance(each, str):
            yield each


def codes_of(concepts: Iterable[Any]) -> set[str]:
    """The codes of several CodeableConcepts, without their systems."""
    return {code for each in concepts if isinstance(each, Mapping) for _, code in pairs_of(each)}
