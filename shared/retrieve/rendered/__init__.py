"""Retrieve Rendered resources and thumbnails (PS3.18 §10.4.1.1.3, §10.4.1.1.4)."""
