"""Access reports: who did what with the data of a patient (data-safety §6)."""
