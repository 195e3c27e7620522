"""Shares: a closed set of studies that whoever has the link may see for a time (exchange §1)."""
