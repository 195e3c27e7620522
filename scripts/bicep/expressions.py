"""The values of Bicep expressions: a small interpreter of what the project's files use."""

import ipaddress
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.bicep.syntax import BicepError, Template, members, pieces
from scripts.bicep.tree import Node

_SPACE = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")
SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000001"
TENANT = "00000000-0000-0000-0000-000000000002"


class Runtime(str):
    """A value that Azure makes up during the deployment. The text says whose."""

    __slots__ = ()


class Reference(dict[str, Any]):
    """A resource as expressions see it: what the file says of it, and what only Azure knows."""

    def __init__(self, kind: str, value: Mapping[str, Any], reads: set[tuple[str, str]]) -> None:
        super().__init__(value)
        self.kind = kind
        self.reads = reads


class _Remote(Runtime):
    """A part of a resource that is not in the file. Its parts are such, too."""

    kind: str
    path: str
    reads: set[tuple[str, str]]


def _remote(kind: str, path: str, reads: set[tuple[str, str]], name: object) -> _Remote:
    made = _Remote(f"{name}/{path}")
    made.kind, made.path, made.reads = kind, path, reads
    reads.discard((kind, path.rpartition(".")[0]))
    reads.add((kind, path))
    return made


@dataclass(slots=True)
class Scope:
    """The names that an expression may use."""

    template: Template
    lookup: Callable[[str], Any]
    local: dict[str, Any] = field(default_factory=dict)

    def inner(self, **names: Any) -> "Scope":
        """With more names."""
        return Scope(self.template, self.lookup, {**self.local, **names})

    def value(self, name: str) -> Any:
        """Raises BicepError for a name that nothing declares."""
        return self.local[name] if name in self.local else self.lookup(name)


def evaluate(node: Node, scope: Scope) -> Any:
    """The value of an expression. Raises BicepError."""
    handler = _NODES.get(node.type)
    if handler is None:
        raise BicepError(f"{scope.template.where(node)}: {node.type} is outside the dialect of this project")
    return handler(node, scope)


def _string(node: Node, scope: Scope) -> str:
    parts = [piece if isinstance(piece, str) else evaluate(piece, scope) for piece in pieces(node)]
    for part in parts:
        if not isinstance(part, str | int):
            raise BicepError(f"{scope.template.where(node)}: a {type(part).__name__} stands in a text")
    return "".join(_text(part) for part in parts)


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _object(node: Node, scope: Scope) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in members(node):
        name = _string(key, scope) if key.type == "string" else key.text
        if name in made:
            raise BicepError(f"{scope.template.where(key)}: {name} is there twice")
        made[name] = evaluate(value, scope)
    return made


def _ternary(node: Node, scope: Scope) -> Any:
    condition, yes, no = node.parts
    chosen = evaluate(condition, scope)
    if not isinstance(chosen, bool):
        raise BicepError(f"{scope.template.where(node)}: a condition is a {type(chosen).__name__}")
    return evaluate(yes if chosen else no, scope)


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<=": lambda a, b: a <= b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b,
}


def _binary(node: Node, scope: Scope) -> Any:
    left, right = node.parts
    operator = next(each.text for each in node.children if not each.named)
    first = evaluate(left, scope)
    if operator == "&&":
        return bool(first and evaluate(right, scope))
    if operator == "||":
        return bool(first or evaluate(right, scope))
    if operator == "??":
        return evaluate(right, scope) if first is None else first
    second = evaluate(right, scope)
    if operator not in {"==", "!="} and not (type(first) is int and type(second) is int):
        raise BicepError(f"{scope.template.where(node)}: {operator} needs numbers")
    return _OPERATORS[operator](first, second)


def _unary(node: Node, scope: Scope) -> Any:
    value = evaluate(node.parts[0], scope)
    return not value if node.text.startswith("!") else -value


def _member(node: Node, scope: Scope) -> Any:
    return part(evaluate(node.parts[0], scope), node.parts[-1].text, scope.template.where(node))


def _subscript(node: Node, scope: Scope) -> Any:
    base, index = (evaluate(each, scope) for each in node.parts)
    return part(base, index, scope.template.where(node))


def part(base: Any, name: Any, where: str) -> Any:
    """A property of an object, or an element of an array. Raises BicepError when there is none."""
    if isinstance(base, _Remote):
        return _remote(base.kind, f"{base.path}.{name}", base.reads, base.partition("/")[0])
    if isinstance(base, Reference) and name not in {"id", "name"}:
        return _remote(base.kind, str(name), base.reads, base["name"])
    try:
        return base[name]
    except (KeyError, IndexError, TypeError):
        raise BicepError(f"{where}: there is no {name!r} here") from None


def _for(node: Node, scope: Scope) -> list[Any]:
    return [evaluate(node.parts[-1], inner) for inner in turns(node, scope)]


def turns(node: Node, scope: Scope) -> list[Scope]:
    """The scopes of the turns of a `for`."""
    head, source = node.parts[0], node.parts[1]
    names = [each.text for each in head.parts] or [head.text]
    return [
        scope.inner(**dict(zip(names, (item, number), strict=False)))
        for number, item in enumerate(evaluate(source, scope))
    ]


def _lambda(node: Node, scope: Scope) -> Callable[[Any], Any]:
    head, inner = node.parts[0], node.parts[-1]
    return lambda value: evaluate(inner, scope.inner(**{head.text.strip("()"): value}))


def _call(node: Node, scope: Scope) -> Any:
    name = node.parts[0].text
    arguments = next((each for each in node.parts if each.type == "arguments"), None)
    values = [evaluate(each, scope) for each in (arguments.parts if arguments else [])]
    if name == "loadTextContent":
        return (scope.template.path.parent / Path(values[0])).read_text()
    if name == "fail":
        raise BicepError(f"{scope.template.where(node)}: {values[0]}")
    function = _FUNCTIONS.get(name)
    if function is None:
        raise BicepError(f"{scope.template.where(node)}: {name}() is outside the dialect of this project")
    return function(*values)


def _union(*objects: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for each in objects:
        made |= each
    return made


def _cidr_subnet(prefix: str, length: int, index: int) -> str:
    return str(list(ipaddress.ip_network(prefix).subnets(new_prefix=length))[index])


def _guid(*parts: str) -> str:
    return str(uuid.uuid5(_SPACE, "-".join(parts)))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "cidrSubnet": _cidr_subnet,
    "concat": lambda *lists: [item for each in lists for item in each],
    "contains": lambda whole, piece: piece in whole,
    "empty": lambda value: not value,
    "environment": lambda: {
        "authentication": {"loginEndpoint": "https://login.example/"},
        "suffixes": {"storage": "core.example", "keyvaultDns": ".vault.example"},
    },
    "guid": _guid,
    "intersection": lambda first, second: [each for each in first if each in second],
    "join": lambda items, separator: separator.join(items),
    "listKeys": lambda identifier, version: {"systemKeys": {"blobs_extension": Runtime(f"key of {identifier}")}},  # noqa: ARG005 - named as Bicep names them
    "max": max,
    "min": min,
    "map": lambda items, function: [function(item) for item in items],
    "objectKeys": list,
    "resourceGroup": lambda: {"id": f"{SUBSCRIPTION}/resourceGroups/rg", "location": "region"},
    "split": lambda text, separator: text.split(separator),
    "string": lambda value: value if isinstance(value, str) else json.dumps(value),
    "subscription": lambda: {"id": SUBSCRIPTION},
    "subscriptionResourceId": lambda kind, name: f"{SUBSCRIPTION}/providers/{kind}/{name}",
    "tenant": lambda: {"tenantId": TENANT},
    "toLower": str.lower,
    "toUpper": str.upper,
    "union": _union,
    "uniqueString": lambda *parts: _guid(*parts).replace("-", "")[:13],
}
KNOWN_NAMES = frozenset({*_FUNCTIONS, "fail", "loadTextContent"})

_NODES: dict[str, Callable[[Node, Scope], Any]] = {
    "array": lambda node, scope: [evaluate(each, scope) for each in node.parts if each.type != "comment"],
    "binary_expression": _binary,
    "boolean": lambda node, _: node.text == "true",
    "call_expression": _call,
    "for_statement": _for,
    "identifier": lambda node, scope: scope.value(node.text),
    "lambda_expression": _lambda,
    "member_expression": _member,
    "null": lambda *_: None,
    "number": lambda node, _: int(node.text),
    "object": _object,
    "parenthesized_expression": lambda node, scope: evaluate(node.parts[0], scope),
    "string": _string,
    "subscript_expression": _subscript,
    "ternary_expression": _ternary,
    "unary_expression": _unary,
}
