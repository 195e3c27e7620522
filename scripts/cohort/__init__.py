"""Cohorts from the command line (docs/use/cohorts.md)."""
