"""The folded form in which words and terms are compared (NL-19). Pure."""

import re
import unicodedata
from functools import lru_cache
from typing import Final

_TAGS: Final = (
    "disorder|finding|substance|product|medicinal product|medicinal product form|clinical drug|procedure|"
    "regime/therapy|morphologic abnormality|body structure|observable entity|situation|event|organism|"
    "qualifier value|physical object|specimen|context-dependent category|disease"
)
_TAG: Final = re.compile(rf"\s*\((?:{_TAGS})\)\s*$", re.IGNORECASE)
"""A semantic tag at the end of a fully specified name of SNOMED CT."""
_KEPT_S: Final = ("ss", "us", "is")
"""Endings of singulars that end with s."""
_ES: Final = ("ses", "xes", "zes", "ches", "shes")


@lru_cache(maxsize=65536)
def fold(text: str) -> str:
    """Without marks, in lower case, with blanks for punctuation: how a text is compared, word by word."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    return " ".join("".join(each if each.isalnum() else " " for each in plain.lower()).split())


def fold_term(text: str) -> str:
    """A term of a dictionary: folded, without its semantic tag, its last word in the singular."""
    words = fold(_TAG.sub("", text)).split()
    return " ".join((*words[:-1], singular(words[-1]))) if words else ""


def singular(word: str) -> str:
    """The word without the ending of its plural; some singulars lose a letter too, on both sides of a comparison."""
    if len(word) <= 3 or not word.endswith("s") or word.endswith(_KEPT_S):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-2] if word.endswith(_ES) else word[:-1]
