"""`dicom`: one command for a DICOM service, on a laptop and in Azure (exchange §9)."""

__version__ = "0.1.0"
