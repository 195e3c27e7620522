"""One module per transaction; each scenario says in its name what one operation is."""
