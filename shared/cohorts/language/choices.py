"""Questions with more than one reading: every combination of what is open is read (NL-5). Pure."""

from collections.abc import Callable, Iterator
from typing import Final

MOST_READINGS: Final = 32
"""Combinations that are looked at: a question with more open places is for its author to put in other words."""


class Choices:
    """The choices of one reading, in the order in which they come up."""

    def __init__(self, taken: tuple[int, ...]) -> None:
        self._taken = taken
        self.made: list[int] = []
        self.options: list[int] = []

    def choose(self, options: int) -> int:
        """One of so many options, counted from 0."""
        at = len(self.made)
        choice = self._taken[at] if at < len(self._taken) else 0
        self.made.append(choice)
        self.options.append(options)
        return choice


def every_reading[T](read: Callable[[Choices], T]) -> Iterator[T]:
    """The results of `read` for each combination of choices, at most MOST_READINGS of them."""
    pending: list[tuple[int, ...]] = [()]
    for _ in range(MOST_READINGS):
        if not pending:
            return
        taken = pending.pop()
        choices = Choices(taken)
        yield read(choices)
        for at in range(len(choices.made) - 1, len(taken) - 1, -1):
            made = tuple(choices.made[:at])
            pending.extend((*made, other) for other in range(choices.options[at] - 1, 0, -1))
