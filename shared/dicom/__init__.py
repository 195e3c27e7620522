"""DICOM itself (PS3.3 to PS3.10): pure functions and values, no I/O."""
