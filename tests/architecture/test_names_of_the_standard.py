"""Media types and transfer syntaxes have one home each: nothing else spells one out."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_MEDIA_TYPE = re.compile(
    r"(?:application|audio|image|message|model|multipart|text|video)/[\w.+*-]+(?:\s*;.*)?|\*/\*", re.DOTALL
)
_TRANSFER_SYNTAX = re.compile(r"1\.2\.840\.10008\.1\.2(?:\.\d+)*|1\.2\.840\.113619\.5\.2")
_OTHER_PROTOCOLS = ("shared/storage/", "shared/web_extension/", "shared/fhir/")
"""Adapters of the wire formats of the Table service and of FHIR, and of HTTP itself: they import nothing of DICOM."""


def _literals(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every string of a module, without docstrings; pieces of f-strings among them."""
    tree = ast.parse(path.read_text())
    standing = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in standing:
            yield node.lineno, node.value


def _spelled_out(pattern: re.Pattern[str], home: str, exempt: tuple[str, ...] = ()) -> list[str]:
    found = []
    for path in (*(_ROOT / "shared").rglob("*.py"), _ROOT / "function_app.py"):
        name = path.relative_to(_ROOT).as_posix()
        if name != home and not name.startswith(exempt):
            found += [f"{name}:{line}: {text}" for line, text in _literals(path) if pattern.fullmatch(text)]
    return found


def test_media_types_are_named_from_their_home() -> None:
    assert _spelled_out(_MEDIA_TYPE, "shared/dicom/media_types.py", _OTHER_PROTOCOLS) == []


def test_transfer_syntaxes_are_named_from_their_home() -> None:
    assert _spelled_out(_TRANSFER_SYNTAX, "shared/dicom/transfer_syntaxes.py") == []


@pytest.mark.parametrize("exempt", _OTHER_PROTOCOLS)
def test_adapters_of_other_protocols_import_nothing_of_dicom(exempt: str) -> None:
    for path in (_ROOT / exempt).rglob("*.py"):
        assert "shared.dicom" not in path.read_text(), path


@pytest.mark.parametrize(
    "text", ["application/dicom+json", "*/*", "image/*", "multipart/mixed; boundary=batch_", "application/json;odata=x"]
)
def test_a_media_type_is_recognized(text: str) -> None:
    assert _MEDIA_TYPE.fullmatch(text)
