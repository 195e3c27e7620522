"""Erasing all that is stored of a patient (data-safety §6)."""
