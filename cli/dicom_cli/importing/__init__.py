"""Sends a folder of DICOM files to the service: `python -m dicom_cli.importing --help` (docs/operate/import.md)."""
