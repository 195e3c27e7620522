"""The rebuild of the index from the files as an operation (data-safety §5)."""
