"""PS3.4 §C.2.2.2.4 Wildcard matching of text: `*` is any run of characters, `?` any one."""

import re
from functools import lru_cache


def fits(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern as a whole. One of more characters than the text has is never compiled: a pattern
    may be as long as a URL, its expression is fifty times as long and remembered, and values are short.
    """
    return _least(pattern) <= len(text) and _expression(pattern).fullmatch(text) is not None


@lru_cache(maxsize=512)
def _least(pattern: str) -> int:
    """Characters of the shortest text that fits."""
    return len(pattern) - pattern.count("*")


@lru_cache(maxsize=512)
def _expression(pattern: str) -> re.Pattern[str]:
    # Atomic groups: each run between two asterisks is looked for once, so hostile patterns cost no more than others.
    first, *others = (
        "".join("." if letter == "?" else re.escape(letter) for letter in run)
        for run in re.sub(r"\*+", "*", pattern).split("*")
    )
    middle = "".join(f"(?>.*?{run})" for run in others[:-1])
    return re.compile(first + middle + "".join(f".*{run}" for run in others[-1:]), re.DOTALL)
