"""DICOMcast: studies as ImagingStudy resources of a FHIR server, with their Patient, Endpoint and Observations."""
