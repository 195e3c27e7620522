"""The syntax tree of a Bicep file, from the grammar of tree-sitter, as plain values."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import tree_sitter
import tree_sitter_bicep

_PARSER: Final = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))
_EXTENSION: Final = re.compile(rb"^extension [\w.]+[ ]*$", re.MULTILINE)
"""Statements that the grammar does not know; they are blanked, so that lines keep their numbers."""


@dataclass(frozen=True)
class Node:
    """A piece of source with its pieces."""

    type: str
    named: bool
    """Whether it stands for something; if not, it is a sign of punctuation."""
    missing: bool
    line: int
    start: int
    end: int
    source: bytes
    """Its own bytes, from `start` to `end` of the file."""
    children: tuple["Node", ...]

    @property
    def text(self) -> str:
        """Its source."""
        return self.source.decode()

    @cached_property
    def parts(self) -> tuple["Node", ...]:
        """The named children."""
        return tuple(each for each in self.children if each.named)

    def walk(self) -> Iterator["Node"]:
        """Itself and all below."""
        yield self
        for each in self.children:
            yield from each.walk()

    def first(self, *types: str) -> "Node | None":
        """The first named child of one of the types."""
        return next((each for each in self.parts if each.type in types), None)


@lru_cache(maxsize=128)
def read(source: bytes) -> Node:
    """The tree of a file. Errors of syntax are nodes of the type ERROR, or missing ones."""
    return _copy(_PARSER.parse(_EXTENSION.sub(b"", source)).root_node)


def _copy(node: Any) -> Node:
    return Node(
        node.type,
        node.is_named,
        node.is_missing,
        node.start_point[0] + 1,
        node.start_byte,
        node.end_byte,
        node.text or b"",
        tuple(_copy(each) for each in node.children),
    )
