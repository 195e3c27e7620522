"""Moves an archive to the service: `dicom migrate --help` (docs/operate/migrate.md)."""
