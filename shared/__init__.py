"""A DICOMweb service on Azure Functions: one package per transaction, over a pure floor of DICOM and PS3.18."""
