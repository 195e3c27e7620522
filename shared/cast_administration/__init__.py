"""The resources by which people look after DICOMcast (dicomcast §5.2, §5.6)."""
