"""DICOM events and how they are published."""
