"""Settings in sections, as `Fhir:Endpoint`; an environment spells it `Fhir__Endpoint` (dicomcast §5.4). Pure.

Names are compared without regard to case, as the configuration of the reference does. A fault names the key and never
its value, which may be a secret.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import orjson

from shared.errors import Misconfigured

SECTIONS = frozenset(
    {
        "cohort",
        "dicomcast",
        "dicomcastworker",
        "dicomweb",
        "feedback",
        "fhir",
        "patient",
        "retryconfiguration",
        "tablestore",
        "terminology",
    }
)
"""First segments of keys that are settings of this kind; nothing else of the environment is taken."""
_DURATION = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})(?:\.\d+)?")
_TRUE, _FALSE = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off"})


class Sections:
    """Values by key, below one prefix."""

    def __init__(self, values: Mapping[str, str], prefix: str = "") -> None:
        """`values`: by keys in lower case with colons; `prefix`: ends in a colon, or is empty."""
        self._values = values
        self._prefix = prefix

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Sections":
        """The settings of an environment; empty values count as not set."""
        values = {key.replace("__", ":").lower(): value for key, value in environment.items() if value}
        return cls({key: value for key, value in values.items() if key.partition(":")[0] in SECTIONS and ":" in key})

    def below(self, name: str) -> "Sections":
        """The section of that name."""
        return Sections(self._values, f"{self._prefix}{name}:")

    def names(self) -> Iterator[str]:
        """The keys below this section, in lower case, without its own name."""
        at = self._prefix.lower()
        return (key[len(at) :] for key in self._values if key.startswith(at))

    def text(self, key: str, default: str = "") -> str:
        """A text, without blanks around it."""
        return self._values.get(f"{self._prefix}{key}".lower(), default).strip()

    def required(self, key: str) -> str:
        """A text that must be there. Raises Misconfigured."""
        value = self.text(key)
        if not value:
            self._fault(key, "is required")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Whether it is true. Raises Misconfigured."""
        value = self.text(key).lower()
        if value in _TRUE or value in _FALSE:
            return value in _TRUE
        if value:
            self._fault(key, "is true or false")
        return default

    def whole(self, key: str, default: int, *, low: int = 0, high: int = 2**31 - 1) -> int:
        """A whole number within limits. Raises Misconfigured."""
        value = self.text(key)
        if not value:
            return default
        if not value.isdecimal() or not low <= int(value) <= high:
            self._fault(key, f"is a whole number, {low} to {high}")
        return int(value)

    def seconds(self, key: str, default: float) -> float:
        """A duration as `hh:mm:ss` or `d.hh:mm:ss`, in seconds. Raises Misconfigured."""
        value = self.text(key)
        if not value:
            return default
        matched = _DURATION.fullmatch(value)
        if not matched:
            self._fault(key, "is a duration such as 00:10:00")
        days, hours, minutes, seconds = (int(part or 0) for part in matched.groups())
        if hours > 23 or minutes > 59 or seconds > 59:
            self._fault(key, "is a duration such as 00:10:00")
        return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        """One of `choices`, as it is spelt there. Raises Misconfigured."""
        value = self.text(key).lower()
        found = next((each for each in choices if each.lower() == value), "")
        if value and not found:
            self._fault(key, f"is one of {', '.join(choices)}")
        return found or default

    def words(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A list separated by commas."""
        return tuple(word.strip() for word in self.text(key).split(",") if word.strip()) or default

    def json[T](self, key: str, default: T, understood: Callable[[Any], T | None]) -> T:
        """A JSON value, as `understood` takes it: None is a value that it does not take. Raises Misconfigured."""
        value = self.text(key)
        if not value:
            return default
        try:
            taken = understood(orjson.loads(value))
        except ValueError:
            taken = None
        if taken is None:
            self._fault(key, "is JSON of another form")
        return taken

    def text_map(self, key: str) -> Mapping[str, str]:
        """A JSON object of texts, or a section with one text for each key. Raises Misconfigured."""

        def texts(value: Any) -> dict[str, str] | None:
            fits = isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
            return dict(value) if fits else None

        below = self.below(key)
        return self.json(key, {name: below.text(name) for name in below.names()}, texts)

    def _fault(self, key: str, rule: str) -> NoReturn:
        raise Misconfigured(f"{self._prefix}{key}: {rule}")
