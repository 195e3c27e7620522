"""Membership of a patient in a cohort: every criterion, on the resources themselves (COH-18 to COH-26). Pure."""
