"""What a deployment would send to Azure: every resource of a template and its modules, with the values of its
parameters put in.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.bicep.expressions import SUBSCRIPTION, Reference, Runtime, Scope, evaluate, turns
from scripts.bicep.syntax import BicepError, Declaration, Template, parse
from scripts.bicep.tree import Node

_TYPES: dict[str, type] = {"string": str, "int": int, "bool": bool, "array": list, "object": dict}


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource as it is deployed."""

    kind: str
    version: str
    symbol: str
    where: str
    content: dict[str, Any]
    """The properties of its declaration; `parent` and `scope` are the resources themselves."""
    identifier: str

    def at(self, path: str) -> Any:
        """The value at a path of names with dots; None where there is none."""
        value: Any = self.content
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        return value


@dataclass(slots=True)
class Deployment:
    """A rendered template."""

    resources: list[Resource] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    reads: set[tuple[str, str]] = field(default_factory=set)
    """Type and path of what expressions read of resources that only Azure knows."""

    def of(self, kind: str) -> list[Resource]:
        """The resources of one type."""
        return [each for each in self.resources if each.kind == kind]

    def one(self, symbol: str) -> Resource:
        """The resource with that name in its file."""
        (found,) = (each for each in self.resources if each.symbol == symbol)
        return found


def render(path: Path, parameters: Mapping[str, Any]) -> Deployment:
    """Deploy `path` with `parameters` to nowhere. Raises BicepError for what Azure or the compiler would refuse."""
    return _Rendering(parse(path), parameters, Deployment()).run()


class _Rendering:
    def __init__(self, template: Template, parameters: Mapping[str, Any], into: Deployment) -> None:
        self.template = template
        self.into = into
        if template.problems:
            raise BicepError(template.problems[0])
        self.scope = Scope(template, self._lookup)
        self.values: dict[str, Any] = {}
        self.pending: set[str] = set()
        for name in parameters:
            if name not in template.declarations or template.declarations[name].kind != "param":
                raise BicepError(f"{template.path.name}: there is no parameter {name}")
        for declared in template.of("param"):
            self.values[declared.name] = self._parameter(declared, parameters)

    def run(self) -> Deployment:
        for declared in self.template.declarations.values():
            self._lookup(declared.name)
        self.into.outputs = {
            name: self._typed(declared, evaluate(_value(declared), self.scope))
            for name, declared in self.template.outputs.items()
        }
        return self.into

    def _parameter(self, declared: Declaration, given: Mapping[str, Any]) -> Any:
        if declared.name not in given and declared.value is None:
            raise BicepError(f"{self.template.path.name}: the parameter {declared.name} is missing")
        value = given[declared.name] if declared.name in given else evaluate(_value(declared), self.scope)
        self._typed(declared, value)
        for decorator in declared.decorators:
            self._restrict(declared, decorator, value)
        return value

    def _typed(self, declared: Declaration, value: Any) -> Any:
        wanted = _TYPES.get(declared.type)
        if wanted is None:
            raise BicepError(
                f"{self.template.path.name}:{declared.line}: the type {declared.type} is not in the dialect"
            )
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            raise BicepError(
                f"{self.template.path.name}: {declared.name} is a {type(value).__name__}, not a {declared.type}"
            )
        return value

    def _restrict(self, declared: Declaration, decorator: Node, value: Any) -> None:
        call = decorator.parts[0]
        name = call.parts[0].text
        arguments = call.first("arguments")
        limit: Any = evaluate(arguments.parts[0], self.scope) if arguments and arguments.parts else None
        checks: dict[str, Callable[[], bool]] = {
            "allowed": lambda: value not in limit,
            "minValue": lambda: value < limit,
            "maxValue": lambda: value > limit,
            "minLength": lambda: len(value) < limit,
            "maxLength": lambda: len(value) > limit,
            "description": lambda: False,
            "metadata": lambda: False,
        }
        broken = checks.get(name)
        if broken is None:
            raise BicepError(f"{self.template.path.name}:{declared.line}: @{name} is not in the dialect")
        if broken():
            raise BicepError(f"{self.template.path.name}: {declared.name} is {value!r}, against @{name}({limit})")

    def _lookup(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        declared = self.template.declarations.get(name)
        if declared is None:
            raise BicepError(f"{self.template.path.name}: {name} is not declared")
        if name in self.pending:
            raise BicepError(f"{self.template.path.name}: {name} depends on itself")
        self.pending.add(name)
        value = _value(declared)
        if declared.kind == "var":
            self.values[name] = evaluate(value, self.scope)
        elif value.type == "for_statement":
            self.values[name] = [self._one(declared, value.parts[-1], inner) for inner in turns(value, self.scope)]
        else:
            self.values[name] = self._one(declared, value, self.scope)
        return self.values[name]

    def _one(self, declared: Declaration, value: Node, scope: Scope) -> Any:
        if value.type == "if_statement":
            condition, value = value.parts[0], value.parts[-1]
            if not evaluate(condition, scope):
                return None
        content = evaluate(value, scope)
        if declared.kind == "module":
            return self._module(declared, content)
        return self._resource(declared, content)

    def _module(self, declared: Declaration, content: dict[str, Any]) -> dict[str, Any]:
        path = self.template.path.parent / declared.type
        if not path.is_file():
            raise BicepError(f"{self.template.path.name}:{declared.line}: there is no {declared.type}")
        inner = Deployment(self.into.resources, {}, self.into.reads)
        _Rendering(parse(path), content.get("params", {}), inner).run()
        return {"name": content.get("name", declared.name), "outputs": inner.outputs}

    def _resource(self, declared: Declaration, content: dict[str, Any]) -> Reference:
        kind, _, version = declared.type.partition("@")
        where = f"{self.template.path.name}:{declared.line}"
        name = content.get("name") or content.get("uniqueName") or declared.name
        owner = content.get("parent") or content.get("scope")
        base = owner["id"] if owner else f"{SUBSCRIPTION}/resourceGroups/rg"
        identifier = f"{base}/{kind.rpartition('/')[2]}/{name}" if owner else f"{base}/providers/{kind}/{name}"
        if not declared.existing:
            self.into.resources.append(Resource(kind, version, declared.name, where, content, identifier))
        shown = {"id": identifier, "name": name} if "name" in content else {"id": Runtime(identifier), "name": name}
        return Reference(kind, shown, self.into.reads)


def _value(declared: Declaration) -> Node:
    if declared.value is None:
        raise BicepError(f"line {declared.line}: {declared.name} has no value")
    return declared.value


_PLACE = re.compile(r"\$\{(\w+)(?:=([^}]*))?\}")


def from_azd(template: Template, parameters: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of an azd parameter file with the values of an environment, typed as the template declares them.

    Raises BicepError for a parameter that the template does not have, or does not get.
    """
    made: dict[str, Any] = {}
    for name, entry in parameters.items():
        value = entry["value"]
        if isinstance(value, str):
            value = _PLACE.sub(lambda found: environment.get(found[1]) or found[2] or "", value)
            declared = template.declarations.get(name)
            value = _from_text(value, declared.type if declared else "string")
        made[name] = value
    return made


def _from_text(value: str, wanted: str) -> Any:
    if wanted == "bool" and value in {"true", "false"}:
        return value == "true"
    return int(value) if wanted == "int" and value.isdigit() else value
