"""Memory that a process may lose: bounded, the least recently written is forgotten first."""

from collections import OrderedDict


class RecentValues[V]:
    """The values of at most `most` keys."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[str, V] = OrderedDict()

    def get(self, key: str) -> V | None:
        """The value of a key; None if it is not known."""
        return self._values.get(key)

    def put(self, key: str, value: V) -> None:
        """Remember a value."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)

    def forget(self, key: str) -> None:
        """Forget a value, if it is known."""
        self._values.pop(key, None)
