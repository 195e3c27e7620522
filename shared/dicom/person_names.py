"""PS3.5 §6.2.1 Person names: what makes two of them the same when names are matched (PS3.4 §C.2.2.2.1).

A name has up to three component groups (alphabetic, ideographic, phonetic) joined by `=`, each of up to five components
joined by `^`. Case, accents, padding and trailing empty components do not count.
"""

import unicodedata


def fold(text: str) -> str:
    """`text` without case and without accents."""
    if text.isascii():
        return text.lower()
    letters = (letter for letter in unicodedata.normalize("NFD", text) if unicodedata.category(letter) != "Mn")
    return "".join(letters).casefold()


def component_groups(text: str) -> tuple[str, ...]:
    """The groups of a name, folded, each without padding around its components and without trailing empty ones."""
    return tuple(_group(group) for group in fold(text.strip(" \0")).split("="))


def _group(text: str) -> str:
    if " " in text:
        text = "^".join(component.strip(" ") for component in text.split("^"))
    return text.rstrip("^")


def words(text: str, *, keep: str = "") -> list[str]:
    """The words of a name, folded, in order: what stands between `^`, `=`, blanks and punctuation (MATCH-5).

    Characters of `keep` count as letters.
    """
    text = fold(text)
    return "".join(letter if letter in keep or _is_letter(letter) else " " for letter in text).split()


def _is_letter(letter: str) -> bool:
    return letter.isalnum() or (letter > "\x7f" and unicodedata.category(letter)[0] in "LNM")
