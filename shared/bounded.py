"""Memory that a process may lose: bounded, the least recently written is forgotten first."""

from collections import OrderedDict
from collections.abc import Iterable


class RecentValues[V]:
    """The values of at most `most` keys."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[str, V] = OrderedDict()
        self.is_whole = True
        """Whether nothing was forgotten for want of room."""

    def get(self, key: str) -> V | None:
        """The value of a key; None if it is not known."""
        return self._values.get(key)

    def put(self, key: str, value: V) -> None:
        """Remember a value."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)
            self.is_whole = False

    def values(self) -> Iterable[V]:
        """All values."""
        return self._values.values()

    def forget(self, key: str) -> None:
        """Forget a value, if it is known."""
        self._values.pop(key, None)
