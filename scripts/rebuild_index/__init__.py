"""The rebuild of the index from the files, by an operator (docs/operate/backup.md)."""
