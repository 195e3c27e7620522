"""YAML 1.2 of JSON values, block style: what the OpenAPI document needs and no more (URL-8)."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson


def dumps(value: Mapping[str, Any]) -> bytes:
    """The bytes of a YAML document. Every string is quoted as in JSON, which YAML 1.2 reads alike."""
    return ("\n".join(_lines(value, 0)) + "\n").encode()


def _lines(value: Any, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _entry(f"{indent}{_scalar(key)}:", inner, depth)
    elif isinstance(value, list | tuple) and value:
        for inner in value:
            yield from _entry(f"{indent}-", inner, depth)
    else:
        yield indent + _scalar(value)


def _entry(head: str, value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, Mapping | list | tuple) and value:
        yield head
        yield from _lines(value, depth + 1)
    else:
        yield f"{head} {_scalar(value)}"


def _scalar(value: Any) -> str:
    return orjson.dumps(value).decode()
