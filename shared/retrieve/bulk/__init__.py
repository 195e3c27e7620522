"""Retrieve Bulk Data and Pixel Data (PS3.18 §10.4.1.1.5, §10.4.1.1.7)."""
