"""Sends a folder of DICOM files to the service: `python -m scripts.import_folder --help` (docs/operate/import.md)."""
