"""The settings by which a deployment takes instances in."""

from dataclasses import dataclass
from typing import Self

from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """The settings of ingest, under their names in `shared.settings`."""

    max_file_bytes: int
    clear_preamble: bool = True
    full_item_validation: bool = False
    metadata_inline: bool = True

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those of the whole app's settings."""
        return cls(
            max_file_bytes=settings.max_file_bytes,
            clear_preamble=settings.clear_preamble,
            full_item_validation=settings.full_item_validation,
            metadata_inline=settings.metadata_inline,
        )
