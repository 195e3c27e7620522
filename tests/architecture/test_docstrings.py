"""Docstrings say what a thing is by a noun: none begins with a clause about it."""

import re
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_FILES = sorted(path for name in ("shared", "devhost", "cli") for path in (_ROOT / name).rglob("*.py"))
_CLAUSE = re.compile(r'^ *"""(?:What|Who|Whoever|Whatever)\b', re.MULTILINE)
_CLAUSE_OF_A_WHOLE = re.compile(
    r'(?:\A|^class [^\n]*:\n +)"""(?:How|Where|When|From|Whether|That|Those)\b', re.MULTILINE
)
"""Modules and classes are things: their docstrings begin with none of these either."""
_CLAUSE_BEHIND_SECTIONS = re.compile(
    r'\Ar?"""[A-Za-z0-9. -]*§[A-Z0-9.,§ and-]*(?:What|Who|Which|How|Where|When|From|Whether|That|Those)\b'
)
"""Nor do they where sections come first."""


def test_a_docstring_begins_with_a_noun_and_not_with_a_clause() -> None:
    found = {path.relative_to(_ROOT).as_posix(): path.read_text() for path in _FILES}

    assert sum(text.count('"""') for text in found.values()) > 8000
    for pattern in (_CLAUSE, _CLAUSE_OF_A_WHOLE, _CLAUSE_BEHIND_SECTIONS):
        assert [name for name, text in found.items() if pattern.search(text)] == []


def test_a_clause_is_recognized() -> None:
    assert _CLAUSE.search('x = 1\n    """What it is."""')
    assert _CLAUSE_OF_A_WHOLE.search('"""Where it is."""')
    assert _CLAUSE_OF_A_WHOLE.search('x = 1\n\n\nclass Place:\n    """Where it is."""')
    assert not _CLAUSE_OF_A_WHOLE.search('    """Whether it is."""')
    assert _CLAUSE_BEHIND_SECTIONS.search('"""PS3.18 §8.3.5, PS3.4 §N.2 From one to another."""')
    assert _CLAUSE_BEHIND_SECTIONS.search('"""dicomcast §4, §5.1 Which it is."""')
    assert not _CLAUSE_BEHIND_SECTIONS.search('"""PS3.5 §8 Places of frames: where they are."""')
