"""Bicep files as declarations: what a file takes, makes and gives, each with the expression that says how."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scripts.bicep.tree import Node, read

_KINDS: Final = {
    "parameter_declaration": "param",
    "variable_declaration": "var",
    "resource_declaration": "resource",
    "module_declaration": "module",
    "output_declaration": "output",
}
_ESCAPES: Final = {"'": "'", "\\": "\\", "$": "$", "n": "\n", "r": "\r", "t": "\t"}


class BicepError(Exception):
    """Something that a Bicep file gets wrong, with the place."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """One top-level statement of a file."""

    kind: str
    name: str
    line: int
    type: str
    """Of parameters and outputs: the declared type. Of resources: type@version. Of modules: the path."""
    value: Node | None
    """The expression behind `=`: an object, or an `if` or `for` around one."""
    existing: bool = False
    decorators: tuple[Node, ...] = ()


@dataclass(slots=True)
class Template:
    """A parsed file."""

    path: Path
    root: Node
    declarations: dict[str, Declaration] = field(default_factory=dict)
    outputs: dict[str, Declaration] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def of(self, kind: str) -> Iterator[Declaration]:
        """The declarations of one kind, in order."""
        return (each for each in self.declarations.values() if each.kind == kind)

    def where(self, node: Node) -> str:
        """File and line."""
        return f"{self.path.name}:{node.line}"


def pieces(string: Node) -> Iterator[str | Node]:
    """The literal pieces of a string and the expressions between them. White space counts, which the grammar drops."""
    quote = 3 if string.source.startswith(b"'''") else 1

    def literal(start: int, stop: int) -> str:
        raw = string.source[start - string.start : stop - string.start].decode()
        return raw if quote == 3 else re.sub(r"\\(['\\$nrt])", lambda found: _ESCAPES[found[1]], raw)

    at = string.start + quote
    for inner in string.parts:
        if inner.type == "interpolation":
            yield literal(at, inner.start)
            yield inner.parts[0]
            at = inner.end
    yield literal(at, string.end - quote)


def constant(string: Node) -> str:
    """The text of a string without expressions."""
    return "".join(piece for piece in pieces(string) if isinstance(piece, str))


def members(obj: Node) -> Iterator[tuple[Node, Node]]:
    """Key and value of each property of an object."""
    return ((each.parts[0], each.parts[-1]) for each in obj.parts if each.type == "object_property")


def member(obj: Node, name: str) -> Node | None:
    """The value of one property."""
    return next((value for key, value in members(obj) if key.text.strip("'") == name), None)


def body(value: Node) -> Node:
    """The object of a resource or module, inside `if` and `for`."""
    while value.type in {"if_statement", "for_statement"}:
        value = value.parts[-1]
    return value


def parse(path: Path) -> Template:
    """Read a file. Syntax errors are among the problems of the template."""
    root = read(path.read_bytes())
    template = Template(path, root)
    for node in root.walk():
        if node.type == "ERROR" or node.missing:
            template.problems.append(f"{template.where(node)}: syntax error near {node.text[:40]!r}")
    decorators: tuple[Node, ...] = ()
    for node in root.parts:
        if node.type == "decorators":
            decorators = node.parts
        elif node.type in _KINDS:
            _declare(template, node, decorators)
            decorators = ()
        elif node.type not in {"comment", "target_scope_assignment"}:
            template.problems.append(f"{template.where(node)}: {node.type} is outside the dialect of this project")
    return template


def _declare(template: Template, node: Node, decorators: tuple[Node, ...]) -> None:
    kind = _KINDS[node.type]
    name, *rest = node.parts
    shape = ""
    if kind in {"param", "output"} and rest:
        shape = rest.pop(0).text
    elif kind in {"resource", "module"} and rest:
        shape = constant(rest.pop(0))
    existing = any(each.type == "existing" for each in node.children)
    declared = Declaration(kind, name.text, node.line, shape, rest[-1] if rest else None, existing, decorators)
    into = template.outputs if kind == "output" else template.declarations
    if name.text in into:
        template.problems.append(f"{template.where(node)}: {name.text} is declared twice")
    into[name.text] = declared
