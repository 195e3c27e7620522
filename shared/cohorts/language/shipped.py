"""The shipped terms that add to a site's own: names of body parts, and words that mean the same (NL-2). Pure.

Body parts are the names of PS3.16 CID 4 with their SNOMED CT codes, as the standard publishes them, and lay words for
them. Synonyms carry no codes: a term means something only through the codes of the site.
"""

import json
import tomllib
from functools import cache
from pathlib import Path

from shared.cohorts.folding import fold_term

_HERE = Path(__file__).parent


@cache
def body_sites() -> dict[str, tuple[str, tuple[str, str]]]:
    """The name in the standard and the code of each body part, by all its folded names."""
    document = json.loads((_HERE / "body_sites.json").read_text("utf-8"))
    names: dict[str, str] = document["names"]
    every = {name: name for name in names} | document["also"]
    return {fold_term(name): (meant, ("http://snomed.info/sct", names[meant])) for name, meant in every.items()}


@cache
def synonyms() -> tuple[tuple[str, ...], ...]:
    """Groups of terms of one meaning."""
    document = tomllib.loads((_HERE / "synonyms.toml").read_text("utf-8"))
    return tuple(tuple(group) for section in document.values() for group in section.values())
