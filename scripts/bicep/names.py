"""Names in all branches, also those that no variant takes: what nothing declares, what nothing uses, what a module is
not given, what is known too late.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from scripts.bicep.expressions import KNOWN_NAMES
from scripts.bicep.syntax import Declaration, Template, body, member, members, parse
from scripts.bicep.tree import Node

_DECORATORS = frozenset({"allowed", "description", "maxLength", "maxValue", "metadata", "minLength", "minValue"})


def check(root: Path) -> list[str]:
    """The problems of all files below `root`."""
    templates = {path.resolve(): parse(path) for path in sorted(root.rglob("*.bicep"))}
    found: list[str] = []
    for template in templates.values():
        found += template.problems
        if not template.problems:
            found += [*_undeclared_and_unused(template), *_modules(template, templates), *_known_too_late(template)]
    found += _orphans(root, templates)
    for path in sorted(root.glob("*.parameters.json")):
        given = json.loads(path.read_text())["parameters"]
        taken = templates[(root / path.name.replace(".parameters.json", ".bicep")).resolve()]
        found += [f"{path.name}: there is no parameter {name}" for name in given if name not in taken.declarations]
        found += [f"{path.name}: {each.name} is missing" for each in taken.of("param") if each.name not in given]
    return found


def _orphans(root: Path, templates: dict[Path, Template]) -> list[str]:
    used = {(each.path.parent / module.type).resolve() for each in templates.values() for module in each.of("module")}
    return [
        f"{path.name}: no template uses it" for path in templates if path.parent != root.resolve() and path not in used
    ]


def _undeclared_and_unused(template: Template) -> Iterator[str]:
    used: set[str] = set()

    def visit(node: Node, bound: frozenset[str]) -> Iterator[str]:
        if node.type == "identifier":
            name = node.text
            used.add(name)
            if name not in bound | template.declarations.keys() | KNOWN_NAMES:
                yield f"{template.where(node)}: {name} is not declared"
            return
        inner = bound | _bound(node)
        children = node.parts
        if node.type == "object_property" and children[0].type == "identifier":
            children = children[1:]
        for each in children:
            yield from visit(each, inner)

    for declared in (*template.declarations.values(), *template.outputs.values()):
        if declared.value is not None:
            yield from visit(declared.value, frozenset())
        for decorator in declared.decorators:
            yield from visit(decorator, _DECORATORS)
    for declared in template.declarations.values():
        if declared.kind in {"param", "var"} and declared.name not in used:
            yield f"{template.path.name}:{declared.line}: nothing uses {declared.name}"


def _bound(node: Node) -> frozenset[str]:
    if node.type == "for_statement":
        head = node.parts[0]
        return frozenset(each.text for each in head.parts) or frozenset({head.text})
    return frozenset({node.parts[0].text.strip("()")}) if node.type == "lambda_expression" else frozenset()


def _modules(template: Template, templates: dict[Path, Template]) -> Iterator[str]:
    for declared in template.of("module"):
        where = f"{template.path.name}:{declared.line}"
        target = templates.get((template.path.parent / declared.type).resolve())
        if target is None or declared.value is None:
            yield f"{where}: there is no {declared.type}"
            continue
        params = member(body(declared.value), "params")
        given = {key.text for key, _ in members(params)} if params is not None else set()
        for name in given - {each.name for each in target.of("param")}:
            yield f"{where}: {declared.type} has no parameter {name}"
        for each in target.of("param"):
            if each.value is None and each.name not in given:
                yield f"{where}: {declared.type} is not given {each.name}"
        for node in template.root.walk():
            if node.type == "member_expression" and node.parts[0].text in _outputs_of(declared.name):
                output = node.parts[-1].text
                if output not in target.outputs:
                    yield f"{template.where(node)}: {declared.type} has no output {output}"


def _outputs_of(module: str) -> set[str]:
    return {f"{module}.outputs", f"{module}!.outputs"}


def _known_too_late(template: Template) -> Iterator[str]:
    """Conditions, sources of loops, names and scopes that depend on what is known only during the deployment."""
    for declared in (*template.of("resource"), *template.of("module")):
        for place in _early_places(declared):
            late = _late(place, template, frozenset())
            if late:
                yield f"{template.where(place)}: {late} is not known when the deployment begins"


def _early_places(declared: Declaration) -> Iterator[Node]:
    if declared.value is None:
        return
    value = declared.value
    while value.type in {"if_statement", "for_statement"}:
        yield value.parts[0 if value.type == "if_statement" else 1]
        value = value.parts[-1]
    for name in ("name", "scope", "parent"):
        place = member(value, name)
        if place is not None:
            yield place


def _late(node: Node, template: Template, seen: frozenset[str]) -> str | None:
    for each in node.walk():
        source = each.text
        if each.type == "member_expression":
            base, _, rest = source.replace("!", "").partition(".")
            kind = template.declarations[base].kind if base in template.declarations else ""
            if (kind == "module" and rest.startswith("outputs")) or (
                kind == "resource" and rest.partition(".")[0] not in {"id", "name"}
            ):
                return source
        elif each.type == "call_expression" and source.startswith("listKeys("):
            return source
        elif each.type == "identifier" and source not in seen:
            declared = template.declarations.get(source)
            if declared and declared.kind == "var" and declared.value is not None:
                late = _late(declared.value, template, seen | {source})
                if late:
                    return late
    return None
