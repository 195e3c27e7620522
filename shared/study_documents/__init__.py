"""Data of a study that are in none of its files: kept in a document beside them (DAT-53)."""
