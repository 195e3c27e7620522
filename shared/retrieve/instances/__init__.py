"""Retrieve Study, Series and Instance (PS3.18 §10.4.1.1)."""
