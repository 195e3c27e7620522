"""Which row of the resource table answers a method and path.

Two properties of the host shape the table: it tries the templates in the alphabetical order of the function names and
takes the first whose method and path fit, and it has no 405. So no template may swallow another, the last name belongs
to a catch-all, and that one answers what the others do not.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from shared.dicomweb.resource import Resource
from shared.dicomweb.resources import RESOURCES
from shared.dicomweb.service_resources import FALLBACK
from shared.dicomweb.versions import ApiVersion


@dataclass(frozen=True, slots=True)
class Match:
    """A row that answers a request, with the decoded values of its template."""

    resource: Resource
    route: Mapping[str, str]


@lru_cache(maxsize=2)
def _compiled(data_partitions: bool) -> tuple[tuple[Resource, re.Pattern[str]], ...]:
    rows = sorted(RESOURCES.values(), key=lambda row: row.name.upper())
    return tuple((row, _pattern(row.path(data_partitions=data_partitions))) for row in rows if row is not FALLBACK)


def _pattern(template: str) -> re.Pattern[str]:
    """Literals compare without regard to case, a trailing slash is tolerated, a value is one segment (URL-6).

    The host takes a catch-all, which may only come last, for what is left of the path, even for nothing.
    """
    return re.compile("/".join(map(_segment, template.split("/"))) + "/?", re.IGNORECASE)


def _segment(segment: str) -> str:
    if not segment.startswith("{"):
        return re.escape(segment).replace(r"\$", r"(?:\$|%24)")
    return f"(?P<{segment[2:-1]}>.*)" if segment.startswith("{*") else f"(?P<{segment[1:-1]}>[^/]+)"


def _decoded(value: str) -> str:
    """The host decodes everything in a segment except an encoded slash."""
    return unquote(re.sub("(?i)%2f", "%252F", value)) if "%" in value else value


def match(method: str, path: str, *, data_partitions: bool) -> Match | None:
    """The row that answers `method` on `path` (percent-encoded, leading slash optional), by the host's rule."""
    path = path.removeprefix("/")
    for row, pattern in _compiled(data_partitions):
        if method in row.methods and (found := pattern.fullmatch(path)):
            return Match(row, {name: _decoded(value) for name, value in found.groupdict().items()})
    return None


def allowed_methods(path: str, *, data_partitions: bool, version: ApiVersion | None) -> tuple[str, ...]:
    """The methods that `path` answers in `version`, in alphabetical order, for `Allow`; empty if no row knows it.

    Without a version only the unversioned resources count.
    """
    path = path.removeprefix("/")
    found = {
        method
        for row, pattern in _compiled(data_partitions)
        if row.versioned == (version is not None) and pattern.fullmatch(path)
        for method in row.methods
        if version is None or row.exists_in(version, method)
    }
    return tuple(sorted(found))
