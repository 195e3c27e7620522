"""Properties of rendered resources against the types of Azure in infra/resource-types.json."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from scripts.bicep.expressions import Runtime
from scripts.bicep.rendering import Deployment, Resource

FILE: Final = "resource-types.json"
_OF_BICEP: Final = frozenset({"name", "parent", "scope", "dependsOn"})
_LEAVES: Final[dict[str, type]] = {"string": str, "integer": int, "boolean": bool}


def kind_of(resource: Resource) -> str:
    """The type; of a configuration of a site with its name, because each is another type."""
    name = resource.content.get("name")
    return f"{resource.kind}/{name}" if resource.kind == "Microsoft.Web/sites/config" else resource.kind


def check(root: Path, deployments: dict[str, Deployment]) -> list[str]:
    """The problems of all resources, and types that nothing uses."""
    types = json.loads((root / FILE).read_text())
    found: list[str] = []
    used: set[str] = set()
    for deployment in deployments.values():
        for resource in deployment.resources:
            kind = kind_of(resource)
            used.add(kind)
            if kind not in types:
                found.append(f"{resource.where}: {kind} is not in {FILE}")
                continue
            if resource.version != types[kind]["version"]:
                found.append(f"{resource.where}: {kind}@{resource.version}, not {types[kind]['version']}")
            content = {key: value for key, value in resource.content.items() if key not in _OF_BICEP}
            found += _problems(content, types[kind]["properties"], "", resource.where)
        found += _reads(deployment, types)
    found += [f"{FILE}: nothing uses {kind}" for kind in types.keys() - used]
    return list(dict.fromkeys(found))


def _reads(deployment: Deployment, types: dict[str, Any]) -> Iterator[str]:
    for kind, path in deployment.reads:
        if kind in types:
            shape: Any = {**types[kind]["properties"], **types[kind].get("read", {})}
            for part in path.split("."):
                shape = shape.get(part) if isinstance(shape, dict) else None
            if shape is None:
                yield f"{kind} has no {path} to be read"


def _problems(value: Any, shape: Any, path: str, where: str) -> Iterator[str]:
    if value is None or shape == "any":
        return
    if isinstance(shape, dict) and "[]" in shape:
        if not isinstance(value, list):
            yield f"{where}: {path} is a {type(value).__name__}, not an array"
            return
        for item in value:
            yield from _problems(item, shape["[]"], f"{path}[]", where)
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            yield f"{where}: {path} is a {type(value).__name__}, not an object"
            return
        for key, inner in value.items():
            if key not in shape:
                yield f"{where}: {path}.{key} is not a known property".replace(": .", ": ")
            else:
                yield from _problems(inner, shape[key], f"{path}.{key}".lstrip("."), where)
    elif isinstance(shape, list):
        if not isinstance(value, Runtime) and value not in shape:
            yield f"{where}: {path} is {value!r}, none of {', '.join(shape)}"
    elif not isinstance(value, _LEAVES[shape]) or (shape == "integer" and isinstance(value, bool)):
        yield f"{where}: {path} is a {type(value).__name__}, not a {shape}"
