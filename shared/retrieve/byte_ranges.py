"""Range requests (RFC 9110 §14; HTTP-1, HTTP-2). One range of bytes; whatever else a client asks for is the whole."""

import re
from dataclasses import dataclass

from shared.dicomweb.versions import ApiVersion
from shared.errors import RangeUnsatisfiable
from shared.http.messages import Request

_RANGE = re.compile(r"\s*+bytes\s*+=\s*+([0-9]{0,18}+)\s*+-\s*+([0-9]{0,18}+)\s*+", re.IGNORECASE)
"""Nothing of it is looked at twice: two runs of blanks side by side could be divided in very many ways."""


@dataclass(frozen=True, slots=True)
class RangeRequest:
    """The range that a request asks for, before it is known of what."""

    first: str = ""
    last: str = ""
    """As in `first-last`; both empty: the whole."""
    if_range: str | None = None
    """If-Range: the range is of that representation only."""

    @property
    def given(self) -> bool:
        """Whether a part is asked for, not the whole."""
        return bool(self.first or self.last)

    def of(self, size: int, tag: str) -> tuple[int, int] | None:
        """The bytes [start, end) of a representation of `size` bytes, named `tag`.

        None: the whole, also when If-Range names another representation, or `tag` is weak (RFC 9110 §13.1.5).
        Raises RangeUnsatisfiable when there are no such bytes.
        """
        if not self.given or (self.if_range is not None and (self.if_range != tag or tag.startswith("W/"))):
            return None
        if not self.first:
            length = min(int(self.last), size)
            if not length:
                raise RangeUnsatisfiable(size)
            return size - length, size
        start = int(self.first)
        if self.last and int(self.last) < start:
            return None
        if start >= size:
            raise RangeUnsatisfiable(size)
        return start, min(int(self.last) + 1, size) if self.last else size


def parse_range(request: Request, _version: ApiVersion) -> RangeRequest:
    """The range that `request` asks for. One that is malformed, or one of several, is no range."""
    values = request.headers.all("range") if request.method == "GET" else []
    found = _RANGE.fullmatch(values[0]) if len(values) == 1 else None
    if found is None:
        return RangeRequest()
    if_range = request.headers.get("if-range")
    return RangeRequest(found[1], found[2], None if if_range is None else if_range.strip())
