"""The change feed: an ordered log of every change."""
