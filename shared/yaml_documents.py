"""YAML 1.2 read as the values that JSON has: definitions that people write (cohorts §8.2). Pure.

Plain scalars are those of the core schema (YAML 1.2.2 §10.3): a day is a text, as it is in JSON, and so is `no`. What
JSON has no form for is refused: aliases, tags, keys that are no texts, several documents.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from shared.errors import InvalidRequest

_DEEPEST: Final = 64
"""Collections inside each other: a definition has ten."""
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WHOLE: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
"""A number with a zero before it stays a text: it is a code."""
_DECIMAL: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,17}")


class MalformedYaml(InvalidRequest):
    """A text is no YAML, or says what JSON cannot say."""


def read_yaml(data: bytes) -> Any:
    """The value of the one document of a text. Raises MalformedYaml."""
    import yaml

    try:
        events = iter(yaml.parse(data.decode("utf-8-sig"), Loader=yaml.CSafeLoader))
        next(events)
        first = next(events)
        if isinstance(first, yaml.StreamEndEvent):
            raise MalformedYaml("There is no document.")
        value = _value(next(events), events, 0)
        next(events)
        if not isinstance(next(events), yaml.StreamEndEvent):
            raise MalformedYaml("There is more than one document.")
    except UnicodeDecodeError:
        raise MalformedYaml("The text is not UTF-8.") from None
    except yaml.YAMLError as error:
        raise MalformedYaml(f"The text is no YAML{_place(error)}.") from None
    return value


def _value(event: Any, events: Iterator[Any], depth: int) -> Any:
    """The value that begins with an event."""
    import yaml

    if isinstance(event, yaml.AliasEvent):
        raise MalformedYaml(f"There is an alias{_at(event)}: say the same twice.")
    if getattr(event, "tag", None) is not None:
        raise MalformedYaml(f"There is a tag{_at(event)}.")
    if isinstance(event, yaml.ScalarEvent):
        return event.value if event.style else _scalar(event.value)
    if depth >= _DEEPEST:
        raise MalformedYaml("The text is nested too deeply.")
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Any] = []
        while not isinstance(each := next(events), yaml.SequenceEndEvent):
            items.append(_value(each, events, depth + 1))
        return items
    members: dict[str, Any] = {}
    while not isinstance(each := next(events), yaml.MappingEndEvent):
        if not isinstance(each, yaml.ScalarEvent) or each.tag is not None:
            raise MalformedYaml(f"A key is no text{_at(each)}.")
        if each.value in members:
            raise MalformedYaml(f"A key occurs twice{_at(each)}.")
        members[each.value] = _value(next(events), events, depth + 1)
    return members


def _scalar(text: str) -> Any:
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


def _at(event: Any) -> str:
    return f" in line {event.start_mark.line + 1}"


def _place(error: Any) -> str:
    mark = getattr(error, "problem_mark", None)
    return f": line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
