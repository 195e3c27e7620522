"""The settings by which a deployment takes instances in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """The settings of ingest, under their names in `shared.settings`."""

    max_file_bytes: int
    clear_preamble: bool = True
    full_item_validation: bool = False
    metadata_inline: bool = True
