"""HTTP messages, whatever hosts the service."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field


class Headers:
    """Header fields in the order received; names compare case-insensitively, a name may occur several times."""

    __slots__ = ("_items", "_values")

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items = tuple((name.lower(), value) for name, value in items)
        self._values: dict[str, list[str]] = {}
        for name, value in self._items:
            self._values.setdefault(name, []).append(value)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._items)

    def get(self, name: str) -> str | None:
        """The first value of `name`, or None."""
        values = self._values.get(name.lower())
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        """Every value of `name`, in order."""
        return list(self._values.get(name.lower(), ()))


async def _no_body() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for chunk in nothing:
        yield chunk


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request.

    `path` and `query` are as sent, percent-encoding included. `route` holds the values of the route template, decoded.
    `body` yields the body in chunks and can be read once; it raises `InvalidRequest` when the client goes away.
    """

    method: str
    scheme: str
    host: str
    path: str
    query: str = ""
    headers: Headers = field(default_factory=Headers)
    route: Mapping[str, str] = field(default_factory=dict)
    body: AsyncIterator[bytes] = field(default_factory=_no_body)
    client: str = ""


type Body = bytes | AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response. A streamed body is closed (`aclose`) when the client goes away."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: Body = b""


async def close(body: Body) -> None:
    """Close a streamed body that will not be read (again)."""
    aclose = getattr(body, "aclose", None)
    if aclose is not None:
        await aclose()
