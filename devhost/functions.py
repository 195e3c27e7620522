"""The functions of an app, as a worker indexed them, checked for what the host can run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from devhost.settings import Unusable

_SUPPORTED: Final = frozenset(
    {"httptrigger", "http", "blobtrigger", "eventgridtrigger", "queuetrigger", "timertrigger"}
)


class FunctionDescription(NamedTuple):
    """A function as the worker indexed it. `bindings` are the JSON texts of its bindings."""

    id: str
    name: str
    bindings: list[str]
    retry_strategy: str = ""
    max_retry_count: int = 0
    retry_delays: tuple[float, float] = (0, 0)
    """The fixed delay twice, or the least and the greatest delay, in seconds."""


@dataclass(frozen=True, slots=True)
class Function:
    """An indexed function: its trigger, as in the JSON of its binding, and its retry policy."""

    id: str
    name: str
    kind: str
    """The type of the trigger in lower case, such as `httptrigger`."""
    trigger: Mapping[str, Any]
    description: FunctionDescription


def read_functions(descriptions: list[FunctionDescription], *, streaming: bool, bundle: bool) -> list[Function]:
    """The functions of the app, checked: the host can run every one of them. Raises Unusable."""
    functions: list[Function] = []
    for description in descriptions:
        bindings = [json.loads(text) for text in description.bindings]
        for binding in bindings:
            if binding["type"].lower() not in _SUPPORTED:
                raise Unusable(f"{description.name}: bindings of type {binding['type']} cannot be run here")
        triggers = [binding for binding in bindings if binding["type"].lower().endswith("trigger")]
        if len(triggers) != 1:
            raise Unusable(f"{description.name} has {len(triggers)} triggers instead of one")
        kind = triggers[0]["type"].lower()
        if kind == "httptrigger" and not streaming:
            raise Unusable(
                f"{description.name} takes func.HttpRequest; only functions that stream, with the request of a "
                "web extension, can be run here"
            )
        if kind != "httptrigger" and not bundle:
            raise Unusable(f"host.json names no extensionBundle, so the trigger of {description.name} would not work")
        functions.append(Function(description.id, description.name, kind, triggers[0], description))
    return functions
