"""The upkeep of the index: failures are mended, and data that are no longer needed erased."""
