"""Route templates and their precedence, as the Functions host applies them.

1. A template is an ASP.NET Core route template below the route prefix of host.json.
2. Functions are tried in the alphabetical order of their names, whatever the case; the first match wins. A literal has
   no precedence over a parameter.
3. A method that a function does not list is no match: such a request ends as 404, never as 405.
4. The path is decoded before it is matched, except for %2F; dot segments are removed.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

type Check = Callable[[str], bool]

RESERVED: Final = frozenset({"admin", "runtime"})
"""First segments that the host keeps for itself."""

_PARAMETER: Final = re.compile(
    r"\{(?P<star>\*{0,2})(?P<name>[^{}*:=?]+)"
    r"(?P<constraints>(?::\w+(?:\((?:[^()]|\([^()]*\))*\))?)*)"
    r"(?:=(?P<default>[^{}]*))?(?P<optional>\?)?\}"
)
_CONSTRAINT: Final = re.compile(r":(?P<name>\w+)(?:\((?P<argument>(?:[^()]|\([^()]*\))*)\))?")
_PATTERNS: Final = {
    "int": r"[+-]?\d+",
    "long": r"[+-]?\d+",
    "bool": r"true|false",
    "alpha": r"[a-z]*",
    "guid": r"\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?",
    "decimal": r"[+-]?\d+(?:\.\d+)?",
    "double": r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?",
    "float": r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?",
    "required": r".+",
}


class InvalidTemplate(ValueError):
    """A route template that the host would refuse."""


class _Parameter(NamedTuple):
    name: str
    default: str | None
    checks: tuple[Check, ...]


class Match(NamedTuple):
    """The function that answers a request, and its route values."""

    function: str
    values: dict[str, str]


def _whole_number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _sized(name: str, numbers: list[int]) -> Check:
    low = numbers[0]
    high = numbers[-1]
    if name in {"min", "max", "range"}:
        lowest = low if name != "max" else None
        highest = high if name != "min" else None

        def within(text: str) -> bool:
            value = _whole_number(text)
            return value is not None and (lowest is None or value >= lowest) and (highest is None or value <= highest)

        return within
    if name == "minlength":
        return lambda text: len(text) >= low
    if name == "maxlength":
        return lambda text: len(text) <= high
    return lambda text: low <= len(text) <= high


def _check(name: str, argument: str | None) -> Check:
    if name in _PATTERNS and argument is None:
        pattern = re.compile(_PATTERNS[name], re.IGNORECASE | re.ASCII | re.DOTALL)
        return lambda text: pattern.fullmatch(text) is not None
    if name == "regex" and argument is not None:
        found = re.compile(argument.replace("{{", "{").replace("}}", "}"), re.IGNORECASE)
        return lambda text: found.search(text) is not None
    counts = {"length": (1, 2), "minlength": (1,), "maxlength": (1,), "min": (1,), "max": (1,), "range": (2,)}
    numbers = [_whole_number(part) for part in (argument or "").split(",")]
    known = [number for number in numbers if number is not None]
    if len(known) == len(numbers) and len(known) in counts.get(name, ()):
        return _sized(name, known)
    raise InvalidTemplate(f"unknown route constraint {name}({argument or ''})")


class Template:
    """One route template, ready to match decoded paths without their first slash."""

    def __init__(self, text: str) -> None:
        self.text = text.strip("/")
        self._parameters: list[_Parameter] = []
        segments = self.text.split("/") if self.text else []
        self.literal_segments = len(segments)
        self.open_ended = False
        pattern = "".join(self._segment(segment, first=not i) for i, segment in enumerate(segments))
        self._pattern = re.compile(pattern, re.IGNORECASE | re.DOTALL)

    def _segment(self, segment: str, *, first: bool) -> str:
        slash = "" if first else "/"
        whole = _PARAMETER.fullmatch(segment)
        if whole is None:
            return slash + self._mixed_segment(segment)
        group = self._declare(whole)
        if whole["star"]:
            self.open_ended = True
            return f"(?P<{group}>.*)" if first else f"(?:/(?P<{group}>.*))?"
        if whole["optional"] or whole["default"] is not None:
            self.open_ended = True
            return f"(?:{slash}(?P<{group}>[^/]+))?"
        return f"{slash}(?P<{group}>[^/]+)"

    def _mixed_segment(self, segment: str) -> str:
        """Several parts in one segment: the host matches them from the right, so the earlier parameter is greedy."""
        pattern = ""
        position = 0
        for match in _PARAMETER.finditer(segment):
            literal = segment[position : match.start()]
            group = self._declare(match)
            if match["optional"] and literal.endswith("."):
                pattern += re.escape(literal[:-1]) + rf"(?:\.(?P<{group}>[^/]+))?"
            else:
                pattern += re.escape(literal) + f"(?P<{group}>[^/]+)"
            position = match.end()
        rest = segment[position:]
        if "{" in rest or "}" in rest:
            raise InvalidTemplate(f"the route {self.text!r} is not a template")
        return pattern + re.escape(rest)

    def _declare(self, match: re.Match[str]) -> str:
        name = match["name"]
        if any(known.name.lower() == name.lower() for known in self._parameters):
            raise InvalidTemplate(f"the route {self.text!r} names {name!r} twice")
        checks = tuple(_check(each["name"], each["argument"]) for each in _CONSTRAINT.finditer(match["constraints"]))
        self._parameters.append(_Parameter(name, match["default"], checks))
        return f"p{len(self._parameters) - 1}"

    def match(self, path: str) -> dict[str, str] | None:
        """The route values of a decoded `path`, or None."""
        match = self._pattern.fullmatch(path)
        if match is None:
            return None
        values: dict[str, str] = {}
        for parameter, found in zip(self._parameters, match.groups(), strict=True):
            value = found or parameter.default
            if value is None:
                continue
            if not all(check(value) for check in parameter.checks):
                return None
            values[parameter.name] = value
        return values


class Route:
    """A function, the methods it lists (empty: all) and its template below the route prefix."""

    def __init__(self, function: str, template: str, methods: Iterable[str] = (), prefix: str = "") -> None:
        if template.strip("/").partition("/")[0].lower() in RESERVED and not prefix:
            raise InvalidTemplate(f"the route {template!r} of {function} begins with a segment that the host keeps")
        self.function = function
        self.methods = frozenset(method.upper() for method in methods)
        self.template = Template(f"{prefix.strip('/')}/{template.strip('/')}")

    def conflicts_with(self, other: "Route") -> bool:
        """Whether the host would refuse the later of the two: the same template and a shared method."""
        same = self.template.text.lower() == other.template.text.lower()
        return same and (not self.methods or not other.methods or bool(self.methods & other.methods))


def _decoded(raw_path: str) -> str:
    return unquote(re.sub("(?i)%2f", "%252F", raw_path)) if "%" in raw_path else raw_path


def _without_dot_segments(path: str) -> str:
    """RFC 3986 §5.2.4, for an absolute path."""
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            del kept[max(1, len(kept) - 1) :]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/".join(kept)


def decoded_path(raw_target: str) -> str:
    """The path of a request target as routing sees it: decoded except for %2F, dot segments removed."""
    return _without_dot_segments(_decoded(raw_target.partition("?")[0]))


def forwarded_target(raw_target: str) -> str:
    """The request target that the worker gets: as received, but without dot segments."""
    raw_path, mark, query = raw_target.partition("?")
    if "/." not in raw_path and "%2e" not in raw_path.lower():
        return raw_target
    decoded = _decoded(raw_path)
    kept = _without_dot_segments(decoded)
    return raw_target if kept == decoded else quote(kept, safe="/%:@!$&'()*+,;=~") + mark + query


class Router:
    """All routes of an app in the order in which the host tries them. Raises InvalidTemplate on a conflict."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = sorted(routes, key=lambda route: route.function.upper())
        for i, route in enumerate(self.routes):
            for later in self.routes[i + 1 :]:
                if route.conflicts_with(later):
                    raise InvalidTemplate(
                        f"{later.function} has the route and a method of {route.function}: {route.template.text!r}"
                    )
        self._candidates = lru_cache(maxsize=1024)(self._find_candidates)

    def _find_candidates(self, method: str, segments: int) -> tuple[Route, ...]:
        return tuple(
            route
            for route in self.routes
            if (not route.methods or method in route.methods)
            and (route.template.open_ended or route.template.literal_segments == segments)
        )

    def match(self, method: str, raw_target: str) -> Match | None:
        """The function that answers `method` on `raw_target` (path and query string as received), or None."""
        path = decoded_path(raw_target)
        path = path.removeprefix("/")
        path = path.removesuffix("/")
        segments = path.count("/") + 1 if path else 0
        for route in self._candidates(method, segments):
            values = route.template.match(path)
            if values is not None:
                return Match(route.function, values)
        return None
