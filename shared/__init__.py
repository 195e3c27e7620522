"""A DICOMweb service on Azure Functions: one package per transaction, over pure packages of DICOM and PS3.18."""
