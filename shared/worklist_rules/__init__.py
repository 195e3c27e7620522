"""Worklist rules: what is stored makes workitems (AIX-2)."""
