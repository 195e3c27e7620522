"""Range requests (RFC 9110 §14) for bulk values. One range of bytes; whatever else a client asks for is the whole."""

import re
from typing import Final

from shared.http.messages import Headers

_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*", re.IGNORECASE)

UNSATISFIABLE: Final = (-1, -1)
"""The range begins behind the end of the value: 416."""


def requested_range(headers: Headers, size: int, tag: str) -> tuple[int, int] | None:
    """The bytes [start, end) of a representation of `size` bytes, named `tag`, that the client asks for.

    None if it does not, if it asks in a way that is not supported, and if what it holds the rest of is another
    representation (If-Range); UNSATISFIABLE if there are no such bytes.
    """
    values = headers.all("range")
    found = _RANGE.fullmatch(values[0]) if len(values) == 1 else None
    held = headers.get("if-range")
    if found is None or found.groups() == ("", "") or (held is not None and held.strip() != tag):
        return None
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        return (size - length, size) if length else UNSATISFIABLE
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        return UNSATISFIABLE
    return start, min(int(last) + 1, size) if last else size
