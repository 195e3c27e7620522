"""PS3.16 Annex L Body Part Examined as SNOMED CT concepts (dicomcast §4.6). Pure but for the table beside it."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from shared.cast.mapping.codes import SNOMED_CT


@cache
def _table() -> Mapping[str, tuple[str, str]]:
    lines = Path(__file__).with_suffix(".tsv").read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines)
    return {term: (code, meaning) for term, code, meaning in rows}


def body_part(term: str) -> dict[str, str]:
    """The Coding of a term of (0018,0015); one that the standard does not define is shown as it is."""
    found = _table().get("".join(letter for letter in term.upper() if letter.isalnum()))
    return {"system": SNOMED_CT, "code": found[0], "display": found[1]} if found else {"display": term}
