"""What the tables hold, for an operator (docs/operate/backup.md)."""
