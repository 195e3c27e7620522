"""PS3.18 §8.6.1.2 The parts of a multipart store: how many there may be, and the part that is none."""

from dataclasses import dataclass
from typing import Final

from shared.dicomweb.multipart import PartHeaders
from shared.errors import TooLarge

MAX_PARTS: Final = 20_000
"""Of a multipart body: what is remembered of a part is small, but it must not grow without end."""


@dataclass(slots=True)
class PartLimits:
    """The parts of one body, counted as they begin."""

    count: int = 0
    bare: bool = False
    """The present part is the first and has no headers: with no bytes either it is no part at all (W-5)."""

    @property
    def first(self) -> bool:
        """Whether the present part is the first."""
        return self.count == 1

    def begin(self, headers: PartHeaders) -> None:
        """Count a part. Raises TooLarge."""
        self.count += 1
        if self.count > MAX_PARTS:
            raise TooLarge(f"The request has more than {MAX_PARTS} parts. Send fewer instances in one request.")
        self.bare = self.first and not headers.headers
