"""The ordered log of changes: what numbers them, and how it is read."""
